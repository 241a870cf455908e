"""Output that can be written to, whatever the terminal, and a sentence for a disk or a pipe that cannot.

It parses on Python 3.6, and knows nothing of what is printed.
"""

import errno
import os
import sys

_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_NO_TEMPORARY = "No usable temporary directory"  # tempfile's words, in a FileNotFoundError


def make_usable() -> None:
    """Let nothing that is printed fail for its characters, or because the output was closed before."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed, as by `>&-`: else the next file that is opened would be the output
            _open_nowhere(number)
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def discard() -> None:
    """Send what is still to be printed nowhere: there is no room for it, or nobody to read it."""
    _open_nowhere(sys.stdout.fileno())


def sentence(error: OSError) -> "str | None":
    """Say of an error of the machine what to do; None for any other, which is a fault of ours."""
    if error.errno in _NO_ROOM or _NO_TEMPORARY in str(error):
        place = error.filename or os.environ.get("TMPDIR") or "the output's place or the temporary folder"
        return f"there is no room left to write to ({place}); make some, or set TMPDIR to another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or 'a file'} cannot be used ({error.strerror}); change its permissions"
    return None


def _open_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
    os.set_inheritable(number, True)
