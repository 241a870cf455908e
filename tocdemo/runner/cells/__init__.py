"""The tests of notebook cells, run as if they lay in a folder.

It knows the text of cells, pytest's collection and inline runs; it must not know who keeps cells (IPython).
"""

from .running import CellOptions, CellRun, inside, run_cell, run_functions
from .source import Cell, defined_twice, in_cells, is_cell

__all__ = [
    "Cell",
    "CellOptions",
    "CellRun",
    "defined_twice",
    "in_cells",
    "inside",
    "is_cell",
    "run_cell",
    "run_functions",
]
