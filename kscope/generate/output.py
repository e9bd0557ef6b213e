"""Generated files on disk: written, or compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kscope.generate.render import OWNED, SHARED, has_notice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Drift:
    """One file that is not as the catalog says: `missing`, `changed` or `orphaned`."""

    path: str
    how: str


def compare(files: Mapping[str, str], root: Path) -> list[Drift]:
    drifts = [
        Drift(path, "changed" if (root / path).is_file() else "missing")
        for path, text in files.items()
        if _read(root / path) != text.encode()
    ]
    return sorted([*drifts, *_orphans(files, root)], key=lambda drift: drift.path)


def write(files: Mapping[str, str], root: Path) -> list[Drift]:
    """Mend every drift; the drifts that there were are returned."""
    drifts = compare(files, root)
    for drift in drifts:
        target = root / drift.path
        if drift.how == "orphaned":
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[drift.path].encode())
    return drifts


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _orphans(files: Mapping[str, str], root: Path) -> list[Drift]:
    found = [file for folder in OWNED for file in (root / folder).rglob("*") if file.is_file()]
    found += [
        file
        for file in (root / SHARED).rglob("*")
        if file.is_file() and has_notice(file.read_bytes())
    ]
    # Files such as .gitkeep are for the tools that keep folders.
    paths = [file.relative_to(root).as_posix() for file in found if not file.name.startswith(".")]
    return [Drift(path, "orphaned") for path in paths if path not in files]
