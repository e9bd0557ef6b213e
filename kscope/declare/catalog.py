"""Folders of category files -> the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.declare.category import Reading, read_category
from kscope.declare.model import Catalog, Category
from kscope.errors import DeclarationError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    """Read what can be read; a file that has become bad keeps its category of `previous`."""
    problems: list[Problem] = []
    found: dict[str, Category] = {}
    for file in _files(folders, problems):
        reading = _read_file(file)
        problems += reading.problems
        category = reading.category or _last_good(file, previous)
        if category is None:
            continue
        if other := found.get(category.table):
            problems.append(_twice(category, other))
        else:
            found[category.table] = category
    return CatalogReading(
        Catalog(tuple(found[table] for table in sorted(found))), tuple(sorted(set(problems)))
    )


def _files(folders: Sequence[str | Path], problems: list[Problem]) -> Iterable[Path]:
    for folder in folders:
        path = builtin_folder() if folder == BUILTIN else Path(folder)
        if not path.is_dir():
            problems.append(Problem(str(path), 0, "", "there is no such folder of categories"))
            continue
        for file in sorted(path.iterdir()):
            if file.suffix in {".yaml", ".yml"} and not file.name.startswith("."):
                yield file


def _read_file(file: Path) -> Reading:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Reading(None, (Problem(str(file), 0, "", f"cannot be read: {error}"),))
    return read_category(text, str(file), file.resolve().parent.parent / "probes")


def _last_good(file: Path, previous: Catalog | None) -> Category | None:
    return next((c for c in previous or () if c.file == str(file)), None)


def _twice(category: Category, other: Category) -> Problem:
    message = f"table '{category.table}' is already declared in {other.file}:{other.line}"
    return Problem(category.file, category.line, "table", message)
