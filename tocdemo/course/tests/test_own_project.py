"""What the lesson on one's own project says, held to what can be seen: advice, workflow, checklist."""

import ast
import importlib
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from pymongo.uri_parser import parse_uri

from tocdemo.course import exercises, lessons
from tocdemo.course.exercises.course_texts import solved
from tocdemo.lab import taking_home
from tocdemo.runner import suite
from tocdemo.runner.databases import PREFIX
from tocdemo.subject import sources
from tocdemo.tests import workflows

from .browser import CHROMIUM

SLUG = exercises.get("your-own-project").lesson
LESSON = (lessons.MANIFEST.parent / f"{SLUG}.md").read_text(encoding="utf-8")
CHECKLIST = taking_home.CHECKLIST.read_text(encoding="utf-8")
ITEMS = re.split(r"^- \[ \] ", CHECKLIST, flags=re.MULTILINE)[1:]


def fenced(language: str) -> str:
    """Return the lesson's only fence of that language."""
    (found,) = re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", LESSON, re.MULTILINE | re.DOTALL)
    return found


# --- the advice


def test_the_solution_is_what_loopwatch_advises_to_the_letter():
    exercise = exercises.get("your-own-project")
    with sources.copied(exercise.begins.files) as folder:
        explained = suite.run(folder, [str(folder)], backend="embedded").explain()
    solution = solved(exercise)
    assert len(explained.texts) == 3
    for text in explained.texts:
        change = text.partition("\n  change:")[2].partition("\n  or:")[0]
        first, *code = change.strip("\n").splitlines()
        added, written = re.search(r"add to (\S+):$", first), re.search(r"(\S+\.py):\d+: write `(.+)`", first)
        assert added or written, text
        where, lines = (added[1], code) if added else (written[1], [written[2]])
        for line in lines:
            assert line.strip() in solution[where], f"not in {where}: {line}"


# --- the workflow and the fixture


def checked_by_schema(workflow: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "workflow.yml"
    file.write_text(workflow)
    return workflows.checked(file)


def test_the_workflow_fits_the_schema_of_github(tmp_path):
    workflow = fenced("yaml")
    found = checked_by_schema(workflow, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    wrong = checked_by_schema(workflow.replace("command:", "comand:"), tmp_path)
    assert wrong.returncode == 1
    assert "'comand' was unexpected" in wrong.stdout


def test_the_address_in_the_workflow_is_that_of_its_service():
    workflow = fenced("yaml")
    uri = parse_uri(re.search(r"DATABASE_URI: (\S+)", workflow)[1])
    assert uri["database"] is None
    assert re.search(r"DATABASE_NAME: (\S+)", workflow)[1].startswith(PREFIX)
    name = uri["options"]["replicaSet"]
    assert f"--replSet {name} " in workflow
    (host, port) = uri["nodelist"][0]
    assert f"rs.initiate({{_id: '{name}', members: [{{_id: 0, host: '{host}:{port}'}}]}})" in workflow
    assert f'"{port}:27017"' in workflow


def test_the_fixture_names_what_testcontainers_has():
    tree = ast.parse(fenced("python .noeval"))
    imported = next(node for node in tree.body if isinstance(node, ast.ImportFrom))
    container = getattr(importlib.import_module(imported.module), imported.names[0].name)
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "get_connection_url" in used
    assert callable(container.get_connection_url)
    assert hasattr(container, "__enter__")
    said = re.search(r"testcontainers (\d+\.\d+)", LESSON)[1]
    assert version("testcontainers").startswith(f"{said}.")


# --- the checklist


def test_each_line_of_the_checklist_names_a_lesson_that_is_there():
    titles = {lesson.slug: lesson.title for lesson in lessons.all_of()}
    assert len(ITEMS) > 12
    for item in ITEMS:
        links = re.findall(r"\[([^\]]+)\]\((\w+)\.md\)", item)
        assert links, f"no lesson: {item}"
        for text, slug in links:
            assert slug in titles, f"there is no lesson {slug}: {item}"
            assert text == (slug[:2] if slug[0].isdigit() else titles[slug])


def test_each_link_of_the_printed_page_leads_to_a_notebook():
    page = taking_home.page(CHECKLIST)
    assert page.count("<li>") == len(ITEMS)
    assert "- [ ]" not in page
    assert "](" not in page
    folder = sources.ROOT / "workspace" / SLUG
    for target in set(re.findall(r'href="([^"]+)"', page)):
        assert (folder / target).resolve().is_file() or not folder.exists(), target
        assert (sources.ROOT / "notebooks" / Path(target).name).is_file(), target


def test_the_checklist_is_one_page_of_paper(tmp_path):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (on Debian: apt install chromium)")
    file = tmp_path / "checklist.html"
    file.write_text(taking_home.page(CHECKLIST), encoding="utf-8")
    assert pages_of(file) == 1
    file.write_text(taking_home.page(CHECKLIST + CHECKLIST), encoding="utf-8")
    assert pages_of(file) == 2


def pages_of(file: Path) -> int:
    """Print a page as a browser does; return how many sheets it takes."""
    printed = file.with_suffix(".pdf")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command = [str(CHROMIUM), *options, f"--print-to-pdf={printed}", file.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return len(re.findall(rb"/Type /Page\b", printed.read_bytes()))
