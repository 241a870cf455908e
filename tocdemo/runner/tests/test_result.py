"""A run as a value: its counts, its lasting form, and how it is shown."""

import json

import pytest

from tocdemo.loopwatch import Recording
from tocdemo.runner import inline, suite
from tocdemo.runner.result import Counts, Run, TestResult, together
from tocdemo.subject.tests.projects import lay_out

MIXED = Run(
    results=(
        TestResult("t.py::test_a", "passed", 0.1, loop=1),
        TestResult("t.py::test_b", "failed", 0.2, "ValueError: <b> & {x}", "the trace", 2),
        TestResult("t.py::test_c", "failed", 0.2, "ValueError: <b> & {x}", "", 3),
        TestResult("t.py::test_d", "error", 0.0, "KeyError: 'k'"),
        TestResult("t.py::test_e", "skipped"),
    ),
    seconds=0.5,
)
GREEN = Run((TestResult("t.py::test_a", "passed"),), 0.1)


def test_the_counts_are_those_of_the_results():
    assert (MIXED.passed, MIXED.failed, MIXED.errors, MIXED.skipped, MIXED.total) == (1, 2, 1, 1, 5)
    assert MIXED.passed_tests == ["test_a"]
    assert list(MIXED.error_lines.items()) == [("ValueError: <b> & {x}", 2), ("KeyError: 'k'", 1)]
    assert MIXED.summary() == "1 passed, 2 failed, 1 error, 1 skipped in 0.50 s"


def test_green_is_all_passed_some_test_and_no_note():
    assert GREEN.green
    assert not MIXED.green
    assert not Run((), 0.0).green
    assert not Run(GREEN.results, 0.1, note="Interrupted").green


def test_a_run_as_json_names_every_test():
    data = json.loads(json.dumps(MIXED.to_json()))
    assert data["total"] == len(data["tests"])
    assert data["tests"][1]["name"] == "test_b"


def test_a_test_without_its_own_trace_has_that_of_the_same_error():
    assert MIXED.trace("test_b") == MIXED.trace("test_c") == MIXED.trace("t.py::test_c") == "the trace"
    with pytest.raises(KeyError, match="test_a"):
        MIXED.trace("test_z")


def test_the_prediction_stands_beside_the_measurement():
    wrong = Run(MIXED.results, 0.5, guess=Counts(5))
    measured = "Measured: 1 passed, 2 failed, 1 error, 1 skipped."
    assert f"You predicted: 5 passed. {measured} They differ" in str(wrong)
    assert "Your prediction was right." in str(Run(GREEN.results, 0.1, guess=Counts(1)))


def test_a_prediction_of_another_number_of_tests_is_not_judged():
    run = Run(MIXED.results, 0.5, guess=Counts(20, 20))
    assert "You predicted 20 passed, 20 failed: that is 40 tests, and there are 5." in str(run)


def test_a_run_that_was_interrupted_is_not_judged():
    said = str(Run(GREEN.results, 0.1, guess=Counts(1), note="Interrupted."))
    assert "The run did not reach its end, so it is not compared." in said
    assert "right" not in said


def test_the_html_escapes_and_says_in_words_and_symbols_what_colours_say():
    html = MIXED._repr_mimebundle_()["text/html"]
    assert "ValueError: &lt;b&gt; &amp; {x}" in html
    assert "<b> &" not in html
    for symbol, word in (("✓", "passed"), ("✗", "failed"), ("E", "error"), ("s", "skipped")):
        assert f"{symbol}</summary>" in html
        assert f"{symbol} {word}</td>" in html
    assert "2. test_b: failed" in html
    assert "The 5 tests as a table" in html
    assert "<script" not in html


def test_the_bundle_holds_what_a_manifest_is_held_to():
    contract = MIXED._repr_mimebundle_()["application/vnd.tocdemo.run+json"]
    assert contract["error_lines"] == {"ValueError: <b> & {x}": 2, "KeyError: 'k'": 1}
    assert contract["total"] == 5


def test_several_runs_make_one():
    whole = together([GREEN, Run(MIXED.results, 1.0, note="n"), Run((), 1.0, note="n")], "all")
    assert (whole.total, whole.title, whole.note) == (6, "all", "n")
    assert whole.seconds == pytest.approx(2.1)


def test_a_run_without_a_record_says_why_there_is_no_picture():
    with pytest.raises(ValueError, match="no record of its event loops"):
        MIXED.timeline()


def test_the_incident_explains_itself(tmp_path):
    from tocdemo.subject import faults

    folder = lay_out(tmp_path, faults.state("incident"))
    run = inline.run(folder, arguments=suite.arguments_for(folder))
    assert [result.loop for result in run.results] == list(range(1, 29))
    explained = run.explain()
    assert len(explained.texts) + explained.more == 26
    assert "loop" in str(explained)
    assert "books_collection" in str(run.who_holds_what()._repr_html_())
    assert "test_update_toc_success" in str(run.timeline()._repr_html_()) or run.timeline()


def test_a_test_and_its_fixture_may_each_have_a_cause_of_their_own():
    texts = {
        "t.py::test_a": "loopwatch: a\n  held as: x",
        "t.py::test_b": "loopwatch: b\n  held as: y\n\nloopwatch: a\n  the same cause as in t.py::test_a, …",
        "t.py::test_c": "loopwatch: a\n  the same cause as in t.py::test_a, which has the full explanation",
    }
    run = Run((), 0.1, recording=Recording("3.11", {}, explanations=texts))
    assert run.explain().texts == ("loopwatch: a\n  held as: x", "loopwatch: b\n  held as: y")
    assert str(run.explain()).endswith("1 more test failed for the same cause.")


def test_a_test_can_come_several_times_each_with_fresh_fixtures(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\nseen = []\n\n"
        "@pytest.fixture\ndef number():\n    seen.append(1)\n    return len(seen)\n\n"
        "def test_it(number):\n    assert number < 3\n\n"
        "def test_other():\n    pass\n"
    )
    run = suite.run(tmp_path, [str(tmp_path)], only="test_it", times=4)

    assert [result.name for result in run.results] == [f"test_it[{number}]" for number in (1, 2, 3, 4)]
    assert (run.passed, run.failed, run.title) == (2, 2, "test_it, 4 times")
