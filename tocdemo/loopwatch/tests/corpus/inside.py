"""The run of one case inside an environment that has pytest, but not the project's other packages."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from .running import run_here

if __name__ == "__main__":
    print("\n" + json.dumps(asdict(run_here(Path(sys.argv[1]), tuple(sys.argv[2:])))))
