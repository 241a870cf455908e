"""What a report of this machine may say of it: no name of a user, and no path that holds one.

It knows where the project and the home folder lie. Logins in addresses are hidden where those are known.
"""

import getpass
import re
from pathlib import Path

from tocdemo.subject import workspace

PROJECT, HOME, SOMEBODY = "PROJECT", "~", "…"


def without_names(text: str) -> str:
    """Return `text` with the project's folder as PROJECT, the home folder as ~, and the user's name as …."""
    for folder, shown in ((workspace.ROOT, PROJECT), (_home(), HOME)):
        if folder is not None and folder != Path(folder.anchor):
            text = re.sub(rf"{re.escape(str(folder))}(?![\w.-])", shown, text)
    name = _user()
    # As part of a path alone: a user may be called `python`.
    return re.sub(rf"(?<=[/\\]){re.escape(name)}(?=[/\\]|$)", SOMEBODY, text) if name else text


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # a user without a home
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
