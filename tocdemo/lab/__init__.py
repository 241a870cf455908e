"""The verbs of a notebook: `from tocdemo import lab`, then `lab.workspace()` and `lab.run()`.

`lab.<TAB>` shows the verbs, and nothing else. A few lessons need more, and import it from here by name: the
operations `add` and `rename`, and modules such as `ways` and `loop_scopes`. All names are loaded at
their first use, so that whatever imports this package does not wait for what notebooks need.
"""

import difflib
import importlib
import sys
from collections.abc import Callable
from typing import Any

VERBS = {
    "check": "exercises",
    "checklist": "taking_home",
    "combination": "running",
    "coverage": "running",
    "database": "running",
    "doctor": "machine",
    "expected": "showing",
    "explain": "running",
    "five_ways": "running",
    "folder": "editing",
    "guess": "running",
    "hint": "exercises",
    "interleavings": "running",
    "kill_between_writes": "running",
    "lesson": "lessons",
    "map": "lessons",
    "matrix": "running",
    "neighbours": "running",
    "panel": "running",
    "progress": "lessons",
    "recorded_versions": "running",
    "reset": "lessons",
    "restore": "lessons",
    "run": "running",
    "script": "running",
    "show": "showing",
    "solution": "exercises",
    "source": "showing",
    "terminal": "taking_home",
    "watch": "watching",
    "workspace": "editing",
}  # each with the module of this folder that has it
MAGICS = {
    "tests": ("testing", "line_cell"),
    "workspace": ("editing", "cell"),
}  # `%%tests`: its module, its kind
# What lessons import by name, and the module that has it (with None: it is that module).
HANDED_ON = {
    "add": ("tocdemo.explorer.operations", "add"),
    "rename": ("tocdemo.explorer.operations", "rename"),
    "drivers": ("tocdemo.experiments.drivers", None),
    "loop_scopes": ("tocdemo.experiments.loop_scopes", None),
    "nested": ("tocdemo.experiments.nested", None),
    "one_loop": ("tocdemo.experiments.one_loop", None),
    "retries": ("tocdemo.experiments.retries", None),
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
    near = difflib.get_close_matches(name, VERBS, 1)
    meant = f"did you mean lab.{near[0]}? Its" if near else "its"
    raise AttributeError(f"tocdemo.lab has no {name!r}; {meant} verbs are {', '.join(VERBS)}")


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to IPython (`%load_ext tocdemo.lab`); importing this package in a notebook does, too."""
    for magic, (module, kind) in MAGICS.items():
        shell.register_magic_function(_loaded_at_first_use(shell, magic, module), kind, magic)


def _loaded_at_first_use(shell: Any, magic: str, module: str) -> Callable[..., Any]:
    # Not IPython's own way (register_lazy): interrupted while it loads, the magic is lost.
    def load_and_run(line: str, cell: str | None = None) -> Any:
        importlib.import_module(f"{__name__}.{module}").load_ipython_extension(shell)
        if cell is None:
            return shell.find_line_magic(magic)(line)
        return shell.find_cell_magic(magic)(line, cell)

    load_and_run.__doc__ = f"A magic of {__name__}.{module}, which is loaded when it is used."
    return load_and_run


# Who has no IPython does not get it from here.
_shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
if _shell is not None:
    load_ipython_extension(_shell)
