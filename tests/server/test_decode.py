"""The fast way through a body agrees with the JSON Schema, which has the last word."""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.declare.files.catalog import load_catalog
from kscope.declare.files.category import read_category
from kscope.declare.model import Catalog
from kscope.declare.types import TYPES
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.decode import Decoder
from kscope.server.ingest.fast_decode import TypedRows
from tests.decoding import decoded

EVERY = """\
table: every
columns:
  - {name: s, type: string}
  - {name: i, type: int}
  - {name: c, type: count, default: 4}
  - {name: f, type: float, default: 0.5}
  - {name: b, type: bool, default: false}
  - {name: k, type: stack, default: ""}
  - {name: h, type: histogram}
  - {name: x, type: text, default: ""}
  - {name: a, type: ip, default: "192.0.2.9"}
  - {name: t, type: timestamp, default: null}
"""
reading = read_category(EVERY, "every.yaml", Path("/probes"))
assert reading.category is not None, reading.problems
DECODER = Decoder(Catalog((reading.category,)))
TYPED = TypedRows(reading.category)

edges = st.sampled_from(
    [0, 1, -1, 63, 64, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 1.0, 0.5, 1e308]
)
texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["x" * 1024, "x" * 1025, "a\0b", "\U0001f600" * 1024, "2026-01-02T03:04:05Z"]),
)
times = st.sampled_from(
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02 03:04",
        "20260102T030405",
        "2026-01-02T03:04:05Z\n",
        "x",
        "2026-01-02T03:04:05.123456789+0100",
        "\u0662026-01-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
    ]
)
addresses = st.sampled_from(
    ["192.0.2.1", "192.0.2.256", "2001:DB8::1", "::ffff:192.0.2.1", "fe80::1%eth0", "::1\n", "::g"]
)
values = st.one_of(st.none(), st.booleans(), st.integers(), edges, texts, times)
rows = st.fixed_dictionaries(
    {"s": texts, "i": st.one_of(edges, values), "h": st.lists(edges, max_size=3)},
    optional={
        "c": st.one_of(edges, values),
        "f": st.one_of(edges, values),
        "b": st.one_of(st.booleans(), values),
        "k": st.one_of(st.integers(0, 3), values),
        "x": texts,
        "a": st.one_of(addresses, values),
        "t": st.one_of(times, values),
        "time": st.one_of(times, values),
        "other": values,
    },
)
bodies = st.fixed_dictionaries(
    {"hostname": st.one_of(st.sampled_from(["h", "", "a\tb", "x" * 256]), texts)},
    optional={
        "time": st.one_of(times, values),
        "stacks": st.lists(texts, max_size=3),
        "every": st.lists(rows, max_size=3),
        "other": values,
    },
)


def answer(decoder: Decoder, body: object) -> Any:
    """Return the columns, or the status and the places of the problems."""
    try:
        batch = decoded(decoder, json.dumps(body).encode(), 7)
    except HttpProblem as problem:
        return problem.status, [fault.pointer for fault in problem.faults]
    return batch.stacks, [[list(column) for column in table.columns] for table in batch.tables]


def by_schema(decoder: Decoder) -> Decoder:
    """Return the decoder without its fast way."""
    slow = copy(decoder)
    vars(slow)["typed"] = {"every": _Never()}
    return slow


@given(bodies)
def test_both_ways_give_the_same(body: object) -> None:
    """All ways to decode a body return the same rows, or the same problems."""
    slow = by_schema(DECODER)
    assert answer(DECODER, body) == answer(slow, body)


@pytest.mark.parametrize("wrong_for_the_fast_way", [{}, {"i": 5.0}], ids=["fast", "schema"])
@pytest.mark.parametrize(
    ("sent", "stored"), [([1], "0:1"), ([1.0], "0:1"), ([0, 1e3, 2], "1:1000,2:2"), ([], "")]
)
def test_a_histogram_counts_in_whole_numbers(
    wrong_for_the_fast_way: dict[str, float], sent: list[float], stored: str
) -> None:
    """However JSON writes them, and whichever way the body goes: 1, 1.0 and 1e0 are one."""
    row = {"s": "a", "i": 5, "h": sent} | wrong_for_the_fast_way
    _, [columns] = answer(DECODER, {"hostname": "h", "every": [row]})
    names = [column.name for column in DECODER.catalog.categories[0].all_columns]
    assert columns[names.index("h")] == [stored]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        (None, "2001:db8::2"),
    ],
)
def test_an_address_has_one_form(sent: str | None, stored: str) -> None:
    """However a sender writes it, or the category's file its default: one host is one name."""
    text = "table: peers\ncolumns: [{name: peer, type: ip, default: '2001:DB8::0:2'}]\n"
    peers = read_category(text, "peers.yaml").category
    assert peers is not None
    row = {} if sent is None else {"peer": sent}
    _, [columns] = answer(Decoder(Catalog((peers,))), {"hostname": "h", "peers": [row]})
    assert columns[-1] == [stored]


def test_the_example_of_each_type_is_a_right_value() -> None:
    """Whichever way a body goes; so are the defaults that the page shows and the docs print."""
    names = {f"c{at}": kind for at, kind in enumerate(TYPES.values())}
    declared = "".join(f"  - {{name: {name}, type: {kind.name}}}\n" for name, kind in names.items())
    every = read_category(f"table: every\ncolumns:\n{declared}", "every.yaml").category
    assert every is not None
    fast = Decoder(Catalog((every,)))
    body = {"hostname": "h", "every": [{name: kind.example for name, kind in names.items()}]}
    slow = by_schema(fast)
    stacks, [columns] = answer(fast, body)
    assert (stacks, [columns]) == answer(slow, body)
    assert len(columns) == len(TYPES) + 2


class _Never:
    """A sink that stores no rows."""

    def decode(self, text: bytes) -> None: ...


def test_usual_rows_take_the_fast_way() -> None:
    """Each packaged category that agents send all day, as Python and others write its numbers."""
    category = load_catalog().get("offcputime")
    assert category is not None
    row = {"process": "p", "pid": 1, "stack": 0, "elapsed": 5.0}
    found = TypedRows(category).decode(json.dumps([row]).encode())
    assert found is not None
    assert found["count"] == [1]
    assert found["elapsed"] == [5]


@pytest.mark.parametrize("text", [b"5", b"null", b"{}", b"[[]]", b"[" * 100_000])
def test_other_json_is_left_to_the_schema(text: bytes) -> None:
    assert TYPED.decode(text) is None


@pytest.mark.parametrize("text", [b"", b"[", b'[{"s": "', b'[{"s": "\xff"}]'])
def test_broken_json_is_distinguished_from_wrong_rows(text: bytes) -> None:
    """A piece that was cut in the wrong place is read again with another end."""
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as raised:
        TYPED.decode(text)
    assert not isinstance(raised.value, msgspec.ValidationError)
