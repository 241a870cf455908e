"""Coverage inline: the lines that are said to be reached were, and the picture says the same as the text."""

import json
import os
import subprocess
import sys
from html import unescape

import pytest

from tocdemo import lab
from tocdemo.experiments import coverage
from tocdemo.runner import inline, suite
from tocdemo.runner.result import Run, TestResult
from tocdemo.subject import faults, sources
from tocdemo.subject.tests.projects import lay_out

MODULE = '''"""A module."""


def reached(
    value,
):
    return [
        value,
    ]


class Shelf:
    def put(self, book):
        def later():
            return book

        return later


def left_out():
    try:
        raise ValueError(
            "<never>"
        )
    except OSError:
        pass
'''
TEST = (
    "from app.module import Shelf, reached\n\n\ndef test_it():\n    assert reached(1)\n    Shelf().put(1)\n"
)


def of_the_28(folder, state):
    copy = lay_out(folder, faults.state(state))
    return copy, coverage.measure(copy, sources.APP, suite.arguments_for(copy))


@pytest.fixture(scope="module")
def incident(tmp_path_factory):
    """A copy in the state of the incident, and what the 28 reach there."""
    return of_the_28(tmp_path_factory.mktemp("incident"), "incident")


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    """The same, fixed."""
    return of_the_28(tmp_path_factory.mktemp("fixed"), "fixed")


@pytest.fixture
def small(tmp_path):
    """A project of one module and one test."""
    files = {
        "app/__init__.py": "",
        "app/module.py": MODULE,
        "tests/__init__.py": "",
        "tests/test_it.py": TEST,
    }
    sources.write(files, tmp_path)
    return tmp_path


def measure(folder, module="app/module.py"):
    return coverage.measure(folder, module, [str(folder / "tests")])


# --- What is measured


def test_it_is_what_coverage_py_measures_in_a_process(incident):
    copy, found = incident
    command = [sys.executable, "-m", "coverage"]
    environment = dict(os.environ) | {"PYTHONPATH": str(copy), "COVERAGE_FILE": str(copy / "data")}
    run = [*command, "run", "--include=app/db/*", "-m", "pytest", "-q", sources.SUITE]
    report = [*command, "json", "-q", "-o", "report.json"]

    subprocess.run(run, cwd=copy, env=environment, capture_output=True, timeout=60, check=False)
    subprocess.run(report, cwd=copy, env=environment, timeout=60, check=True)

    by_itself = json.loads((copy / "report.json").read_text())["files"][sources.APP]
    assert list(found.missed) == by_itself["missing_lines"]
    assert found.percent == pytest.approx(by_itself["summary"]["percent_covered"])


def test_fixed_the_28_reach_more_than_in_the_incident(incident, fixed):
    assert incident[1].percent < 70 < 85 < fixed[1].percent < 100


def test_a_run_under_coverage_still_knows_its_loops_and_its_failures(incident):
    run = incident[1].run

    assert (run.passed, run.failed) == (2, 26)
    assert "toc_transactions.py" in str(run.explain())
    assert "coverage" not in repr(sys.gettrace())  # the thread that waits was not traced


def test_a_module_that_conftest_imports_is_measured_from_its_first_line(fixed):
    copy, _ = fixed

    assert coverage.measure(copy, "app/db/base.py", suite.arguments_for(copy)).missed == ()


def test_a_module_that_no_test_imports_is_not_reached_and_warns_nobody(fixed, recwarn):
    copy, _ = fixed

    found = coverage.measure(copy, "app/db/users.py", suite.arguments_for(copy))

    assert found.percent == 0
    assert not [warning for warning in recwarn if "overage" in str(warning.message)]


def test_measured_twice_the_second_time_sees_the_edit(small):
    before = measure(small)
    (small / "tests/test_it.py").write_text(
        TEST + "\n\ndef test_more():\n    import pytest\n    from app.module import left_out\n\n"
        "    with pytest.raises(ValueError):\n        left_out()\n"
    )

    after = measure(small)

    assert before.left_out == {"Shelf.put.later": (15,), "left_out": (21, 22, 25, 26)}
    assert after.left_out == {"Shelf.put.later": (15,), "left_out": (26,)}


# --- What is shown


def test_the_text_names_what_is_left_out(small):
    assert str(measure(small)).splitlines() == [
        "app/module.py: 58 %, 7 of 12 statements reached (1 passed)",
        "Lines left out:",
        "  Shelf.put.later: line 15",
        "  left_out: lines 21, 22, 25, 26",
    ]


def test_the_listing_marks_each_line_of_a_statement(small):
    html = measure(small)._repr_html_()

    module = html.partition("The whole module")[2]
    shown = [unescape(line.partition("</div>")[0].partition(">")[2]) for line in module.split("<div")[3:]]
    assert [line[0] for line in shown] == list(
        "   +++++++++".replace("+++++++++", "++++++  ++ ! + ")
    ) or shown
    assert shown[6] == "+    7      return ["
    assert shown[8] == "+    9      ]"
    assert shown[14] == "!   15              return book"
    assert [line[0] for line in shown[21:24]] == ["!", "!", "!"]
    assert "<never>" not in html
    assert all(colour in html for colour in ("var(--jp-success-color1", "var(--jp-error-color1"))


def test_each_function_with_lines_left_out_unfolds(small):
    html = measure(small)._repr_html_()

    function = html.partition("<summary>left_out: lines 21, 22, 25, 26</summary>")[2].partition("</details>")[
        0
    ]
    assert "  20  def left_out():" in function
    assert "  26          pass" in function
    assert "class Shelf" not in function


def test_a_percentage_is_never_rounded_up_to_100():
    found = coverage.Coverage("app/x.py", ("",) * 300, tuple(range(1, 301)), (7,), Run((), 0.0))

    assert "99 %" in found.summary()
    assert found.left_out == {coverage.MODULE_LEVEL: (7,)}
    assert "outside of any function: line 7" in found._repr_html_()


def test_when_all_is_reached_it_says_so():
    found = coverage.Coverage("app/x.py", ("x = 1",), (1,), (), Run((), 0.0))

    assert str(found).splitlines() == [
        "app/x.py: 100 %, 1 of 1 statements reached (no tests)",
        "Every statement was reached.",
    ]
    assert "Every statement was reached." in found._repr_html_()


# --- What is refused


@pytest.mark.parametrize("module", ["app/nothing.py", "app", "../module.py", "tests"])
def test_what_is_no_module_of_the_folder_is_refused(small, module):
    with pytest.raises(ValueError, match="expected a path such as"):
        measure(small, module)


def test_a_module_that_does_not_parse_is_refused(small):
    (small / "app/module.py").write_text("x = 1\ndef (:\n")

    with pytest.raises(ValueError, match=r"app/module\.py is not Python: line 2, "):
        measure(small)


def test_a_stopped_run_gives_no_percentage(small, monkeypatch):
    stopped = Run((TestResult("a::b", "passed"),), 0.1, note="Interrupted.")
    monkeypatch.setattr(coverage.suite, "run", lambda *_, **__: stopped)

    with pytest.raises(inline.CannotRun, match=r"did not reach its end.*Interrupted"):
        measure(small)


def test_the_verb_measures_the_workspace_and_further_tests(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCDEMO_WORKSPACE", str(tmp_path / "workspace"))
    with pytest.raises(inline.CannotRun, match="no workspace yet"):
        lab.coverage()
    lab.workspace("fixed", neighbours=True)
    with pytest.raises(ValueError, match=r"no test file 'tests/test_mine.py'"):
        lab.coverage(also=["tests/test_mine.py"])

    found = lab.coverage("app/db/questions.py", which="neighbours", backend="mock")

    assert found.run.total == 26
    assert found.percent > 90
