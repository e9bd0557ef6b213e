"""Categories as stored in kscope_meta, to use them while their files are invalid."""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from kscope.declare.files.category import read_category
from kscope.declare.model import IMPLICIT_COLUMNS, Catalog, Category
from kscope.declare.units import duration
from kscope.store.schema.changed_levels import levels_held
from kscope.store.schema.meta import known_categories

_SHAPE = "shape "
# Databases of earlier versions do not store the retention of a level: keep all of it.
_KEPT = "100y"


def shape_note(table: str) -> str:
    return f"{_SHAPE}{table}"


def shape(category: Category) -> str:
    """Return the category as its file declares it, without the probe, and the file's path."""
    file = str(Path(category.file).absolute())
    return json.dumps({"file": file, "declaration": category.declaration})


def without_column(text: str | None, name: str) -> str:
    """Return the stored shape without a column, and without the charts if one names it."""
    if not text:
        return ""
    kept: dict[str, Any] = json.loads(text)
    declaration = kept["declaration"]
    declaration["columns"] = [each for each in declaration["columns"] if each["name"] != name]
    if any(name in chart.values() for chart in declaration.get("charts", ())):
        del declaration["charts"]
    return json.dumps(kept)


def category_without(
    found: Mapping[str, str], relations: Iterable[str], table: str, column: str
) -> Category | None:
    """Return a category as it is stored, without a column; None if it is no category then."""
    text = without_column(found.get(shape_note(table)), column)
    kinds = {name: kind for name, kind in known_categories(found)[table].items() if name != column}
    return _read({shape_note(table): text}, table, kinds, relations)


def stored_catalog(found: Mapping[str, str], relations: Collection[str]) -> Catalog:
    """Return the categories that the notes describe, except those that no longer parse."""
    known = sorted(known_categories(found).items())
    read = (_read(found, table, kinds, relations) for table, kinds in known)
    return Catalog(tuple(category for category in read if category is not None))


def _read(
    found: Mapping[str, str], table: str, kinds: Mapping[str, str], relations: Iterable[str]
) -> Category | None:
    text = found.get(shape_note(table))
    kept: dict[str, Any] = json.loads(text) if text else {}
    declaration = kept.get("declaration") or _older(table, kinds, relations)
    return read_category(json.dumps(declaration), kept.get("file", f"{table}.yaml")).category


def _older(table: str, kinds: Mapping[str, str], relations: Iterable[str]) -> dict[str, Any]:
    """Return the declaration that the notes of an earlier version and the tables show."""
    implicit = {column.name for column in IMPLICIT_COLUMNS}
    columns = [{"name": name, "type": kind} for name, kind in kinds.items() if name not in implicit]
    held = levels_held(table, relations).values()
    rollup = {duration(bucket): _KEPT for bucket in sorted(held)}
    return {"table": table, "columns": columns} | ({"rollup": rollup} if rollup else {})
