"""The category schema for editors: what the reader checks beyond the shape, as JSON Schema too."""

from copy import deepcopy
from typing import Any

from kscope.declare import envelope
from kscope.declare.charts import KINDS
from kscope.declare.charts.base import ChartKind
from kscope.declare.files import reserved
from kscope.declare.files.shapes import category_schema
from kscope.declare.types import TYPES
from kscope.declare.types.base import ColumnType
from kscope.declare.values import has_unit, refused_units


def editor_schema() -> dict[str, Any]:
    """Return the schema that editors check a file against while it is written."""
    schema = deepcopy(category_schema())
    properties = schema["properties"]
    _refuse_names(properties["table"], envelope.NAMES)
    column, chart = properties["columns"]["items"], properties["charts"]["items"]
    _refuse_names(column["properties"]["name"], reserved.STORED_COLUMNS)
    column["allOf"] = [_if("type", name, _of_type(row)) for name, row in TYPES.items()]
    chart["allOf"] = [_if("kind", name, _of_kind(kind)) for name, kind in KINDS.items()]
    return schema


def _refuse_names(name: dict[str, Any], words: frozenset[str]) -> None:
    name["not"] = {
        "anyOf": [{"enum": sorted(words | reserved.SQL)}, {"pattern": "^(kscope_|sqlite_)"}]
    }


def _if(key: str, value: str, then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": then}


def _of_type(row: ColumnType) -> dict[str, Any]:
    default = dict(row.defaults.json if row.defaults else row.json)
    null = {"anyOf": [default, {"type": "null"}]}
    properties: dict[str, Any] = {"default": null if row.nullable else default}
    if row.unit != "us":
        properties["rate"] = properties["sampled_by"] = False
    if row.unit:
        properties["unit"] = {"const": row.unit}
    elif not has_unit(row):
        properties["unit"] = False
    elif units := refused_units(row):
        properties["unit"] = {"not": {"enum": sorted(units)}}
    return {"properties": properties}


def _of_kind(kind: ChartKind) -> dict[str, Any]:
    return {
        "required": sorted(kind.needs),
        "properties": {key: False for key in ("stack", "by", "aggregate") if key not in kind.keys},
    }
