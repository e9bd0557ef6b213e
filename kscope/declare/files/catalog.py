"""Folders of category files -> the catalog."""

import itertools
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from kscope.declare.files.category import Reading, read_category
from kscope.declare.files.union import with_unions
from kscope.declare.files.yaml_lines import MAX_BYTES
from kscope.declare.model import Catalog, Category
from kscope.errors import DeclarationError, Problem, printable
from kscope.files import UnreadableError, read_text

BUILTIN = "builtin"
MAX_FILES = 1000
# Of anything, category or not: a folder of so many files is another one.
_MAX_ENTRIES = 10_000
_SUFFIXES = frozenset({".yaml", ".yml"})
# In all files together: beyond it each file that is wrong names one problem.
_MAX_PROBLEMS = 1000
_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class CatalogReading:
    """A catalog of what could be read, and the problems of what could not."""

    catalog: Catalog
    problems: tuple[Problem, ...]


def builtin_folder() -> Path:
    """Where the packaged categories are: in the wheel, or at the top of a source tree."""
    packaged = _PACKAGE / "builtin" / "categories"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "categories"


def is_builtin_program(path: Path) -> bool:
    """Whether the file lies in the folder of the programs that Kernelscope ships."""
    return path.resolve().is_relative_to(builtin_folder().with_name("probes"))


def load_catalog(folders: Sequence[str | Path] = (BUILTIN,)) -> Catalog:
    """Raise DeclarationError with the problems of all files when there is any."""
    reading = read_catalog(folders)
    if reading.problems:
        raise DeclarationError(reading.problems)
    return reading.catalog


def read_catalog(
    folders: Sequence[str | Path] = (BUILTIN,), previous: Catalog | None = None
) -> CatalogReading:
    """Return every category that can be read, and the problems of all files; nothing is raised.

    A file that has become bad keeps the category that it has in `previous`, and a folder that
    cannot be read keeps all of its categories. If two files declare one table, the file keeps it
    that has it in `previous`.
    """
    before = _Before.of(previous)
    problems: list[Problem] = []
    found: list[Category] = []
    for folder in folders:
        path = folder_of(folder)
        files, unlisted = list_files(path)
        problems += unlisted
        for file in files:
            reading = _read_file(file)
            full = len(problems) > _MAX_PROBLEMS
            problems += reading.problems[:1] if full else reading.problems
            category = reading.category or before.declared_in(str(file))
            found += [category] if category else []
        if unlisted:
            found += before.unread(path, files)
    catalog, wrong = catalog_of(_one_each(found, previous, problems))
    return CatalogReading(catalog, tuple(sorted({*problems, *wrong})))


def without_files(catalog: Catalog, files: Collection[str], previous: Catalog) -> Catalog:
    """The catalog where these files still declare what they did in `previous`, if anything."""
    before = _Before.of(previous)
    chosen = {c.table: c for c in catalog if c.file not in files}
    for category in catalog:
        if category.file in files:
            held = before.declared_in(category.file) or previous.get(category.table)
            if held is not None:
                chosen.setdefault(held.table, held)
    return catalog_of(chosen.values())[0]


def folder_of(folder: str | Path) -> Path:
    """Return the folder of a name; `builtin` on a command line may also be a folder there."""
    shipped = str(folder) == BUILTIN and (folder == BUILTIN or not Path(folder).is_dir())
    return builtin_folder() if shipped else Path(folder)


def list_files(folder: Path) -> tuple[list[Path], list[Problem]]:
    """Return the folder's category files in the order of their names, without opening them, and
    why there may be others.

    Hidden files are left out, among them those that editors keep beside a file.
    """
    name = str(folder)
    try:
        entries = list(itertools.islice(folder.iterdir(), _MAX_ENTRIES + 1))
    except (FileNotFoundError, NotADirectoryError):
        return [], [Problem(name, 0, "", "there is no such folder of categories")]
    except OSError as error:
        return [], [Problem(name, 0, "", f"the folder cannot be read: {error.strerror}")]
    files = sorted(
        file for file in entries if file.suffix in _SUFFIXES and not file.name.startswith(".")
    )
    message = ""
    if len(entries) > _MAX_ENTRIES:
        message = f"has more than {_MAX_ENTRIES} files; keep categories in a separate folder"
    elif len(files) > MAX_FILES:
        message = f"has {len(files)} category files, and only the first {MAX_FILES} are read"
    return files[:MAX_FILES], [Problem(name, 0, "", message)] if message else []


@dataclass(frozen=True)
class _Before:
    """Categories that were declared before, by the absolute path and by the name of their file.

    A database keeps absolute paths, a command line names relative ones.
    """

    by_file: Mapping[str, Category] = field(default_factory=dict)
    by_name: Mapping[str, Category | None] = field(default_factory=dict)

    @classmethod
    def of(cls, catalog: Catalog | None) -> "_Before":
        by_file = {_absolute(category.file): category for category in catalog or ()}
        by_name: dict[str, Category | None] = {}
        for path, category in by_file.items():
            name = Path(path).name
            by_name[name] = None if name in by_name else category
        return cls(by_file, by_name)

    def declared_in(self, file: str) -> Category | None:
        """Return what the file declared, also if its folder has moved since."""
        found = self.by_file.get(_absolute(file))
        if found is None:
            moved = self.by_name.get(Path(file).name)
            found = moved if moved and not Path(moved.file).exists() else None
        return replace(found, file=file) if found else None

    def unread(self, folder: Path, files: Sequence[Path]) -> list[Category]:
        """Return the folder's categories whose files were not read now."""
        known = {_absolute(file) for file in files}
        where = _absolute(folder)
        of_folder = (path for path in self.by_file if str(Path(path).parent) == where)
        return [self.by_file[path] for path in of_folder if path not in known]


def _absolute(file: str | Path) -> str:
    return os.path.abspath(file)  # noqa: PTH100 - as text, and without `..`


def _one_each(
    found: Sequence[Category], previous: Catalog | None, problems: list[Problem]
) -> Iterable[Category]:
    """Return one category per table: the one that had it, or else the first."""

    def had_it(category: Category) -> bool:
        held = previous.get(category.table) if previous else None
        return held is not None and _absolute(held.file) == _absolute(category.file)

    chosen: dict[str, Category] = {}
    for category in sorted(found, key=had_it, reverse=True):
        other = chosen.setdefault(category.table, category)
        if other is not category:
            text = f"table '{category.table}' is already declared in {other.file}:{other.line}"
            problems.append(Problem(category.file, category.line, "table", text))
    return chosen.values()


def catalog_of(categories: Iterable[Category]) -> tuple[Catalog, list[Problem]]:
    """Return the catalog of these, and the problems of the unions that are left out of it."""
    found, problems = with_unions(categories)
    return Catalog(tuple(sorted(found, key=lambda category: category.table))), problems


def _read_file(file: Path) -> Reading:
    name = str(file)
    if not file.name.isprintable():
        shown = str(file.parent / printable(file.name))
        message = "the file's name holds characters that cannot be shown; rename it"
        return Reading(None, (Problem(shown, 0, "", message),))
    try:
        text = read_text(file, MAX_BYTES)
    except UnreadableError as error:
        return Reading(None, (Problem(name, error.line, "", error.fault),))
    if PurePath(os.path.realpath(file)).suffix not in _SUFFIXES:
        # Messages quote the file's words, and anybody may read them on the page.
        message = "is a link to a file of another kind; link to a .yaml file"
        return Reading(None, (Problem(name, 0, "", message),))
    return read_category(text, name, file.resolve().parent.parent / "probes")
