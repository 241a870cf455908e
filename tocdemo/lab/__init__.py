"""What a notebook calls: the workspace, the faults, inline runs and their figures.

`from tocdemo import lab`, then `lab.workspace()` and `lab.run()`. The names are loaded at their first use, so
that pytest, which loads the plugin in this package at every start, does not wait for what notebooks need.
"""

from typing import Any

__all__ = [
    "combination",
    "coverage",
    "database",
    "diff",
    "expected",
    "explain",
    "five_ways",
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
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"tocdemo.lab has no {name!r}; it has {', '.join(__all__)}")
    from . import notebook

    return getattr(notebook, name)


def load_ipython_extension(shell: Any) -> None:
    """Add the cell magic `%%workspace` (`%load_ext tocdemo.lab`)."""
    from . import notebook

    notebook.load_ipython_extension(shell)
