"""HTML as values: elements whose text and attributes are escaped here, and nowhere else.

Elements carry inline styles, and neither script nor class: that is what is left of an output in a notebook
that Jupyter does not trust. Knows nothing of what is shown.
"""

from html import escape


class Markup(str):
    """A text that is HTML already. Every other text is escaped where it becomes part of an element."""


BREAK = Markup("<br>")


def joined(*content: str) -> Markup:
    """Return the parts one after the other; those that are no Markup are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in content))


def element(name: str, /, *content: str, **attributes: object) -> Markup:
    """Return an element. Underscores in attribute names become hyphens; empty attributes are left out."""
    pairs = "".join(
        f' {key.replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value != ""
    )
    return Markup(f"<{name}{pairs}>{joined(*content)}</{name}>")


def paragraph(*content: str, margin: str = "4px 0") -> Markup:
    """Return a paragraph; `margin` is CSS."""
    return element("p", *content, style=f"margin:{margin}")


def bold(*content: str) -> Markup:
    """Return the content in bold."""
    return element("b", *content)


def unfolding(summary: str, *content: str) -> Markup:
    """Return content that is folded away below its summary, which a click unfolds."""
    return element("details", element("summary", summary), *content)


def css(*styles: str) -> str:
    """Return several styles as one, without the empty ones; where two disagree, the later one counts."""
    return ";".join(style for style in styles if style)
