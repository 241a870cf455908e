"""Hold a workflow of GitHub's to the schema that check-jsonschema brings: nothing is fetched."""

import subprocess
import sys
from pathlib import Path


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    """Check a workflow's file; its exit code is 0 when the file fits, and its output says what does not."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    return subprocess.run([*command, str(file)], capture_output=True, text=True)
