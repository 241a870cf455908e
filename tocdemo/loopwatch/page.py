"""Writes a `Recording` as one HTML page that can be sent to somebody: pictures, tables and explanations.

It knows recordings and pictures only.
"""

from __future__ import annotations

from html import escape

from tocdemo.display.code import preformatted

from .pictures import timeline, who_holds_what
from .recording import Recording

_STYLE = (
    "body{font-family:sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
)


def page(recording: Recording) -> str:
    """Return the page; it loads nothing from elsewhere, and has no JavaScript."""
    versions = ", ".join(f"{name} {number}" for name, number in recording.versions.items())
    failed = sum(test.outcome in ("failed", "error") for test in recording.tests)
    parts = [
        f"<p>{len(recording.tests)} tests, {failed} of them failed; Python {escape(recording.python)}"
        f"{', ' if versions else ''}{escape(versions)}</p>",
        "<h2>Explanations</h2>",
        *_explanations(recording),
        "<h2>Loops and tests</h2>",
        timeline(recording)._repr_html_(),
        "<h2>Who holds what</h2>",
        who_holds_what(recording)._repr_html_(),
    ]
    head = f'<meta charset="utf-8"><title>loopwatch</title><style>{_STYLE}</style>'
    body = "\n".join(["<h1>loopwatch</h1>", *parts])
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}\n</body></html>\n'


def _explanations(recording: Recording) -> list[str]:
    if not recording.explanations:
        return ["<p>No test failed because of another event loop.</p>"]
    return [
        f"<h3>{escape(nodeid)}</h3>\n{preformatted(text)}" for nodeid, text in recording.explanations.items()
    ]
