"""The corpus: each failure is explained, its object and place named, and each advice alone leads to green."""

from __future__ import annotations

import pytest

from .corpus.case import cases
from .corpus.environments import environment, uv
from .corpus.trial import Verdict, services, trial

CASES = {case.name: case for case in cases()}


@pytest.fixture(scope="module", autouse=True)
def served():
    with services():
        yield


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.environment])
def test_what_is_said_is_right_and_what_is_advised_works(name, tmp_path):
    case = CASES[name]
    if case.missing:
        pytest.skip(f"needs {case.missing}")
    check(trial(case, tmp_path))


@pytest.mark.environments
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.environment])
def test_in_an_environment_of_its_own(name, tmp_path, tmp_path_factory, request):
    if "environments" not in request.config.getoption("-m"):
        pytest.skip("installs packages into environments of their own: `-m environments`")
    if uv() is None:
        pytest.skip("there is no uv, which makes the environments")
    case = CASES[name]
    home = tmp_path_factory.getbasetemp() / "environments"
    check(trial(case, tmp_path, environment(home, case.environment)))


def check(verdict: Verdict) -> None:
    case = verdict.case
    said = verdict.first.full or verdict.first.text
    assert verdict.first.passed == case.passed, said
    assert verdict.recognised, said
    assert verdict.named or case.kind == "healthy", said
    assert verdict.false == [], said
    assert verdict.red == 0, said
    assert len(verdict.followed) == case.advice, said
