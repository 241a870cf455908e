"""Whether a built site holds together: no broken link, no picture without words, nothing from elsewhere.

It reads HTML files, and knows nothing of how they were made.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
_NOT_LOADED = {"canonical", "next", "prev", "index", "search", "author", "copyright"}  # kinds of <link>


def problems(site: Path) -> list[str]:
    """Return one sentence for each thing that is wrong in the pages below `site`."""
    found: list[str] = []
    pages = {file.resolve(): _read(file) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        name = file.relative_to(site.resolve()).as_posix()
        found += [f"{name}: the link {to} leads nowhere" for to in page.links if not _leads(file, to, pages)]
        found += [f"{name}: the picture {picture} has no words (alt)" for picture in page.wordless]
        found += [f"{name}: {address} would be fetched from another host" for address in page.elsewhere]
    return found


@dataclass
class _Page(HTMLParser):
    links: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    wordless: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.names |= {values[key] for key in ("id", "name") if key in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        hidden = values.get("role") == "presentation" or values.get("aria-hidden") == "true"
        if tag == "img" and not values.get("alt", "").strip() and not hidden:
            self.wordless.append(values.get("src", "")[:100])
        if tag == "svg" and not hidden and not values.keys() & {"aria-label", "aria-labelledby"}:
            self.wordless.append("<svg>")
        self._note_loaded(tag, values)

    def _note_loaded(self, tag: str, values: dict[str, str]) -> None:
        address = values.get(_LOADED.get(tag, ""), "")
        fetched = tag != "link" or not _NOT_LOADED & set(values.get("rel", "").split())
        if urlsplit(address).netloc and fetched:
            self.elsewhere.append(address)


def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def _leads(file: Path, to: str, pages: dict[Path, _Page]) -> bool:
    """Whether a link leads somewhere; an address on another host, or one that is no page's, is not tried."""
    parts = urlsplit(to)
    if parts.scheme or parts.netloc:
        return True
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_file():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].names
