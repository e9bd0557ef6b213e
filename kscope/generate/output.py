"""Generated files on disk: written, or compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from kscope.generate.render import OWNED, SHARED, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# A notice is at the start of a file.
_NOTICE_BYTES = 1000


@dataclass(frozen=True)
class Drift:
    """One file that is not as the catalog says.

    It is `missing`, `changed`, `orphaned` (these categories made it, and no longer do) or `unknown`
    (it does not say that it is generated).
    """

    path: str
    how: str


def compare(files: Mapping[str, str], root: Path) -> list[Drift]:
    drifts = [
        Drift(path, "changed" if (root / path).is_file() else "missing")
        for path, text in files.items()
        if not _has(root / path, text.encode())
    ]
    return sorted([*drifts, *_orphans(files, root)], key=lambda drift: drift.path)


def write(files: Mapping[str, str], root: Path, *, prune: bool) -> list[Drift]:
    """Write what is missing or changed, and return the drifts that there were.

    Nothing is deleted but, with `prune`, orphans.
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
    """Compare sizes first: a file of another size is not read."""
    return path.is_file() and path.stat().st_size == len(text) and path.read_bytes() == text


def _orphans(files: Mapping[str, str], root: Path) -> Iterator[Drift]:
    made_from = {_folder(source_of(text[:_NOTICE_BYTES])) for text in files.values()}
    for path in _present(root):
        name = path.relative_to(root).as_posix()
        if name in files:
            continue
        source = source_of(_start(path))
        if not source and not name.startswith(f"{SHARED}/"):
            yield Drift(name, "unknown")
        # Another catalog has made it if its folder is another one, or its file is still there.
        elif source and _folder(source) in made_from and not (root / source).is_file():
            yield Drift(name, "orphaned")


def _present(root: Path) -> Iterator[Path]:
    """Files such as .gitkeep are for the tools that keep folders."""
    for folder in (*OWNED, SHARED):
        for file in (root / folder).rglob("*"):
            if file.is_file() and not file.name.startswith("."):
                yield file


def _start(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_NOTICE_BYTES).decode(errors="replace")


def _folder(source: str) -> str:
    return PurePath(source).parent.as_posix() if source else ""
