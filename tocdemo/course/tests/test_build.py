"""The builder and the contract check, on lessons of three lines and on outputs made by hand."""

from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest

from tocdemo.course import build
from tocdemo.course.contracts import EXPECTED_TYPE, ORDERS_TYPE, RUN_TYPE, violations
from tocdemo.course.manifest import CourseError, load
from tocdemo.course.prose import minutes

MANIFEST = """
[[lesson]]
slug = "00_first"
title = "First"

[[lesson.run]]
cell = "together"
passed = 2
failed = 26
error = { text = "loop is closed", count = 26 }
passed_tests = ["test_a", "test_f"]

[[lesson.run]]
cell = "lucky"
passed = { min = 27, max = 28 }
failed = { min = 0, max = 1 }
every_error = "AssertionError"

[[lesson.expected]]
cell = "closed"
type = "RuntimeError"
match = "is clo.ed"

[[lesson]]
slug = "01_second"
title = "Second"
"""
SECONDS = '[seconds]\n"00_first" = 200\n"01_second" = 60.5\naside = 170\n'
FIRST = """# First

Text, [on](01_second.md#there) to the next.


More text.

```python run="together"
show()
```

```python
x = 1
```

```python
x = 1
```

```python run="lucky" tags=["raises-exception"] jupyter={"source_hidden": true}
show()
```

```python expected="closed"
show()
```

```python .noeval
only_read()
```

```python id="begin"
lab.lesson("00_first")
```
"""


def opening(slug: str) -> str:
    """The cell that every lesson has."""
    return f'\n```python id="begin"\nlab.lesson("{slug}")\n```\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons/course.toml").write_text(MANIFEST)
    (tmp_path / "lessons/seconds.toml").write_text(SECONDS)
    (tmp_path / "lessons/00_first.md").write_text(FIRST)
    (tmp_path / "lessons/01_second.md").write_text("# Second\n\nText.\n" + opening("01_second"))
    return tmp_path


def built(project: Path, slug: str = "00_first") -> nbformat.NotebookNode:
    return nbformat.read(project / "notebooks" / f"{slug}.ipynb", as_version=4)


def edit(project: Path, change) -> bytes:
    """Save the first notebook as a learner would, changed by `change(notebook)`; return the file's bytes."""
    path = project / "notebooks/00_first.ipynb"
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)
    return path.read_bytes()


def run_it(notebook: nbformat.NotebookNode) -> None:
    """What running and saving leaves in a notebook."""
    for count, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.execution_count = count
            cell.outputs = [nbformat.v4.new_output("stream", text="hello")]
            cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
    notebook.metadata["kernelspec"]["display_name"] = "my own"
    notebook.metadata["language_info"]["version"] = "3.12.1"


# --- the notebook ------------------------------------------------------------------------------------------


def test_a_rebuild_gives_the_same_bytes(project):
    build.build(project)
    first = {path.name: path.read_bytes() for path in (project / "notebooks").iterdir()}
    for path in (project / "notebooks").iterdir():
        path.unlink()
    build.build(project)
    assert {path.name: path.read_bytes() for path in (project / "notebooks").iterdir()} == first
    assert sorted(first) == ["00_first.ipynb", "01_second.ipynb"]


def test_cells_get_their_names_tags_and_no_outputs(project):
    build.build(project)
    code = [cell for cell in built(project).cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if len(cell.id) != 12] == [
        *("together", "lucky", "closed", "begin", "progress"),
    ]
    assert code[3].metadata == {"tags": ["raises-exception"], "jupyter": {"source_hidden": True}}
    assert code[0].metadata == {}
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert not any("only_read" in cell.source for cell in code)


def test_equal_cells_have_different_ids_and_an_edit_elsewhere_changes_none(project):
    build.build(project)
    before = [cell.id for cell in built(project).cells]
    assert len(set(before)) == len(before)
    (project / "lessons/00_first.md").write_text(FIRST.replace("More text.", "Other text."))
    build.build(project)
    after = [cell.id for cell in built(project).cells]
    assert [old == new for old, new in zip(before, after, strict=True)].count(False) == 1


def test_title_minutes_and_links_come_from_the_manifest(project):
    build.build(project)
    cells = built(project).cells
    assert "*Lesson 00, about 4 minutes*" in cells[0].source
    assert "[on](01_second.ipynb#there)" in cells[0].source
    assert "Next: [Second](01_second.ipynb)" in cells[-1].source
    assert "Before: [First](00_first.ipynb)" in built(project, "01_second").cells[-1].source


def test_an_optional_lesson_stands_outside_the_order_and_leads_to_the_map(project):
    optional = '[[lesson]]\nslug = "aside"\ntitle = "Aside"\noptional = true\n\n'
    before, middle, after = MANIFEST.partition('[[lesson]]\nslug = "01')
    (project / "lessons/course.toml").write_text(before + optional + middle + after)
    (project / "lessons/aside.md").write_text("# Aside\n\nFor [the next](01_second.md).\n" + opening("aside"))
    build.build(project)
    cells = built(project, "aside").cells
    assert "*Optional, about 3 minutes*" in cells[0].source
    assert "[the next](01_second.ipynb)" in cells[0].source
    assert cells[-1].source == "---\nThe map of the lessons: [First](00_first.ipynb)"
    assert "Next: [Second](01_second.ipynb)" in built(project).cells[-1].source


def test_images_are_shown_from_where_the_authors_keep_them(project):
    (project / "lessons/01_second.md").write_text(
        "# Second\n\n![grid](images/grid.png)\n" + opening("01_second")
    )
    with pytest.raises(CourseError, match=r"images/grid.png"):
        build.build(project)
    (project / "lessons/images").mkdir()
    (project / "lessons/images/grid.png").write_bytes(b"")
    build.build(project)
    assert "![grid](../lessons/images/grid.png)" in built(project, "01_second").cells[0].source


def test_a_link_to_a_page_that_is_no_lesson_leads_to_the_page(project):
    text = "# Second\n\nThe [report](report.md#end) says so.\n" + opening("01_second")
    (project / "lessons/01_second.md").write_text(text)
    with pytest.raises(CourseError, match=r"links to report\.md, which is no lesson"):
        build.build(project)
    (project / "lessons/report.md").write_text("# The report\n")
    build.build(project)
    assert "[report](../lessons/report.md#end)" in built(project, "01_second").cells[0].source


def test_a_file_of_the_workspace_becomes_a_link_and_code_stays(project):
    text = """# Second

Open `tests/conftest.py`, not `tests/other.py`, and [`pytest.ini`](there).

```
`tests/conftest.py`
```
"""
    (project / "lessons/01_second.md").write_text(text + opening("01_second"))
    build.build(project)
    shown = built(project, "01_second").cells[0].source
    assert "Open [tests/conftest.py](../workspace/01_second/tests/conftest.py), not `tests/other.py`" in shown
    assert "[`pytest.ini`](there)" in shown
    assert "\n`tests/conftest.py`\n" in shown


def test_a_lesson_that_no_cell_opens_is_refused(project):
    (project / "lessons/01_second.md").write_text("# Second\n\nText.\n" + opening("00_first"))
    with pytest.raises(CourseError, match=r'expected a cell with lab\.lesson\("01_second"\)'):
        build.build(project)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# First", "# Frist", "expected the first line `# First`"),
        ('run="together"', 'run="apart"', "contracts for cells that are not here.*together"),
        ("More text.", '```python run="other"\ny\n```', r"no \[\[lesson.run\]\].*other"),
        ('expected="closed"', 'id="closed" run="closed"', "may stand one of run, expected, id"),
        ('expected="closed"', 'expected="not closed"', "letters, digits"),
        ('run="lucky"', 'run="together"', "more than one cell is named together"),
        ('tags=["raises-exception"]', "tag=1", "may stand one of"),
        ("01_second.md", "07_none.md", "07_none.md, which is no lesson"),
        (
            "More text.",
            "So it is.[^nowhere]",
            r"\[\^nowhere\] leads nowhere: it is no cell here, and no source",
        ),
        ("More text.", "So it is.[^01_second:together]", "names a cell that is not in 01_second"),
    ],
)
def test_a_wrong_text_says_what_is_wrong_and_writes_nothing(project, old, new, message):
    (project / "lessons/00_first.md").write_text(FIRST.replace(old, new))
    with pytest.raises(CourseError, match=message):
        build.build(project)
    assert not (project / "notebooks").exists()


SOURCE = """
[the-rule]
title = 'The "rule"'
url = "https://example.org/rule"
package = "pytest"
version = "@"
module = "_pytest.outcomes"
says = "class   Skipped"
"""


def write_source(project, text=SOURCE):
    (project / "lessons/sources.toml").write_text(text.replace("@", version("pytest")))


def test_a_mark_becomes_a_link_and_the_sources_are_listed(project):
    write_source(project)
    text = FIRST.replace("More text.", "It is so.[^together] It is a rule.[^the-rule][^01_second:begin]")
    (project / "lessons/00_first.md").write_text(text.replace("only_read()", "x[^the-rule]"))
    build.build(project)
    source = "\n".join(cell.source for cell in built(project).cells)
    assert 'so.<sup>[↑](00_first.ipynb#cell-id=together "shown by a cell")</sup>' in source
    assert (
        """rule.<sup>[1](https://example.org/rule "The 'rule'")</sup> <sup>[↑](01_second.ipynb#cell-"""
        in source
    )
    assert '#### Sources\n\n1. [The "rule"](https://example.org/rule)' in source
    assert "x[^the-rule]" in source
    assert "Sources" not in "".join(cell.source for cell in built(project, "01_second").cells)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class   Skipped", "class Skippy", "the-rule: _pytest.outcomes does not say 'class Skippy'"),
        ('"@"', '"1.0"', "it is about pytest 1.0, installed is"),
        ('"pytest"', '"no-such-package"', "no-such-package is not installed"),
        ("_pytest.outcomes", "_pytest.nothing", "there is no _pytest.nothing"),
        ('url = "https', 'url = "ftp', "expected a title, and a url"),
        ("says", "said", "unknown said; known are"),
        ('module = "_pytest.outcomes"\n', "", "a module or a file goes with what it says"),
        ("[the-rule]", "[the-rule", "not valid TOML"),
    ],
)
def test_a_source_that_does_not_say_so_is_refused(project, old, new, message):
    assert old in SOURCE
    write_source(project, SOURCE.replace(old, new))
    with pytest.raises(CourseError, match=message):
        build.build(project)


def test_a_mark_that_is_two_things_is_refused(project):
    write_source(project, SOURCE.replace("the-rule", "together"))
    (project / "lessons/00_first.md").write_text(FIRST.replace("More text.", "So.[^together]"))
    with pytest.raises(CourseError, match="both a cell's name and a source's"):
        build.build(project)


def test_the_sentences_that_claim_and_bear_no_mark_are_listed(project, capsys):
    text = FIRST.replace(
        "More text.",
        "It never\nends. It always does.[^together] Is it 5? See lesson 07.\n\n- Since 3.0 it is so.\n- OK.",
    )
    (project / "lessons/00_first.md").write_text(text)
    assert build.tell_unmarked(project) == 0
    assert capsys.readouterr().out == (
        "lessons/00_first.md:6: It never ends.\nlessons/00_first.md:9: Since 3.0 it is so.\n"
    )


# --- how long it takes -------------------------------------------------------------------------------------


def test_minutes_are_words_lines_and_seconds():
    code = "```python\nx = 1\n\ny = 2\n```\n\n```\nno words here\n```\n"
    text = f"{'word ' * 145}\n\n| {'cell ' * 500}|\n\n{code}"
    assert minutes.of(text, 52) == minutes.Length(words=145, lines=2, seconds=52)
    assert minutes.of(text, 52).minutes == 2
    assert minutes.of("", 0).minutes == 1


def test_the_minutes_of_another_lesson_can_stand_in_a_text(project):
    (project / "lessons/00_first.md").write_text(FIRST.replace("More text.", "{minutes:01_second} minutes"))
    build.build(project)
    assert any("1 minutes" in cell.source for cell in built(project).cells)


def test_a_lesson_that_was_never_measured_is_refused(project):
    (project / "lessons/seconds.toml").write_text('[seconds]\n"00_first" = 1\n')
    with pytest.raises(CourseError, match=r"nobody has measured 01_second yet: .*build --measure 01_second"):
        build.build(project)
    (project / "lessons/seconds.toml").write_text('[seconds]\n"00_first" = "long"\n')
    with pytest.raises(CourseError, match="expected a number of seconds for 00_first"):
        build.build(project)


def test_a_measure_records_the_lessons_that_it_names(project, monkeypatch, capsys):
    monkeypatch.setattr(build.jupyter, "execute", lambda notebook, folder: notebook)
    assert build.measure(project, ["01_second"]) == 0
    kept = minutes.recorded(project)
    assert kept["00_first"] == 200
    assert 0 <= kept["01_second"] < 60
    with pytest.raises(CourseError, match="names no lesson 07_none"):
        build.measure(project, ["07_none"])


# --- building over what is there ---------------------------------------------------------------------------


def test_check_sees_content_and_not_outputs(project, capsys):
    build.build(project)
    assert build.check(project) == 0
    edit(project, run_it)
    assert build.check(project) == 0
    edit(project, lambda notebook: notebook.cells[0].update(source="# First\n\nMine."))
    assert build.check(project) == 1
    assert "notebooks/00_first.ipynb: differs" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        lambda notebook: notebook.cells[1].update(source="mine"),
        lambda notebook: notebook.cells.append(nbformat.v4.new_code_cell("mine")),
        lambda notebook: notebook.cells[2].update(id="renamed"),
        lambda notebook: notebook.cells.reverse(),
        lambda notebook: notebook.cells[2].metadata.update(tags=["raises-exception"]),
    ],
)
def test_an_edited_notebook_is_kept_before_it_is_replaced(project, capsys, change):
    build.build(project)
    mine = edit(project, change)
    capsys.readouterr()
    build.build(project)
    said = capsys.readouterr().out
    kept = list((project / ".tocdemo/backups").rglob("*.ipynb"))
    assert [path.read_bytes() for path in kept] == [mine]
    assert str(kept[0].relative_to(project)) in said
    assert build.check(project) == 0


def test_what_is_no_notebook_any_more_is_kept_too(project):
    build.build(project)
    (project / "notebooks/00_first.ipynb").write_text("half a file {")
    build.build(project)
    assert [path.read_text() for path in (project / ".tocdemo/backups").rglob("*.ipynb")] == ["half a file {"]


def test_a_notebook_that_was_only_run_is_cleaned_without_a_backup(project):
    build.build(project)
    clean = (project / "notebooks/00_first.ipynb").read_bytes()
    edit(project, run_it)
    (project / "lessons/01_second.md").write_text(
        "# Second\n\nOther text.\n" + opening("01_second")
    )  # an older build is no edit either
    build.build(project)
    assert (project / "notebooks/00_first.ipynb").read_bytes() == clean
    assert not (project / ".tocdemo").exists()


def test_a_lesson_that_is_gone_takes_its_notebook_along_but_no_learners(project):
    build.build(project)
    nbformat.write(nbformat.v4.new_notebook(), project / "notebooks/mine.ipynb")
    (project / "lessons/course.toml").write_text(MANIFEST.partition('[[lesson]]\nslug = "01')[0])
    (project / "lessons/00_first.md").write_text(FIRST.replace("(01_second.md#there)", "(there)"))
    assert any("01_second.ipynb: its lesson is not in" in line for line in build.differences(project))
    build.build(project)
    assert sorted(path.name for path in (project / "notebooks").iterdir()) == ["00_first.ipynb", "mine.ipynb"]
    assert build.check(project) == 0


@pytest.mark.parametrize("how", ["run", "copied"])
def test_a_lesson_that_is_gone_leaves_what_a_learner_saved_of_it(project, how):
    build.build(project)
    gone = project / "notebooks/01_second.ipynb"
    if how == "run":
        notebook = nbformat.read(gone, as_version=4)
        run_it(notebook)
        nbformat.write(notebook, gone)
    else:
        gone = gone.rename(gone.with_name("01_second-Copy1.ipynb"))
    saved = gone.read_bytes()
    (project / "lessons/course.toml").write_text(MANIFEST.partition('[[lesson]]\nslug = "01')[0])
    (project / "lessons/00_first.md").write_text(FIRST.replace("(01_second.md#there)", "(there)"))
    build.build(project)
    assert gone.read_bytes() == saved
    assert build.check(project) == 0


def test_a_missing_notebook_is_a_difference(project):
    build.build(project)
    (project / "notebooks/01_second.ipynb").unlink()
    assert build.differences(project) == ["notebooks/01_second.ipynb: missing"]


# --- the manifest ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "First"', 'titel = "First"', r"lesson 1: unknown titel; known are slug"),
        ('title = "First"', 'title = "First"\nminutes = 5', r"lesson 1: minutes are computed"),
        ('title = "First"', 'title = ""', r"expected title = a text"),
        ('"00_first"', '"first"', "a slug like 01_alone"),
        ('"Second"', '"Second"\noptional = true', r"a slug like .*without a number"),
        ('"Second"', '"Second"\noptional = "yes"', r"01_second\): expected optional = true"),
        ('"00_first"', '"first"\noptional = true', "first, has the map; it cannot be optional"),
        ('"00_first"', '"01_second"', "a slug of its own"),
        ("failed = 26", "failled = 26", "unknown failled; known are cell, passed, failed"),
        ("passed = 2\n", 'passed = "two"\n', "together, passed: expected a number"),
        ("{ min = 27, max = 28 }", "{ min = 28, max = 27 }", "min <= max"),
        ("{ min = 27, max = 28 }", "{ min = 27 }", "expected max = a number"),
        ("count = 26", "times = 26", "unknown times"),
        ("is clo.ed", "is (closed", "no regular expression"),
        ('cell = "closed"', 'cell = "is closed"', "letters, digits"),
        ("[[lesson]]", "[[lessons]]", "unknown lessons; known are lesson"),
        ('title = "First"', "title = ", "not valid TOML"),
    ],
)
def test_a_wrong_manifest_says_where_and_what_was_expected(project, old, new, message):
    (project / "lessons/course.toml").write_text(MANIFEST.replace(old, new))
    with pytest.raises(CourseError, match=message):
        load(project / "lessons/course.toml")


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(CourseError, match=r"course.toml: there is no such file"):
        build.build(tmp_path)


# --- the contract ------------------------------------------------------------------------------------------


def run_output(passed: int, failed: int, lines: dict, names: tuple = (), errors: int = 0) -> dict:
    run = {"passed": passed, "failed": failed, "errors": errors, "skipped": 0, "error_lines": lines}
    return nbformat.v4.new_output(
        "display_data", {RUN_TYPE: {**run, "passed_tests": list(names)}, "text/plain": ""}
    )


def error_output(kind: str, message: str) -> dict:
    return nbformat.v4.new_output("display_data", {EXPECTED_TYPE: {"type": kind, "message": message}})


RAISED = nbformat.v4.new_output("error", ename="ValueError", evalue="surprise", traceback=[])
GOOD = {
    "together": [
        run_output(2, 26, {"RuntimeError: Event loop is closed": 26}, ("t.py::test_a", "t.py::test_f"))
    ],
    "lucky": [run_output(27, 1, {"AssertionError: 3 == 4": 1})],
    "closed": [error_output("RuntimeError", "Event loop is closed")],
    "plain": [],
}


def held_against_contract(project: Path, drop: str = "", tags: tuple = (), **outputs: list) -> list[str]:
    lesson = load(project / "lessons/course.toml")[0]
    cells = [
        nbformat.v4.new_code_cell("", id=name, outputs=shown, metadata={"tags": list(tags)})
        for name, shown in {**GOOD, **outputs}.items()
        if name != drop
    ]
    return violations(lesson, cells)


def test_a_notebook_that_shows_what_it_must_has_no_violations(project):
    assert held_against_contract(project) == []
    assert held_against_contract(project, lucky=[run_output(28, 0, {})]) == []


CLOSED = "RuntimeError: Event loop is closed"


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"together": [run_output(28, 0, {})]}, "passed must be 2, was 28"),
        ({"lucky": [run_output(26, 2, {})]}, "passed must be 27 to 28, was 26"),
        ({"lucky": [run_output(27, 0, {}, errors=1)]}, "errors must be 0, was 1"),
        ({"lucky": [run_output(27, 1, {CLOSED: 1})]}, "every error line must contain 'AssertionError'"),
        (
            {"together": [run_output(2, 26, {"OSError: refused": 26})]},
            "no error line contains 'loop is closed'",
        ),
        ({"together": [run_output(2, 26, {CLOSED: 25, "x": 1})]}, "of 26 tests, was in 25"),
        (
            {"together": [run_output(2, 26, {CLOSED: 26}, ("test_a", "test_b"))]},
            "the tests that pass must be",
        ),
        ({"together": []}, "has 1 run(s), the cell showed 0"),
        ({"together": GOOD["together"] * 2}, "has 1 run(s), the cell showed 2"),
        ({"plain": GOOD["together"]}, "cell plain: the contract has 0 run(s), the cell showed 1"),
        ({"plain": [RAISED]}, "cell plain: raised ValueError: surprise"),
        ({"closed": []}, "has 1 expected error(s), the cell showed 0"),
        ({"closed": [error_output("TypeError", "is closed")]}, "must show RuntimeError"),
        ({"closed": [error_output("RuntimeError", "other")]}, "showed RuntimeError: other"),
        ({"plain": [error_output("RuntimeError", "other")]}, "has 0 expected error(s), the cell showed 1"),
    ],
)
def test_what_breaks_the_contract_is_found(project, outputs, message):
    assert any(message in line for line in held_against_contract(project, **outputs))


def test_a_contract_cell_that_is_not_in_the_notebook_is_found(project):
    assert held_against_contract(project, drop="lucky") == [
        "cell lucky: in the contract, and not in the notebook"
    ]


def test_a_cell_that_is_tagged_to_raise_must_raise(project):
    found = held_against_contract(project, tags=("raises-exception",), plain=[RAISED])
    assert not any("cell plain" in line for line in found)
    assert any("cell lucky: tagged raises-exception, and raised nothing" in line for line in found)


def test_an_exploration_is_held_to_its_orders(project):
    manifest = project / "lessons/course.toml"
    contract = 'title = "First"\n\n[[lesson.orders]]\ncell = "plain"\norders = 6\nlosing = 4\n'
    manifest.write_text(manifest.read_text().replace('title = "First"\n', contract, 1))

    def shown(orders, losing):
        counts = {"orders": orders, "losing": losing}
        return [nbformat.v4.new_output("display_data", {ORDERS_TYPE: counts, "text/plain": ""})]

    assert held_against_contract(project, plain=shown(6, 4)) == []
    assert held_against_contract(project, plain=shown(6, 0)) == ["cell plain: losing must be 4, was 0"]
    assert held_against_contract(project) == [
        "cell plain: the contract has 1 exploration(s), the cell showed 0"
    ]
    manifest.write_text(manifest.read_text().replace("losing = 4", ""))
    with pytest.raises(CourseError, match="plain, losing: expected a number"):
        load(manifest)
