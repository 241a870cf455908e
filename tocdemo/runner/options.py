"""How a suite is to be run, as one value that is checked when it is made.

Whatever it holds is heeded wherever it goes, also in another process, or it is refused here with a sentence.
It knows nothing of how runs are done.
"""

from dataclasses import dataclass, field
from typing import Any

from tocdemo.errors import BadInput, CannotRun


@dataclass(frozen=True)
class RunOptions:
    """How to run a suite: `RunOptions()` runs all of its tests together, in this process.

    `each` runs every test alone. `only` keeps the tests of one name, `without` all but those; with `times`
    each comes so many times. `new_process` runs in a fresh Python process. `fixtures` are pytest fixtures
    that come in place of the suite's own of the same name. `backend` is what `databases.open_database` takes;
    with None the suite looks after its database itself. A test is stopped after `timeout` seconds. `title`
    stands over the result; without one it is made from the rest. `own_settings` says that the suite is the
    learner's own: then pytest's settings in the environment hold, such as PYTEST_ADDOPTS. `python` is another
    Python, in a process of which the suite runs: an interpreter, or the folder of a virtual environment.

    Raises BadInput for a value that means nothing, and CannotRun for two that do not go together.
    """

    each: bool = False
    only: str | None = None
    without: str | None = None
    times: int = 1
    new_process: bool = False
    fixtures: tuple[Any, ...] = ()
    backend: str | None = field(default=None, repr=False)  # its URI may hold a password
    timeout: float = 30.0
    title: str = ""
    own_settings: bool = False
    python: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or isinstance(self.times, bool) or self.times < 1:
            raise BadInput(f"Expected times=1 or more, found {self.times!r}")
        if not isinstance(self.timeout, int | float) or not 0 < self.timeout < float("inf"):
            raise BadInput(f"Expected a timeout in seconds, such as timeout=30; found {self.timeout!r}")
        for name in ("only", "without", "backend", "python"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value):
                raise BadInput(f"Expected {name} to be a name, found {value!r}")
        if self.only is not None and self.only == self.without:
            raise BadInput(f"{self.only!r} is to be run and to be left out: leave `only` or `without` out")
        if self.fixtures and self.new_process:
            raise CannotRun("Fixtures of a notebook are not there in a new process: run without new_process")
        if self.python is not None and (self.fixtures or self.times > 1):
            what = "Fixtures of a notebook are not there" if self.fixtures else "Tests are not repeated"
            raise CannotRun(f"{what} in another Python: leave {'fixtures' if self.fixtures else 'times'} out")

    @property
    def heading(self) -> str:
        """What stands over the result."""
        if self.title:
            return self.title
        how = self.only or ("each alone" if self.each else "together")
        if self.times > 1:
            how = f"{self.only or ('each alone' if self.each else 'each test')}, {self.times} times"
        return f"{how}, in a new process" if self.new_process else how
