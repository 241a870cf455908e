"""Exercises: whether a learner's own edit is right, the hints, and a solution that keeps what is right.

It judges what the code in a folder is and does. Where that folder lies, and how verdicts are kept, it does
not know.
"""

from .catalogue import all_of, get
from .checking import check
from .helper import warm_up
from .hints import Hints, hint
from .solving import Change, Proposal, solution
from .verdict import Part, Problem, Verdict

__all__ = [
    "Change",
    "Hints",
    "Part",
    "Problem",
    "Proposal",
    "Verdict",
    "all_of",
    "check",
    "get",
    "hint",
    "solution",
    "warm_up",
]
