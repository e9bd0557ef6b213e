"""Generated files on disk: written, or compared."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from kscope.generate.render import CLUSTER_FILE, OWNED, SHARED, TOGETHER, source_of

# A notice is at the start of a file.
_NOTICE_BYTES = 1000


@dataclass(frozen=True)
class Drift:
    """One file that differs from the catalog.

    `how` is `missing`, `changed`, `orphaned` (these categories no longer generate it) or `unknown`
    (it has no notice).
    """

    path: str
    how: str


@dataclass(frozen=True)
class LostTables:
    """Tables of another catalog, from `folder`, that writing the file at `path` would remove."""

    path: str
    folder: str
    tables: tuple[str, ...]


def compare(files: Mapping[str, str], root: Path) -> list[Drift]:
    drifts = [
        Drift(path, "changed" if (root / path).is_file() else "missing")
        for path, text in files.items()
        if not _has(root / path, text.encode())
    ]
    return sorted([*drifts, *_orphans(files, root)], key=lambda drift: drift.path)


def write(files: Mapping[str, str], root: Path, *, prune: bool) -> list[Drift]:
    """Write missing and changed files, and return the drifts before that.

    With `prune`, also delete orphans.
    """
    drifts = compare(files, root)
    for drift in drifts:
        target = root / drift.path
        if drift.how in ("missing", "changed"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[drift.path].encode())
        elif prune and drift.how == "orphaned":
            target.unlink()
    return drifts


def _has(path: Path, text: bytes) -> bool:
    """Compare sizes first, so that a file of another size is not read."""
    return path.is_file() and path.stat().st_size == len(text) and path.read_bytes() == text


def losses(files: Mapping[str, str], root: Path) -> list[LostTables]:
    """Return the tables of other catalogs that are in a file on disk but not in its new text."""
    others: dict[str, set[str]] = {}
    for name, source in _of_others(files, root):
        if not name.startswith(f"{SHARED}/"):
            others.setdefault(_folder(source), set()).add(PurePath(name).name.partition(".")[0])
    found = []
    for path in files:
        if path.startswith(f"{TOGETHER}/") and (root / path).is_file():
            gone = _words((root / path).read_text(errors="replace")) - _words(files[path])
            lost = ((folder, tables & gone) for folder, tables in sorted(others.items()))
            found += [
                LostTables(path, folder, tuple(sorted(each))) for folder, each in lost if each
            ]
    return found


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _orphans(files: Mapping[str, str], root: Path) -> Iterator[Drift]:
    others = {name for name, _ in _of_others(files, root)}
    for name, source in _not_made(files, root):
        if not source and not name.startswith(f"{SHARED}/"):
            yield Drift(name, "unknown")
        elif source and name not in others:
            yield Drift(name, "orphaned")


def _of_others(files: Mapping[str, str], root: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of other catalogs: of other folders, or of category files that exist."""
    made_from = {source_of(text[:_NOTICE_BYTES]) for text in files.values()}
    folders = {_folder(source) for source in made_from}
    for name, source in _not_made(files, root):
        # A file of a category of these that is made elsewhere now is no one else's.
        if not source or source in made_from:
            continue
        if _folder(source) not in folders or (root / source).is_file():
            yield name, source


def _not_made(files: Mapping[str, str], root: Path) -> Iterator[tuple[str, str]]:
    """Yield each other file of our folders, with the source that it names; no .gitkeep."""
    for path in (path for folder in (*OWNED, SHARED) for path in (root / folder).rglob("*")):
        name = path.relative_to(root).as_posix()
        is_asked_for = name.startswith(f"{TOGETHER}/{CLUSTER_FILE}")
        if path.is_file() and not (path.name.startswith(".") or is_asked_for or name in files):
            with path.open("rb") as file:
                yield name, source_of(file.read(_NOTICE_BYTES).decode(errors="replace"))


def _folder(source: str) -> str:
    return PurePath(source).parent.as_posix() if source else ""
