"""The learner's folder `workspace/`: a copy of the backend in a known state, to break, mend and run.

Nothing that a learner wrote is ever lost: a text in no
known state is kept in a dated backup before it is replaced. Knows faults and files, not how tests are run.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

import libcst as cst

from tocdemo.display.code import diff_html, unified_diff
from tocdemo.display.tables import paragraph
from tocdemo.errors import BadInput, BadPath

from . import faults, sources

ROOT = Path(__file__).resolve().parent.parent.parent


def folder() -> Path:
    """Return the workspace's folder: TOCDEMO_WORKSPACE, or `workspace` in the project's root."""
    return Path(os.environ.get("TOCDEMO_WORKSPACE") or ROOT / "workspace").resolve()


def backups() -> Path:
    """Return the folder that holds the backups. pytest does not collect it: its name begins with a dot."""
    return folder() / ".backups"


@dataclass(frozen=True)
class Report:
    """What was done to the workspace: shown to the learner.

    `headline` is a sentence, `diffs` the changes that were made, `backup` the folder that keeps what was
    replaced (None when nothing was lost).
    """

    headline: str
    diffs: tuple[str, ...] = ()
    backup: Path | None = None
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [self.headline, *(f"  - {detail}" for detail in self.details)]
        if self.backup:
            lines.append(f"Your own version is kept in {_relative(self.backup)}")
        return "\n".join([*lines, *self.diffs])

    def _repr_html_(self) -> str:
        parts = [paragraph(f"<b>{escape(self.headline)}</b>")]
        if self.details:
            parts.append("<ul>" + "".join(f"<li>{escape(detail)}</li>" for detail in self.details) + "</ul>")
        if self.backup:
            kept = f"<code>{escape(_relative(self.backup))}</code>"
            parts.append(paragraph(f"Your own version is kept in {kept}"))
        return "".join([*parts, *(diff_html(diff) for diff in self.diffs if diff)])


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def put(names: Iterable[str], title: str = "", *, neighbours: bool = False) -> Report:
    """Put the workspace into the state with exactly the named faults, and say what that changed.

    The neighbours' tests are there afterwards, or not, as `neighbours` says. Files that are so already are
    not touched. Raises ValueError for the name of no fault.
    """
    names = list(dict.fromkeys(names))
    wanted = dict(faults.with_faults(names)) | (dict(sources.neighbours()) if neighbours else {})
    changed = {path: text for path, text in wanted.items() if _read(path) != text}
    gone = [path for path in sources.neighbours() if path not in wanted and _read(path) is not None]
    backup = _back_up(path for path in (*changed, *gone) if _is_own(path))
    fresh = not folder().exists()
    sources.write(changed, folder())
    for path in gone:
        (folder() / path).unlink()
    what = f"the state {title!r}" if title else "this state"
    if fresh:
        headline = f"Made {_relative(folder())}/ in {what}."
    elif changed or gone:
        did = [
            f"{', '.join(paths)} {verb}" for paths, verb in ((changed, "changed"), (gone, "removed")) if paths
        ]
        headline = f"Put {_relative(folder())}/ into {what}: {'; '.join(did)}."
    else:
        headline = f"{_relative(folder())}/ is in {what} already: nothing changed."
    details = [f"{name}: {faults.get(name).sentence}" for name in names] or ["no faults"]
    return Report(headline, backup=backup, details=tuple(details))


def state() -> dict[str, frozenset[str] | None]:
    """Return the faults of each file that can have some; None for a file in no known state."""
    paths = dict.fromkeys(path for fault in faults.FAULTS.values() for path in fault.transforms)
    return {path: faults.faults_in(path, _read(path) or "") for path in paths}


def told() -> str:
    """Return where the workspace is, which faults each of its files has, and how to change that."""
    lines = [f"{folder()}"]
    for path, found in state().items():
        what = "edited, in no known state" if found is None else ", ".join(sorted(found)) or "no faults"
        lines.append(f"  {path}: {what}")
    lines.append("Put it back with --reset, or into a state with --state; what you edited is kept first.")
    return "\n".join(lines)


def mend(name: str) -> Report:
    """Take one fault out of the workspace. A learner's own edit that did so already stays as it is.

    Raises ValueError when there is no such fault, or no workspace.
    """
    fault = faults.get(name)
    _require_workspace()
    diffs, own = [], []
    for path in fault.transforms:
        before = _read(path) or ""
        here = faults.faults_in(path, before)
        if here is None and not _has(name, path, before):
            own.append(path)
        elif here is None or name in here:
            after = faults.with_faults((here or _guessed(path, before)) - {name})[path]
            diffs.append((path, before, after, here is None))
    backup = _back_up(path for path, _, _, edited in diffs if edited)
    for path, _, after, _ in diffs:
        sources.write_file(folder() / path, after)
    shown = tuple(unified_diff(path, before, after) for path, before, after, _ in diffs)
    return Report(_mended(name, diffs, own), shown, backup, (f"now: {fault.mend}",))


def _mended(name: str, diffs: Collection, own: Collection[str]) -> str:
    if diffs:
        return f"Mended {name!r} for you: this is the change."
    if own:
        return f"You made this change yourself: {', '.join(own)} is left as you wrote it."
    return f"{name!r} is mended already, by you or by this cell: nothing changed."


def write(path: str, text: str) -> Report:
    """Write `text` to a file of the workspace, the whole file or nothing, and say what changed.

    `path` is relative to the workspace. Raises BadPath when it points outside, and SyntaxError when `text`
    is to be a Python file and does not parse; then nothing is written.
    """
    _require_workspace()
    target = (folder() / path).resolve()
    if not target.is_relative_to(folder()) or target == folder() or backups() in target.parents:
        raise BadPath(f"{path!r} is not a file of the workspace; expected a path such as {sources.CONFTEST}")
    path = target.relative_to(folder()).as_posix()
    if path.endswith(".py"):
        compile(text, str(target), "exec")
    before = _read(path)
    if before == text:
        return Report(f"{path} is so already: nothing changed.")
    backup = _back_up([path]) if _is_own(path) else None
    sources.write_file(target, text)
    return Report(f"Wrote {path}.", (unified_diff(path, before or "", text),), backup)


def _has(name: str, path: str, text: str) -> bool:
    """Whether an edited text still has the fault: then its transform finds nothing to change."""
    try:
        faults.apply_to(name, path, text)
    except (faults.NothingToChange, cst.ParserSyntaxError):  # what does not parse cannot be told
        return True
    return False


def _guessed(path: str, text: str) -> frozenset[str]:
    """Return the faults that an edited file seems to have."""
    here = (name for name, fault in faults.FAULTS.items() if path in fault.transforms)
    return frozenset(name for name in here if _has(name, path, text))


def _require_workspace() -> None:
    if not folder().exists():
        raise BadInput(f"There is no workspace at {folder()} yet: run lab.workspace() first")


def _read(path: str) -> str | None:
    try:
        return (folder() / path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return ""


def _is_own(path: str) -> bool:
    """Whether the file holds a text of the learner's: one that is there and in no known state."""
    text = _read(path)
    if text is None:
        return False
    if path in sources.neighbours():
        return text != sources.neighbours()[path]
    return path not in sources.mended() or faults.faults_in(path, text) is None


def _back_up(paths: Iterable[str]) -> Path | None:
    paths = list(paths)
    if not paths:
        return None
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S.%f")
    place = backups() / stamp
    for path in paths:
        copy = place / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((folder() / path).read_bytes())
    return place
