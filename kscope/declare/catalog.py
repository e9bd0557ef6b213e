"""Folders of category files -> the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.declare.category import Reading, read_category
from kscope.declare.model import Catalog, Category
from kscope.errors import DeclarationError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

BUILTIN = "builtin"
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class CatalogReading:
    """A catalog of what could be read, and the problems of what could not."""

    catalog: Catalog
    problems: tuple[Problem, ...]


def builtin_folder() -> Path:
    """Where the packaged categories are: in the wheel, or at the top of a source tree."""
    packaged = _PACKAGE / "builtin" / "categories"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "categories"


def load_catalog(folders: Sequence[str | Path] = (BUILTIN,)) -> Catalog:
    """Raise DeclarationError with the problems of all files when there is any."""
    reading = read_catalog(folders)
    if reading.problems:
        raise DeclarationError(reading.problems)
    return reading.catalog


def read_catalog(
    folders: Sequence[str | Path] = (BUILTIN,), previous: Catalog | None = None
) -> CatalogReading:
    """Read what can be read.

    What has become bad keeps what it declared in `previous`: a file its category, a folder that
    cannot be looked into all of its own. Of two files with one table, that one keeps it which
    had it.
    """
    problems: list[Problem] = []
    found: list[Category] = []
    for folder in folders:
        path = builtin_folder() if folder == BUILTIN else Path(folder)
        try:
            files = _files(path)
        except OSError as error:
            problems.append(_no_folder(path, error))
            found += [c for c in previous or () if Path(c.file).parent == path]
            continue
        for file in files:
            reading = _read_file(file)
            problems += reading.problems
            category = reading.category or _declared_in(str(file), previous)
            found += [category] if category else []
    chosen = _one_each(found, previous, problems)
    return CatalogReading(_sorted(chosen.values()), tuple(sorted(set(problems))))


def without_files(catalog: Catalog, files: Collection[str], previous: Catalog) -> Catalog:
    """The catalog where these files still declare what they did in `previous`, if anything."""
    chosen = {c.table: c for c in catalog if c.file not in files}
    for category in catalog:
        if category.file in files:
            held = _declared_in(category.file, previous) or previous.get(category.table)
            if held is not None:
                chosen.setdefault(held.table, held)
    return _sorted(chosen.values())


def _files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix in {".yaml", ".yml"} and not file.name.startswith(".")
    )


def _no_folder(path: Path, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Problem(str(path), 0, "", "there is no such folder of categories")
    return Problem(str(path), 0, "", f"the folder cannot be read: {error.strerror}")


def _one_each(
    found: Sequence[Category], previous: Catalog | None, problems: list[Problem]
) -> dict[str, Category]:
    chosen: dict[str, Category] = {}
    for category in found:
        held = previous.get(category.table) if previous else None
        other = chosen.get(category.table)
        if other is None or (held and held.file == category.file != other.file):
            chosen[category.table] = category
    problems += [
        _twice(category, chosen[category.table])
        for category in found
        if chosen[category.table] is not category
    ]
    return chosen


def _sorted(categories: Iterable[Category]) -> Catalog:
    return Catalog(tuple(sorted(categories, key=lambda category: category.table)))


def _read_file(file: Path) -> Reading:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Reading(None, (Problem(str(file), 0, "", f"cannot be read: {error}"),))
    return read_category(text, str(file), file.resolve().parent.parent / "probes")


def _declared_in(file: str, catalog: Catalog | None) -> Category | None:
    return next((category for category in catalog or () if category.file == file), None)


def _twice(category: Category, other: Category) -> Problem:
    message = f"table '{category.table}' is already declared in {other.file}:{other.line}"
    return Problem(category.file, category.line, "table", message)
