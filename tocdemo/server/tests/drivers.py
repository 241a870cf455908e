"""The drivers' own test suites, run against this server and counted: passed, refused, wrong, hung.

A source distribution of PyMongo or Motor holds its suite in the folder `test`. It must not know what a test
is about: it reads pytest's report, and takes a failure for a refusal only when the server's own error 238,
115 or 59 is in it. What fails otherwise is run once more, alone: a test that then passes was disturbed by the
load, and one during which the server refused something (238) is refused.

    pip download --no-deps --no-binary :all: pymongo==4.17.0   # then unpack it
    python -m tocdemo.server.tests.drivers pymongo-4.17.0 --python venv/bin/python --replica-set rs0

`venv` needs the driver, pytest, pytest-asyncio and pytest-timeout; for Motor's suite mockupdb, tornado and
aiohttp, too.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from tocdemo.server import EmbeddedServer

Outcome = Literal["passed", "skipped", "outside", "refused", "hung", "wrong"]
_LIMIT_SECONDS = 90
# Threads that tests leave behind would keep the process for ever.
_PYTEST = "import os, sys, pytest; os._exit(pytest.main(sys.argv[1:]))"
_REFUSAL = re.compile(
    r"[^\n:(]{1,80} is not implemented by this embedded"
    r"|not implemented by this embedded test server: [^\n]{0,80}"
    r"|no such command: '\w+'|'?code'?: 115\b"
)
# Not a server's: a name service, a machine that is a container, a second member, the port 27017, encryption.
_OUTSIDE = re.compile(
    r"DNS query name|error for test 'SRV URI|'runtime': 'docker'|No replica set members match selector"
    r"|localhost:27017: \[Errno|192\.0\.2\.1:27017: \[Errno|pymongocrypt"
    r"|test_causal_consistency"  # reads from a secondary
    r"|find 4 \{'topologyDescriptionChangedEvent'"  # of three members and the closing
    r"|expected to receive OpQuery"  # of a mock server
    r"|test_client_attrs|test_client_session_attrs"  # of Motor and PyMongo
    r"|put_start <= last_mod_dt"  # aiohttp rounds the header up
)
_ABOUT_OTHERS = ("test_dns", "test_srv_polling", "test_auth_oidc", "test_ocsp_cache", "test_ssl")


@dataclass(frozen=True)
class Found:
    """What became of one test: its name with its module, the outcome, and the words that say so."""

    name: str
    outcome: Outcome
    words: str = ""
    place: str = ""  # as pytest's arguments name it


def run_suite(folder: Path, python: str, replica_set: str | None, arguments: list[str]) -> list[Found]:
    """Run the suite in an unpacked source distribution by an interpreter that has the driver, against a new
    server: a standalone, or with a name a replica set of one member. `arguments` go to pytest.
    """
    found, _ = _run(folder, python, replica_set, arguments)
    return [
        _again(folder, python, replica_set, one) if one.outcome in ("wrong", "hung") else one for one in found
    ]


def _again(folder: Path, python: str, replica_set: str | None, one: Found) -> Found:
    found, refused = _run(folder, python, replica_set, [one.place])
    second = found[0] if found else one
    if refused and second.outcome == "wrong":
        return Found(one.name, "refused", refused[0].partition(";")[0])
    return second


def _run(
    folder: Path, python: str, replica_set: str | None, arguments: list[str]
) -> tuple[list[Found], list[str]]:
    """What became of the tests, and the server's words with each error 238."""
    ignored = [f"--ignore-glob=*{name}.py" for name in _ABOUT_OTHERS]
    server = EmbeddedServer(replica_set=replica_set, streaming=True)
    with server, tempfile.TemporaryDirectory() as scratch:
        refused = _refusals(server)
        report = Path(scratch) / "report.xml"
        options = ["-q", "--tb=native", "--maxfail=100000", "-p", "no:cacheprovider", *ignored]
        options += ["-W", "ignore::pytest.PytestDeprecationWarning", "-o", "junit_family=xunit1"]
        options += [f"--junitxml={report}", f"--timeout={_LIMIT_SECONDS}", *arguments]
        environment = os.environ | {"DB_IP": server.host, "DB_PORT": str(server.port)}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [python, "-c", _PYTEST, *options]
        subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=False)
        return [_read(case) for case in ElementTree.parse(report).iter("testcase")], refused


def _refusals(server: EmbeddedServer) -> list[str]:
    """A list that gets the words of each error 238 from now on."""
    refused: list[str] = []
    dispatcher = server._dispatcher
    assert dispatcher is not None
    run = dispatcher.run

    def noting(*arguments: Any) -> dict[str, Any]:
        reply = run(*arguments)
        if reply.get("code") == 238:
            refused.append(reply["errmsg"])
        return reply

    dispatcher.run = noting  # type: ignore[method-assign]
    return refused


def _read(case: ElementTree.Element) -> Found:
    kind, test = case.get("classname", ""), case.get("name")
    module, _, group = kind.rpartition(".")
    place = f"{module.replace('.', '/')}.py::{group}::{test}"
    outcome: Outcome = "passed"
    words = ""
    for element in case:
        words = f"{element.get('message')}\n{element.text}"
        if element.tag == "skipped":
            outcome = "skipped"
        elif element.tag in ("failure", "error"):
            outcome, words = _failed(f"{kind}.{test}", words)
    return Found(f"{kind}.{test}", outcome, words, place)


def _failed(name: str, words: str) -> tuple[Outcome, str]:
    if "from pytest-timeout" in words:
        return "hung", words
    if _OUTSIDE.search(f"{name} {words}"):
        return "outside", words
    refusal = _REFUSAL.search(words)
    return ("refused", refusal.group()) if refusal else ("wrong", words)


def main(argv: list[str] | None = None) -> int:
    """Run a suite and print the counts, what was refused how often, and each wrong answer."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="an unpacked source distribution of PyMongo or Motor")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the driver")
    parser.add_argument("--replica-set", metavar="NAME", help="be a replica set, not a standalone")
    options, arguments = parser.parse_known_args(argv)
    found = run_suite(options.folder, options.python, options.replica_set, arguments)
    counts = Counter(one.outcome for one in found)
    for words, number in Counter(one.words for one in found if one.outcome == "refused").most_common():
        print(f"{number:5} refused: {words.strip()}")
    for one in found:
        if one.outcome in ("wrong", "hung"):
            print(f"{one.outcome}: {one.name}: {one.words.splitlines()[0][:200]}")
    print(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome.__args__))
    return 1 if counts["wrong"] or counts["hung"] else 0


if __name__ == "__main__":
    sys.exit(main())
