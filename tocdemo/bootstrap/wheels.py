"""Which packages of a lock have no wheel for a system: pip would have to build them, with a compiler.

A program for the interpreter of an environment, whose pip brings the rules of wheels' names (`packaging`). It
knows nothing of the project.
"""

import json
import re
import sys

try:
    from pip._vendor.packaging import markers, tags  # type: ignore[import-not-found]  # not everywhere
except ImportError:
    from packaging import markers, tags  # type: ignore[no-redef]

_LINE = re.compile(r"^([\w.-]+==[^\s;]+)(?:\s*;\s*([^\\]+?))?\s*\\?$", re.MULTILINE)


def lacking(
    lock: str, wheels: "dict[str, list[str]]", supported: "set[str]", **environment: str
) -> "list[str]":
    """Return the packages of a lock's text, as `name==version`, of which no wheel has a supported tag.

    `wheels` holds the tags of those that are not pure Python. `environment` changes values of environment
    markers (PEP 508), of this interpreter by default.
    """
    wanted = [
        package
        for package, marker in _LINE.findall(lock)
        if not marker or markers.Marker(marker).evaluate(environment)
    ]
    return [each for each in wanted if each in wheels and not _fits(wheels[each], supported)]


def _fits(wheels: "list[str]", supported: "set[str]") -> bool:
    return any(str(tag) in supported for each in wheels for tag in tags.parse_tag(each))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as lock_file, open(sys.argv[2], encoding="utf-8") as wheel_file:
        print(*lacking(lock_file.read(), json.load(wheel_file), set(map(str, tags.sys_tags()))), sep="\n")
