"""The tables of keys, types and kinds that the documentation shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kscope.declare.chartkinds import KINDS
from kscope.declare.columns import TYPES
from kscope.declare.metaschema import category_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def category_reference() -> str:
    """Markdown on everything that a category file may hold."""
    schema = category_schema()
    column = schema["properties"]["columns"]["items"]
    return "\n".join(
        [
            "# Category files",
            "",
            "A file with `table` and `columns` is complete; `hostname` and `time` are in every",
            "table and need no line.",
            "",
            "## Keys",
            "",
            *_keys(schema),
            "",
            "## Keys of a column",
            "",
            *_keys(column),
            "",
            "## Column types",
            "",
            "A *dimension* groups and is kept in rollups, an *identity* only filters, a *value*",
            "adds up.",
            "",
            *_table(
                ("type", "role", "unit", "holds"),
                ((f"`{t.name}`", t.role, t.unit, t.help) for t in TYPES.values()),
            ),
            "",
            "## Chart kinds",
            "",
            *_table(("kind", "shows"), ((f"`{kind.name}`", kind.help) for kind in KINDS.values())),
            "",
        ]
    )


def _keys(schema: Mapping[str, object]) -> list[str]:
    properties, required = schema["properties"], schema["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    return _table(
        ("key", "needed", "what it says"),
        (
            (f"`{key}`", "yes" if key in required else "", str(rule.get("description", "")))
            for key, rule in properties.items()
        ),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
