"""Pages are written from what the course uses: the manifest, docstrings, the commands' own parsers."""

from pathlib import Path

import nbformat

from tocdemo import lab
from tocdemo.cli import COMMANDS
from tocdemo.course import exercises, lessons
from tocdemo.site import lesson_pages, reference_pages, sources
from tocdemo.site.addresses import Addresses

REPOSITORY = Addresses("https://github.com/someone/tocdemo")


def test_an_exercises_page_has_its_texts_and_folds_what_gives_it_away():
    exercise = exercises.get("async-fixture")
    page = reference_pages.exercise_page(exercise, lessons.get("03"))
    assert exercise.task in page
    assert all(sentence in page for sentence in exercise.afterwards.values())
    open_words = page.partition("<details>")[0]
    for hint in exercise.hints:
        assert hint in page
        assert hint not in open_words
    assert "+async def motor_reinit_db" in page
    assert "+async def motor_reinit_db" not in open_words


def test_every_exercise_has_a_solution_to_show():
    for exercise in exercises.all_of():
        page = reference_pages.exercise_page(exercise, lessons.get(exercise.lesson))
        assert "\n+" in page, exercise.name


def test_a_verbs_page_says_which_lessons_use_it():
    texts = [(lesson, "lab.run()" if lesson.slug[:2] == "01" else "") for lesson in lessons.all_of()]
    page = reference_pages.verb_page("run", texts)
    assert "autofunction:: tocdemo.lab.run" in page
    assert page.count(".ipynb") == 1
    assert "01_alone_and_together.ipynb" in page
    assert "No lesson needs it" in reference_pages.verb_page("folder", texts)
    assert all(getattr(lab, verb).__doc__ for verb in lab.VERBS)


def test_every_option_of_every_command_stands_in_its_page():
    pages = reference_pages.commands(COMMANDS, ("test",))
    assert set(pages) == set(COMMANDS)
    for option in ("`--fault NAME`", "`--each`", "`--only TEST`", "`--backend NAME`", "`--json`"):
        assert option in pages["run"]
    assert "`--replica-set" in pages["serve"]
    assert "`LESSON`" in pages["watch"]
    assert "python3 -m tocdemo test ..." in pages["test"]
    for name, page in pages.items():
        assert COMMANDS[name].__doc__.splitlines()[0] in page


def test_each_rule_of_loopwatch_has_a_heading():
    listing = "one: A sentence.\n  found:\n    x = 1\n\n    y = 2\n  right:\n    z = 3\n\ntwo: Another.\n"
    page = reference_pages.rules_page(listing)
    assert "## one\n\nA sentence.\n\n```text\n  found:" in page
    assert "## two\n\nAnother." in page


def _page(outputs, source="Text", addresses=REPOSITORY):
    cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_markdown_cell(source),
        nbformat.v4.new_code_cell("x", metadata={"jupyter": {"source_hidden": True}}, outputs=outputs),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {"state": {}}})
    text = lesson_pages.page(lessons.get("03"), notebook, addresses)
    return nbformat.reads(text, as_version=4)


def _output(html):
    return nbformat.v4.new_output("display_data", {"text/html": html})


def test_links_to_the_workspace_lead_to_the_files_that_the_lesson_begins_with():
    to = "../workspace/03_the_async_fixture/tests/conftest.py"
    gone = "../workspace/03_the_async_fixture/tests/test_new.py"
    html = f'<a href="{to}">one</a> <a href="{gone}">two</a> <a href="04_io_loop.ipynb">next</a>'
    page = _page([_output(html)], f"[tests/conftest.py]({to}), [tests/test_new.py]({gone})")
    name = "file-03-the-async-fixture-tests-conftest-py"
    assert page.cells[3].outputs[0].data["text/html"] == (
        f'<a href="../workspace/03_the_async_fixture.html#{name}">one</a> two '
        '<a href="04_io_loop.html">next</a>'
    )
    link = f"[tests/conftest.py](../workspace/03_the_async_fixture.md#{name})"
    assert page.cells[1].source == f"{link}, `tests/test_new.py`"
    files = lesson_pages.files_page(lessons.get("03"))
    assert f"({name})=\n## tests/conftest.py" in files
    assert "def motor_reinit_db(empty_database):" in files


def test_links_of_an_output_in_markdown_lead_to_pages():
    output = nbformat.v4.new_output("display_data", {"text/markdown": "see [04](04_io_loop.ipynb)"})
    assert _page([output]).cells[3].outputs[0].data["text/markdown"] == "see [04](04_io_loop.html)"


def test_a_page_says_how_the_lesson_is_opened():
    title = _page([]).cells[0].source
    assert "[Binder](https://mybinder.org/v2/gh/someone/tocdemo/main?urlpath=" in title
    assert "[Codespaces](https://codespaces.new/" in title
    assert "[async-fixture](../exercises/async-fixture.md)" in title
    without = _page([], addresses=Addresses()).cells[0].source
    assert "http" not in without
    assert "python3 -m tocdemo start" in without


def test_what_needs_a_kernel_is_said_in_words_and_hidden_code_is_folded():
    widget = nbformat.v4.new_output("display_data", {lesson_pages.WIDGET: {}, "text/plain": "VBox()"})
    page = _page([widget])
    assert dict(page.cells[3].outputs[0].data) == {"text/html": lesson_pages.PANEL}
    assert "widgets" not in page.metadata
    assert page.cells[3].metadata["tags"] == ["hide-input"]


def test_a_mark_leads_to_the_cell_that_shows_it():
    mark = '<sup>[↑](04_io_loop.ipynb#cell-id=sync_io_loop "shown by a cell")</sup>'
    page = _page([], f"So it is.{mark}")
    link = '<a href="04_io_loop.html#cell-sync_io_loop" title="shown by a cell">↑</a>'
    assert page.cells[1].source == f"So it is.<sup>{link}</sup>"
    assert page.cells[2].source == f'<div id="cell-{page.cells[3].id}"></div>'


def test_the_front_page_has_words_for_each_lesson():
    folder = Path(__file__).resolve().parents[3] / "lessons"
    all_of = lessons.all_of()
    written = {each.slug: (folder / f"{each.slug}.md").read_text(encoding="utf-8") for each in all_of}
    minutes_of = {each.slug: number for number, each in enumerate(all_of)}
    front = sources._front(all_of, written, minutes_of, {}, Addresses())
    for lesson in all_of:
        (row,) = [row for row in front.splitlines() if row.startswith(f"| [{lesson.title}](notebooks/")]
        assert f"| {minutes_of[lesson.slug]} | ✓ " in row
        assert all(f"exercises/{each.name}.md" in row for each in lesson.exercises)
    assert "set `repository`" in front
    assert "mybinder" in sources._front(all_of, written, minutes_of, {}, REPOSITORY)


def test_a_text_beside_the_lessons_leads_to_their_pages():
    text = "[one](01_alone_and_together.md), [two](01_alone_and_together.md#why), [the report](the_report.md)"
    assert sources._to_notebooks(text, {"01_alone_and_together"}) == (
        "[one](../notebooks/01_alone_and_together.ipynb), "
        "[two](../notebooks/01_alone_and_together.ipynb#why), "
        "[the report](the_report.md)"
    )
