"""The tables of keys, types and kinds that the documentation shows."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kscope.declare.charts import KINDS
from kscope.declare.charts.base import ChartKind, Panel
from kscope.declare.files.shapes import DECODES, category_schema
from kscope.declare.types import TYPES


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; a column that is empty in every row is left out."""
    body = [tuple(map(_cell, row)) for row in rows]
    kept = [index for index, _ in enumerate(head) if any(row[index] for row in body)]
    lines = [tuple(head), tuple("---" for _ in head), *body]
    return [f"| {' | '.join(line[index] for index in kept)} |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def category_reference() -> str:
    """Markdown on everything that a category file may hold."""
    head = (
        "# Category files",
        "",
        "A file with `table` and `columns` is complete; `hostname` and `time` are in every",
        "table and need no line.",
        "",
        "## Keys",
        "",
    )
    schema = category_schema()
    return "\n".join([*head, *_keys(schema), *_nested(schema), *_types(), ""])


def _nested(schema: Mapping[str, Any]) -> Iterator[str]:
    keys = schema["properties"]
    probe = keys["probe"]["properties"]
    collect = probe["collect"]
    columns = collect["properties"]["columns"]["additionalProperties"]
    sections = (
        ("`columns`: each column", keys["columns"]["items"]),
        ("`charts`: each chart", keys["charts"]["items"]),
        ("`presets`: each preset", keys["presets"]["items"]),
        ("`receive`: the protocols", keys["receive"]),
        ("`receive.PROTOCOL`", keys["receive"]["properties"]["otlp"]),
        ("`probe`", keys["probe"]),
        ("`probe.options`: each option, under its name", probe["options"]["additionalProperties"]),
        ("`probe.attach`: each place", probe["attach"]["items"]),
        ("`probe.collect`", collect),
    )
    for title, part in sections:
        yield from ("", f"## {title}", "", *_keys(part))
    yield from (
        "",
        "## `probe.collect.columns`: each column, under its name",
        "",
        f"It is {columns['description']}.",
        "",
        *_keys(columns["anyOf"][-1]),
        "",
        f"`as` is one of {', '.join(f'`{name}`' for name in DECODES)}.",
    )


def _types() -> list[str]:
    return [
        "",
        "## Column types",
        "",
        "A *dimension* groups and is kept in rollups, an *identity* only filters, a *value*",
        "adds up.",
        "",
        *table(
            ("type", "role", "unit", "holds", "such as"),
            (
                (f"`{t.name}`", t.role, t.unit, t.help, f"`{json.dumps(t.example)}`")
                for t in TYPES.values()
            ),
        ),
        "",
        "## Chart kinds",
        "",
        *table(
            ("kind", "shows", "question", "also takes", "panel in Grafana"),
            map(_kind, KINDS.values()),
        ),
    ]


def _kind(kind: ChartKind) -> tuple[str, ...]:
    keys = ", ".join(f"`{key}`" for key in sorted(kind.keys - {"value"}))
    panel = kind.grafana.type if isinstance(kind.grafana, Panel) else f"none: {kind.grafana}"
    return (f"`{kind.name}`", kind.help, f"`{kind.question}`", keys, panel)


def _keys(schema: Mapping[str, Any]) -> list[str]:
    return table(
        ("key", "needed", "meaning"),
        (
            (f"`{key}`", _needed(key, schema), _says(rule))
            for key, rule in schema["properties"].items()
        ),
    )


def _says(rule: Mapping[str, Any]) -> str:
    # An editor shows the meaning of each; here they have separate tables.
    if rule.get("enum") == list(TYPES):
        return "one of the column types below"
    if rule.get("enum") == list(KINDS):
        return "one of the chart kinds below"
    return str(rule.get("description", ""))


def _needed(key: str, schema: Mapping[str, Any]) -> str:
    if key in schema["required"]:
        return "yes"
    others = [branch["required"][0] for branch in schema.get("oneOf", ())]
    return f"or {', '.join(f'`{o}`' for o in others if o != key)}" if key in others else ""
