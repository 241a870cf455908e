"""What is wrong with a built page is said in a sentence that names the page."""

import pytest

from tocdemo.site import checks

GOOD = '<h1 id="top">A</h1><a href="b.html#there">b</a><a href="#top">up</a><img src="x.svg" alt="a grid">'
WRONG = {
    '<a href="c.html">c</a>': "a.html: the link c.html leads nowhere",
    '<a href="b.html#gone">b</a>': "a.html: the link b.html#gone leads nowhere",
    '<a href="#gone">b</a>': "a.html: the link #gone leads nowhere",
    '<img src="x.svg">': "a.html: the picture x.svg has no words (alt)",
    '<img src="x.svg" alt=" ">': "a.html: the picture x.svg has no words (alt)",
    "<svg><path/></svg>": "a.html: the picture <svg> has no words (alt)",
    '<script src="https://cdn.example/x.js"></script>': "https://cdn.example/x.js would be fetched",
    '<link rel="stylesheet" href="//cdn.example/x.css">': "//cdn.example/x.css would be fetched",
    '<img src="http://elsewhere.example/x.png" alt="x">': "x.png would be fetched",
}


def _problems(folder, html):
    (folder / "a.html").write_text(html, encoding="utf-8")
    (folder / "b.html").write_text('<p id="there">b</p>', encoding="utf-8")
    return checks.problems(folder)


def test_a_whole_page_has_no_problem(tmp_path):
    further = '<a href="https://elsewhere.example/">out</a><svg role="img" aria-label="a grid"></svg>'
    assert _problems(tmp_path, GOOD + further) == []


@pytest.mark.parametrize("html", WRONG)
def test_what_is_wrong_is_said(html, tmp_path):
    (problem,) = _problems(tmp_path, GOOD + html)
    assert WRONG[html] in problem
