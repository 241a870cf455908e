"""The verbs of a notebook: `from tocdemo import lab`, then `lab.workspace()` and `lab.run()`.

`lab.<TAB>` shows the verbs, and nothing else. A few lessons need more, and import it from here by name: the
operations `add` and `rename`, and the modules `ways`, `loop_scopes` and `nested`. All names are loaded at
their first use, so that whatever imports this package does not wait for what notebooks need.
"""

import importlib
from typing import Any

VERBS = (
    "combination",
    "coverage",
    "database",
    "diff",
    "expected",
    "explain",
    "five_ways",
    "folder",
    "guess",
    "interleavings",
    "kill_between_writes",
    "matrix",
    "mend",
    "neighbours",
    "panel",
    "recorded_versions",
    "run",
    "script",
    "show",
    "source",
    "workspace",
)
# What lessons import by name, and the module that has it (with None: it is that module).
HANDED_ON = {
    "add": ("tocdemo.explorer.engine", "add"),
    "rename": ("tocdemo.explorer.engine", "rename"),
    "loop_scopes": ("tocdemo.experiments.loop_scopes", None),
    "nested": ("tocdemo.experiments.nested", None),
    "ways": ("tocdemo.experiments.ways", None),
}


def __dir__() -> list[str]:
    return list(VERBS)


def __getattr__(name: str) -> Any:
    if name in VERBS:
        from . import verbs

        return getattr(verbs, name)
    if name in HANDED_ON:
        module, attribute = HANDED_ON[name]
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
    raise AttributeError(f"tocdemo.lab has no {name!r}; its verbs are {', '.join(VERBS)}")


def load_ipython_extension(shell: Any) -> None:
    """Add the cell magic `%%workspace` (`%load_ext tocdemo.lab`)."""
    from . import verbs

    verbs.load_ipython_extension(shell)
