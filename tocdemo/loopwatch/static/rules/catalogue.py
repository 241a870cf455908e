"""The list of all rules, as `check --rules` prints it.

It must not know how a rule finds anything.
"""

from __future__ import annotations

from .examples_fixtures import RULES as FIXTURES
from .examples_kept import RULES as KEPT

RULES = (*KEPT, *FIXTURES)


def listing() -> str:
    """Return all rules with their examples, as text."""
    return "\n".join(map(str, RULES))
