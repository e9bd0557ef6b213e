"""Category -> JSON Schema 2020-12 of the requests that carry its rows, also as columns."""

from collections.abc import Iterable
from typing import Any

from kscope.declare import columnar, envelope
from kscope.declare.model import TIME, Category, Column
from kscope.declare.types.wire import json_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def body_schema(categories: Iterable[Category]) -> dict[str, Any]:
    """Schema of a request body; `$defs` describe each table's rows, and its columns."""
    chosen = tuple(categories)
    rows = {
        category.table: {
            "anyOf": [
                {"type": "array", "items": {"$ref": f"#/$defs/{category.table}"}},
                {"$ref": f"#/$defs/{category.table}.columns"},
            ],
            "description": f"rows of {category.prettyname}, or their columns",
        }
        for category in chosen
    }
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": envelope.properties() | rows,
        "required": list(envelope.REQUIRED),
        "additionalProperties": False,
        "$defs": {
            name: schema
            for category in chosen
            for name, schema in (
                (category.table, row_schema(category)),
                (f"{category.table}.columns", _columns_schema(category)),
            )
        },
    }


def table_schema(category: Category) -> dict[str, Any]:
    """Schema of a body that carries this table alone, with the category's words."""
    body = body_schema([category])
    return {
        "$schema": body.pop("$schema"),
        "title": category.prettyname,
        **({"description": category.description} if category.description else {}),
        **body,
        "required": [*envelope.REQUIRED, category.table],
    }


def row_schema(category: Category) -> dict[str, Any]:
    own_time = {**TIME.type.json, "description": "when it happened; left out: the request's time"}
    return {
        "type": "object",
        "properties": {"time": own_time}
        | {column.name: column_schema(column) for column in category.columns},
        "required": [column.name for column in category.columns if not column.optional],
        "additionalProperties": False,
    }


def _columns_schema(category: Category) -> dict[str, Any]:
    """Schema of the columns of many rows; each value is as a row has it."""
    row = f"#/$defs/{category.table}/properties"
    return {
        "type": "object",
        "description": "an array for each column, all of one length",
        "properties": {
            column.name: _values_schema(column, f"{row}/{column.name}")
            for column in (TIME, *category.columns)
        },
        "required": [column.name for column in category.columns if not column.optional],
        "additionalProperties": False,
    }


def _values_schema(column: Column, one: str) -> dict[str, Any]:
    """Schema of one column: `one` is the address of the schema of a single value."""
    values = {"type": "array", "items": {"$ref": one}}
    parts = columnar.parts(column.type)
    if not parts:
        return values
    properties = {
        name: {
            "type": "array",
            "items": json_schema(wire),
            "description": columnar.HELP[name],
        }
        for name, wire in parts.items()
    }
    instead = {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }
    return {"anyOf": [values, instead]}


def column_schema(column: Column) -> dict[str, Any]:
    unit = f", in {column.unit}" if column.unit else ""
    kind = dict(column.type.json)
    return {
        "title": column.prettyname,
        "description": f"{column.help or column.type.help}{unit}",
        **({"anyOf": [kind, {"type": "null"}]} if column.nullable else kind),
        **({"default": column.default} if column.optional else {}),
    }
