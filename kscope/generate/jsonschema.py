"""Category -> JSON Schema 2020-12 of the requests that carry its rows."""

from collections.abc import Iterable
from typing import Any

from kscope.declare import envelope
from kscope.declare.model import TIME, Category, Column

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def body_schema(categories: Iterable[Category]) -> dict[str, Any]:
    """Schema of a request body; each table's rows are described in `$defs`."""
    chosen = tuple(categories)
    rows = {
        category.table: {
            "type": "array",
            "items": {"$ref": f"#/$defs/{category.table}"},
            "description": f"rows of {category.prettyname}",
        }
        for category in chosen
    }
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": envelope.properties() | rows,
        "required": list(envelope.REQUIRED),
        "additionalProperties": False,
        "$defs": {category.table: row_schema(category) for category in chosen},
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


def column_schema(column: Column) -> dict[str, Any]:
    unit = f", in {column.unit}" if column.unit else ""
    kind = dict(column.type.json)
    return {
        "title": column.prettyname,
        "description": f"{column.help or column.type.help}{unit}",
        **({"anyOf": [kind, {"type": "null"}]} if column.nullable else kind),
        **({"default": column.default} if column.optional else {}),
    }
