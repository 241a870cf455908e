"""Draws a `Recording` for a notebook: the timeline of its loops, and who holds what.

Inline SVG without JavaScript that follows JupyterLab's theme; each picture brings a table with the same
content. It knows recordings only, so a run of another process is drawn as well as one of this process.
"""

from tocdemo.display.svg import Picture

from .holding import who_holds_what
from .lanes import timeline

__all__ = ["Picture", "timeline", "who_holds_what"]
