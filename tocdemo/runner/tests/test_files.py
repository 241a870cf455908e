"""The files of a folder: which are heeded, what a change of them is, and which do not parse."""

import os
import warnings

import pytest

from tocdemo.runner.watching.files import EMPTY, Broken, Files


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_only_sources_and_settings_are_heeded(files, tmp_path):
    heeded = ["pytest.ini", "pyproject.toml", "tests/__init__.py", "tests/deep/test_a.py"]
    left_out = [
        "notes.md",
        "test_a.py~",
        ".test_a.py.swp",
        ".#test_a.py",
        "#test_a.py#",
        ".test_a.py.new",
        "4913",
        "tests/__pycache__/test_a.cpython-311.py",
        ".backups/tests/test_a.py",
        "environment/pyvenv.cfg",
        "environment/lib/module.py",
    ]
    for path in heeded + left_out:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert sorted(files.contents()) == sorted(heeded)


def test_a_folder_that_is_not_there_has_no_files(tmp_path):
    assert Files(tmp_path / "none").contents() == {}


def test_a_save_without_a_change_is_no_change(files, tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    before = files.contents()
    os.utime(tmp_path / "a.py", ns=(1, 1))
    assert files.contents() == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert files.contents() != before
    (tmp_path / "a.py").write_text("")
    assert files.contents() == {"a.py": EMPTY}


def test_a_change_that_no_time_and_no_size_tells_is_seen_when_it_is_told(files, tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    before, state = files.contents(), path.stat()
    path.write_text("x = 2\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert files.contents() == before
    assert files.contents([str(path)]) != before


def test_a_file_that_does_not_parse_is_told_with_its_line_and_a_caret(files, tmp_path):
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_text("x = 1\n\n    y = (\n")
    (tmp_path / "bad.ini").write_text("(")
    (broken,) = files.broken(files.contents())
    assert (broken.path, broken.line, broken.text) == ("bad.py", 3, "    y = (")
    assert "unexpected indent" in broken.message
    (tmp_path / "bad.py").write_text("def f():\n    return (1,\n")
    (broken,) = files.broken(files.contents())
    assert str(broken) == "bad.py, line 2: '(' was never closed\n    return (1,\n           ^"
    (tmp_path / "bad.py").unlink()
    assert files.broken(files.contents()) == ()


def test_what_only_compiling_finds_and_what_is_no_text_do_not_parse(files, tmp_path):
    (tmp_path / "a.py").write_text("await x\n")
    (tmp_path / "b.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "c.py").write_bytes(b"x = 1\0\n")
    assert [broken.path for broken in files.broken(files.contents())] == ["a.py", "b.py", "c.py"]


def test_parsing_warns_of_nothing_and_leaves_the_filters_of_others(files, tmp_path):
    (tmp_path / "a.py").write_text("x = '\\d'\ny = 1 is 1\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert files.broken(files.contents()) == ()
        warnings.warn("mine", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["mine"]


def test_a_caret_stands_below_what_a_tab_indents():
    shown = str(Broken("a.py", 1, 2, "\t(", "'(' was never closed"))
    assert shown.splitlines()[1:] == ["    (", "    ^"]
