"""The verbs of a notebook: `from tocdemo import lab`, then `lab.workspace()` and `lab.run()`.

`lab.<TAB>` shows the verbs, and nothing else. A few lessons need more, and import it from here by name: the
operations `add` and `rename`, and the modules `ways`, `loop_scopes` and `nested`. All names are loaded at
their first use, so that whatever imports this package does not wait for what notebooks need.
"""

import importlib
from typing import Any

VERBS = {
    "combination": "running",
    "coverage": "running",
    "database": "running",
    "diff": "editing",
    "expected": "showing",
    "explain": "running",
    "five_ways": "running",
    "folder": "editing",
    "guess": "running",
    "interleavings": "running",
    "kill_between_writes": "running",
    "matrix": "running",
    "mend": "editing",
    "neighbours": "running",
    "panel": "running",
    "recorded_versions": "running",
    "run": "running",
    "script": "running",
    "show": "showing",
    "source": "showing",
    "workspace": "editing",
}  # each with the module of this folder that has it
# What lessons import by name, and the module that has it (with None: it is that module).
HANDED_ON = {
    "add": ("tocdemo.explorer.operations", "add"),
    "rename": ("tocdemo.explorer.operations", "rename"),
    "loop_scopes": ("tocdemo.experiments.loop_scopes", None),
    "nested": ("tocdemo.experiments.nested", None),
    "ways": ("tocdemo.experiments.ways", None),
}


def __dir__() -> list[str]:
    return list(VERBS)


def __getattr__(name: str) -> Any:
    if name in VERBS:
        return getattr(importlib.import_module(f"{__name__}.{VERBS[name]}"), name)
    if name in HANDED_ON:
        module, attribute = HANDED_ON[name]
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
    raise AttributeError(f"tocdemo.lab has no {name!r}; its verbs are {', '.join(VERBS)}")


def load_ipython_extension(shell: Any) -> None:
    """Add the cell magic `%%workspace` (`%load_ext tocdemo.lab`)."""
    from . import editing

    editing.load_ipython_extension(shell)
