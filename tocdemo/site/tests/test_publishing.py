"""The workflow that publishes the site is what GitHub's schema asks for, and calls what there is."""

from pathlib import Path

import yaml

from tocdemo.cli import COMMANDS
from tocdemo.tests.workflows import checked

WORKFLOW = Path(__file__).resolve().parents[3] / ".github/workflows/pages.yml"


def test_it_fits_the_schema_and_publishes_what_the_command_makes():
    found = checked(WORKFLOW)
    assert found.returncode == 0, found.stdout + found.stderr
    build, publish = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"].values()
    (command,) = [step["run"] for step in build["steps"] if "run" in step]
    assert command.startswith("python3 -m tocdemo site --output _site ")
    assert "site" in COMMANDS
    assert build["steps"][-1]["with"] == {"path": "_site"}
    assert publish["steps"][-1]["uses"].startswith("actions/deploy-pages@")
