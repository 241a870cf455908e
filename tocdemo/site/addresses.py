"""Where a lesson can be opened: the addresses that follow from that of the course's repository.

Without an address there is no link: none is guessed. It knows nothing of how pages are made.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from tocdemo.errors import BadInput

SETTINGS = "tool.tocdemo.site"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


@dataclass(frozen=True)
class Addresses:
    """The course's `repository` on GitHub, its `branch`, and a JupyterHub; empty is what is not known."""

    repository: str = ""
    branch: str = "main"
    hub: str = ""

    def __post_init__(self) -> None:
        if self.repository and not _GITHUB.fullmatch(self.repository):
            raise BadInput(
                f"expected a repository such as https://github.com/OWNER/NAME, found {self.repository!r}"
            )
        if self.hub and not self.hub.startswith("https://"):
            raise BadInput(f"expected a JupyterHub such as https://hub.example.org, found {self.hub!r}")

    def of(self, notebook: str) -> dict[str, str]:
        """Return the addresses that open a notebook (its path in the repository), by what they open.

        They are as the documentation of mybinder.org, of GitHub Codespaces and of nbgitpuller has them.
        """
        found = _GITHUB.fullmatch(self.repository)
        if not found:
            return {}
        place, branch = found[1], quote(self.branch, safe="")
        document = urlencode({"urlpath": f"lab/tree/{notebook}"})
        opened = {
            "Binder": f"https://mybinder.org/v2/gh/{place}/{branch}?{document}",
            "Codespaces": f"https://codespaces.new/{place}/tree/{quote(self.branch)}?quickstart=1",
        }
        if self.hub:
            pulled = {
                "repo": f"https://github.com/{place}",
                "branch": self.branch,
                "urlpath": f"lab/tree/{place.rpartition('/')[2]}/{notebook}",
            }
            opened = {
                "JupyterLab": f"{self.hub.rstrip('/')}/hub/user-redirect/git-pull?{urlencode(pulled)}"
            } | opened
        return opened


def configured(root: Path, repository: str | None = None) -> Addresses:
    """Return the addresses that pyproject.toml has below `root`; `repository` stands in place of its own."""
    with (root / "pyproject.toml").open("rb") as file:
        tables = tomllib.load(file)
    for name in SETTINGS.split("."):
        tables = tables.get(name, {})
    unknown = set(tables) - {"repository", "branch", "hub"}
    if unknown:
        raise BadInput(f"pyproject.toml, [{SETTINGS}]: unknown {', '.join(sorted(unknown))}")
    return Addresses(**(tables | ({"repository": repository} if repository else {})))
