"""Rows become payloads of a limited size, in which each stack occurs once."""

from collections.abc import Iterator, Sequence
from typing import Any

from kscope.agent.rows.interval import Row
from kscope.client.encoding import timestamp
from kscope.client.payload import Payload
from kscope.declare.model import Category
from kscope.declare.types.base import Role

MAX_ROWS = 10_000
# Well below what a server takes in one request, before compression.
MAX_STACK_BYTES = 4_000_000


def payloads(
    category: Category, rows: Sequence[Row], hostname: str, ended: float
) -> Iterator[Payload]:
    """Yield the payloads of an interval that ended at `ended` (seconds since the epoch)."""
    stacks = [c.name for c in category.with_role(Role.STACK)]
    for part in _parts(rows, stacks):
        named, index = indexed(part, stacks)
        body: dict[str, Any] = {"hostname": hostname, "time": timestamp(ended)}
        if stacks:
            body["stacks"] = index
        body[category.table] = named
        yield Payload.of(category.table, body)


def _parts(rows: Sequence[Row], stacks: Sequence[str]) -> Iterator[list[Row]]:
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += sum(len(row.get(name, "")) for name in stacks)
        if len(part) >= MAX_ROWS or size >= MAX_STACK_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def indexed(rows: Sequence[Row], columns: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Return the rows with numbers in place of stacks, and the stacks by number."""
    index: dict[str, int] = {}
    named = [
        row | {name: index.setdefault(row[name], len(index)) for name in columns if name in row}
        for row in rows
    ]
    return named, list(index)
