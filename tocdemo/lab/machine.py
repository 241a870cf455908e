"""The verb that looks at the machine. It knows nothing of lessons and of what was run before."""

from tocdemo.doctor import examining
from tocdemo.doctor.findings import Findings


def doctor() -> Findings:
    """Say whether this machine is ready for the course, and what to do where it is not. It takes seconds.

    What it shows is also what a report of a mistake should hold: it names no user and no password.
    """
    return examining.examine()
