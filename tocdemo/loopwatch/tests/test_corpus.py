"""The corpus: each failure is explained, its object and place named, and each advice alone leads to green."""

from __future__ import annotations

import pytest

from .corpus.case import cases
from .corpus.trial import services, trial

CASES = {case.name: case for case in cases()}


@pytest.fixture(scope="module", autouse=True)
def served():
    with services():
        yield


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_is_right_and_what_is_advised_works(name, tmp_path):
    case = CASES[name]
    if case.environment or case.missing:
        pytest.skip(f"needs {case.missing or ' '.join(case.environment)}, in an environment of its own")
    verdict = trial(case, tmp_path)
    said = verdict.first.full or verdict.first.text
    assert verdict.first.passed == case.passed, said
    assert verdict.recognised, said
    assert verdict.named or case.kind == "healthy", said
    assert verdict.red == 0, said
    assert len(verdict.followed) == case.advice, said
