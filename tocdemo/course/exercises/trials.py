"""What is tried with a project of any shape: the ways in which its tests run, and the lies that they hear.

Only the names: how a thing is tried, and what follows from it, is said elsewhere.
"""

TOGETHER, ALONE = "together", "alone"
AGAIN, REVERSED = "a second time", "in reverse order"
SHUFFLED = "in a random order"

TRUTH = "the truth"
LOST, NOTHING, INVENTED = "nothing is stored", "nothing is found", "something is found that nobody stored"
CLAIMED = "an update says that it has changed something"
TURNED = "what is found comes in reverse order"
BROKEN = "the client's event loop is closed"
LIES = (LOST, NOTHING, INVENTED, CLAIMED, TURNED, BROKEN)
_ALTERED, _FIELD = "the field `", "` of what is read is altered"


def altered(field: str) -> str:
    """Return the name of the lie that gives a field another value."""
    return f"{_ALTERED}{field}{_FIELD}"


def field_of(lie: str) -> str:
    """Return the field that a lie alters; an empty text when it alters none."""
    return lie.removeprefix(_ALTERED).removesuffix(_FIELD) if lie.endswith(_FIELD) else ""
