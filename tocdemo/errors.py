"""Every error that this project raises for its users, as one tree: each message says what to do.

    TocdemoError
    ├── BadInput           a name, number or text that was given cannot be used (a ValueError, too)
    │   ├── BadPath        a path points where nothing may be written
    │   └── CourseError    the manifest or a lesson is not as it should be
    ├── CannotRun          a run could not begin, or found no test
    │   └── NoDatabase     the database that was asked for cannot be used
    ├── CannotExplore      operations cannot be explored, or a schedule does not fit them
    ├── CannotBuild        an environment of other versions cannot be made
    ├── NothingToChange    a fault did not find what it takes away
    ├── SetupError         the environment of the course cannot be made
    ├── ScriptFailed       a script ended otherwise than it should have
    └── NothingRaised      an error that belongs to the lesson did not come (an AssertionError, too)

It parses on Python 3.6, as `bootstrap` does. The embedded server and loopwatch know nothing of it: they
answer a client, or a test run.
"""


class TocdemoError(Exception):
    """Something is not as it should be; the message says what was expected and what to do."""

    def _render_traceback_(self) -> "list[str]":
        # IPython asks for it: a notebook shows the sentence, and not the way through this project's code.
        return [f"{type(self).__name__}: {self}"]


class BadInput(TocdemoError, ValueError):
    """A name, number or text that was given cannot be used; the message says what was expected."""


class BadPath(BadInput):
    """A path points where nothing may be written; the message says what was expected."""


class CourseError(BadInput):
    """The manifest or a lesson is not as it should be; the message says where, and what was expected."""


class CannotRun(TocdemoError, RuntimeError):
    """A run could not begin, or found no test; the message says why and what to do."""


class NoDatabase(CannotRun):
    """The database that was asked for cannot be used; the message says why and what to do."""


class CannotExplore(TocdemoError):
    """The operations cannot be explored, or a schedule does not fit them; the message says why."""


class CannotBuild(TocdemoError):
    """An environment of other versions cannot be made, or the suite does not start in it."""


class NothingToChange(TocdemoError):
    """A fault did not find what it takes away: the text has the fault already, or was edited."""


class SetupError(TocdemoError):
    """The set-up cannot go on; the message says why and what to do."""


class ScriptFailed(TocdemoError, RuntimeError):
    """A script failed and should not have, or did not fail as it should have."""


class NothingRaised(TocdemoError, AssertionError):
    """An error that belongs to the lesson did not come."""
