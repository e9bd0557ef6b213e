"""Batches of all sizes in one commit: each value of each row arrives, however its column comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kscope.store.backends.coded import Coded, chained
from kscope.store.schema.interning import text_hash
from kscope.store.write.batch import Batch, TableRows
from tests.days import NOON_SECONDS
from tests.store.opened import category, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kscope.store.store import Store
    from tests.databases import Database

WAITS = category()
STACKS = {text_hash(text): text for text in ("main;a", "main;b", "main;c")}
NOON = NOON_SECONDS * 1_000_000
# Sizes around those of the statements, and of the pieces that are stored by themselves.
SIZES = (1, 2, 3, 29, 100, 131, 999, 1000, 1001, 1999, 2000, 2001, 4444)


def coded(values: Sequence[Any]) -> Coded:
    """Values that are equal may still differ: 0 and -0.0."""
    found = {repr(each): each for each in values}
    places = {text: place for place, text in enumerate(found)}
    return Coded([places[repr(each)] for each in values], [*found.values()], range(len(found)))


def columns_of(host: str, rows: int) -> list[Sequence[Any]]:
    """Return columns of each kind: of one value, of several, and of numbers as they are."""
    many = [f"{host} {row % 5}" for row in range(rows)]
    same = Coded.constant("p", rows) if rows % 2 else coded(many)
    return [
        Coded.constant(NOON + rows, rows),
        Coded.constant(host, rows),
        same,
        Coded.constant(7, rows) if rows % 3 else [*range(rows)],
        coded([[*STACKS][row % 3] for row in range(rows)]),
        [1000 + row for row in range(rows)],
        Coded.constant("", rows) if rows % 4 else [f"{row % 60}:1" for row in range(rows)],
    ]


async def stored(store: Store) -> Counter[tuple[Any, ...]]:
    """Return the rows, with the texts of their host and process."""
    rows, texts = store.schema.categories["waits"].rows, store.schema.dictionaries.string
    host, process = texts.alias(), texts.alias()
    select = (
        sa.select(
            *(rows.c.time, host.c.text, process.c.text, rows.c.pid, rows.c.stack),
            *(rows.c.elapsed, rows.c.sizes),
        )
        .join_from(rows, host, host.c.id == rows.c.hostname)
        .join(process, process.c.id == rows.c.process)
    )
    return Counter(tuple(row) for row in await store.reader.fetch(select))


def test_pieces_of_all_sizes_are_stored_whole(database: Database) -> None:
    sent = {f"host-{size}": columns_of(f"host-{size}", size) for size in SIZES}
    batches = [
        Batch(n.to_bytes(16, "big"), [TableRows(WAITS, columns)], STACKS)
        for n, columns in enumerate(sent.values())
    ]

    async def check() -> None:
        async with opened(database, WAITS) as store:
            answers = await asyncio.gather(*map(store.writer.write, batches))
            assert [each.rows["waits"] for each in answers] == [*SIZES]
            rows = (row for columns in sent.values() for row in zip(*columns, strict=True))
            assert await stored(store) == Counter(rows)

    asyncio.run(check())


VALUES = st.sampled_from([0, 1, -1, 2**62, "", "a", None, 0.0, -0.0, 1.5])
COLUMNS = st.lists(
    st.one_of(
        st.lists(VALUES, min_size=1, max_size=5),
        st.builds(Coded.constant, VALUES, st.integers(1, 5)),
        st.lists(VALUES, min_size=1, max_size=5).map(coded),
    ),
    min_size=1,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(COLUMNS)
def test_chained_columns_have_the_values_of_all(columns: list[Sequence[Any]]) -> None:
    """The sign of a zero as well."""
    found = chained(columns)
    expected = [value for column in columns for value in column]
    assert list(map(repr, found)) == list(map(repr, expected))
    assert len(found) == len(expected)
