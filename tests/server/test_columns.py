"""Rows as columns, in JSON and MessagePack: the same rows, and the same verdict."""

from __future__ import annotations

import json
import struct
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from kscope.declare.files.catalog import load_catalog
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.decode import Decoder, Form
from kscope.server.ingest.row_faults import validator
from kscope.store.backends.coded import Coded
from kscope.store.write.batch import Batch
from tests.databases import Database, scalar
from tests.days import DAY, NOON
from tests.decoding import decoded
from tests.server.test_bad_input import problem
from tests.server.test_decode import DECODER, addresses, edges, texts, times, values
from tests.serving import ROOT, few, serving

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.enginefixtures import Served

PATH = "/api/v1/ingest"
MOMENT = NOON
TABLE = {
    "time": {"strings": [3, 3, 3]},
    "process": {"strings": [0, 2, 0]},
    "pid": [1, 2, 3],
    "reason": ["blocked", "", "blocked"],
    "stack": [1, 0, 1],
    "elapsed": [10, 20, 30],
    "lengths": {"slots": [3, 4, 0], "counts": [1, 2, 70_000], "ends": [2, 2, 3]},
}
BODY = {
    "hostname": "web-001",
    "strings": ["nginx", "never used", "mysqld", MOMENT],
    "stacks": ["main;read", "main;write", "never;used"],
    "offcputime": TABLE,
}
SCHEMAS = ROOT / "schema" / "generated"
OFFCPUTIME = Decoder(load_catalog())

small = st.integers(0, 3)
whole = st.one_of(st.sampled_from([0, 1, 63, 2**63 - 1, 1.0]), st.integers(0, 300))
good_texts = st.sampled_from(["", "a", "b;c", "2026-01-02T03:04:05Z", "\U0001f600"])
# The values of a column in one body: all right, or perhaps not.
COLUMNS: dict[str, list[st.SearchStrategy[Any]]] = {
    "s": [good_texts, texts],
    "i": [st.integers(-(2**63), 2**63 - 1), st.one_of(edges, values)],
    "h": [st.lists(whole, max_size=3), st.lists(edges, max_size=3), values],
    "c": [whole, st.one_of(edges, values)],
    "f": [st.floats(-1e308, 1e308), st.one_of(edges, values)],
    "b": [st.booleans(), values],
    "k": [small, st.one_of(small, good_texts), st.one_of(small, values)],
    "x": [good_texts, texts],
    "a": [st.sampled_from(["192.0.2.1", "2001:DB8::1", "::1"]), st.one_of(addresses, values)],
    "t": [st.one_of(st.none(), st.just(MOMENT)), st.one_of(times, values)],
    "time": [st.just(MOMENT), st.one_of(times, values)],
    "other": [values],
}
ALWAYS = {"s", "i", "h"}


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw rows that all have the same columns."""
    wrong = draw(st.sampled_from(["", *COLUMNS]))
    names = [
        name
        for name in COLUMNS
        if name in ALWAYS or name == wrong or (name != "other" and draw(st.booleans()))
    ]
    kinds = {name: COLUMNS[name][-1 if name == wrong else 0] for name in names}
    return draw(st.lists(st.fixed_dictionaries(kinds), min_size=1, max_size=4))


def histograms(rows: list[Any]) -> dict[str, list[Any]] | None:
    """Return the slots that are not empty; None if a row is no histogram."""
    if not all(isinstance(row, list) for row in rows):
        return None
    found: dict[str, list[Any]] = {"slots": [], "counts": [], "ends": []}
    for row in rows:
        for slot, count in enumerate(row):
            if count:
                found["slots"].append(slot)
                found["counts"].append(count)
        found["ends"].append(len(found["slots"]))
    return found


def as_columns(rows: list[dict[str, Any]], replaced: set[str]) -> dict[str, Any]:
    """Return `strings` and the table; columns in `replaced` are objects if they can be."""
    strings: list[str] = ["never used"]
    columns: dict[str, Any] = {}
    for name in rows[0]:
        column = columns[name] = [row[name] for row in rows]
        if name not in replaced:
            continue
        if name == "h":
            columns[name] = histograms(column) or column
        elif name not in "bfic" and all(isinstance(value, str) for value in column):
            columns[name] = {"strings": list(range(len(strings), len(strings) + len(column)))}
            strings += column
    return {"strings": strings, "every": columns}


def outcome(decoder: Decoder, body: Any, form: Form = Form.JSON) -> Any:
    """Return the rows by column, or the status and the places of faults."""
    try:
        text = msgpack.encode(body) if form is Form.MESSAGEPACK else json.dumps(body).encode()
    except OverflowError:
        # MessagePack has no such numbers.
        return outcome(decoder, body)
    try:
        batch = decoded(decoder, text, 7, form)
    except HttpProblem as refused:
        return refused.status, {fault.pointer for fault in refused.faults}
    return batch.stacks, [[list(column) for column in table.columns] for table in batch.tables]


def by_schema(decoder: Decoder) -> Decoder:
    """Return the decoder without its fast way."""
    slow, kinds = copy(decoder), copy(decoder.kinds["every"])
    kinds.values = {name: copy(kind) for name, kind in kinds.values.items()}
    kinds.parts = {
        name: {part: copy(kind) for part, kind in parts.items()}
        for name, parts in kinds.parts.items()
    }
    for kind in (*kinds.values.values(), *(k for p in kinds.parts.values() for k in p.values())):
        vars(kind).update(decoded=_never, converted=_never)
    slow.kinds = {"every": kinds}
    return slow


def _never(_: Any) -> None: ...


@given(tables(), st.sets(st.sampled_from([*COLUMNS])))
def test_columns_are_the_same_as_rows(rows: list[dict[str, Any]], replaced: set[str]) -> None:
    """One body as rows, as columns, with places or values, in JSON and MessagePack, by both ways:
    the same is stored, or all are refused.
    """
    head = {"hostname": "h", "stacks": ["a", "b;c", "a"]}
    expected = outcome(DECODER, head | {"every": rows})
    body = head | as_columns(rows, replaced)
    plain = head | as_columns(rows, set())
    found = outcome(DECODER, body)
    if isinstance(expected[0], int):
        assert found[0] == expected[0] == outcome(DECODER, body, Form.MESSAGEPACK)[0]
        assert outcome(DECODER, plain)[1] >= {turned(each) for each in expected[1]}
    else:
        assert found == expected == outcome(DECODER, body, Form.MESSAGEPACK)
    assert outcome(by_schema(DECODER), body) == found
    assert outcome(DECODER, head | {"every": rows}, Form.MESSAGEPACK) == expected


def turned(pointer: Any) -> str:
    """Return the place in columns of a place in rows."""
    _, table, row, *rest = str(pointer).split("/")
    # An unknown column is one fault, however many rows have it.
    return "/".join(("", table, *rest[:1], *([] if rest[0] == "other" else [row]), *rest[1:]))


def packed(width: int, *numbers: int) -> msgpack.Ext:
    """Return integers as an extension."""
    code = {1: "B", 2: "H", 4: "I", 8: "q"}[width]
    return msgpack.Ext(width, struct.pack(f"<{len(numbers)}{code}", *numbers))


def columns_of(batch: Batch) -> dict[str, Any]:
    (table,) = batch.tables
    return dict(zip(table.names, table.columns, strict=True))


def test_texts_that_no_row_has_are_dropped() -> None:
    """String and stack columns know the values that rows have, of rows and columns alike."""
    body = deepcopy(BODY)
    body["strings"] = ["nginx", "never used", "nginx", MOMENT]
    body["stacks"] = ["main;write", "main;write", "never;used"]
    row = {"process": "nginx", "pid": 1, "stack": 1, "elapsed": 1}
    rows = {"hostname": "h", "stacks": body["stacks"], "offcputime": [row, row | {"stack": 0}]}
    for sent in (body, rows):
        batch = decoded(OFFCPUTIME, json.dumps(sent).encode(), 7)
        columns = columns_of(batch)
        assert set(columns["process"].distinct) == {"nginx"}
        assert set(columns["stack"].distinct) == {*batch.stacks}
        assert list(batch.stacks.values()) == ["main;write"]
        coded = {name for name, column in columns.items() if isinstance(column, Coded)}
        assert coded >= {"hostname", "process", "reason", "cgroup", "stack"}
    empty = decoded(OFFCPUTIME, b'{"hostname": "h", "offcputime": []}', 7)
    assert [list(column) for column in columns_of(empty).values()] == [[]] * 11


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_integers_as_an_extension(width: int) -> None:
    """Each width holds numbers and places, and the largest has a sign."""
    body = deepcopy(BODY)
    table = body["offcputime"]
    expected = outcome(OFFCPUTIME, body)
    table["process"] = {"strings": packed(width, 0, 2, 0)}
    table["pid"], table["stack"] = packed(width, 1, 2, 3), packed(width, 1, 0, 1)
    table["lengths"] = {
        "slots": packed(width, 3, 4, 0),
        "counts": packed(max(width, 4), 1, 2, 70_000),
        "ends": packed(width, 2, 2, 3),
    }
    assert outcome(OFFCPUTIME, body, Form.MESSAGEPACK) == expected
    table["pid"] = packed(8, -1, 2**63 - 1, -(2**63))
    found = columns_of(decoded(OFFCPUTIME, msgpack.encode(body), 7, Form.MESSAGEPACK))
    assert found["pid"] == [-1, 2**63 - 1, -(2**63)]


def test_a_long_column_is_read_in_pieces() -> None:
    """Columns of more than one piece, above the size that is read twice, are stored whole."""
    count = 210_000
    table = {
        "process": {"strings": [number % 3 for number in range(count)]},
        "pid": list(range(count)),
        "stack": [number % 2 for number in range(count)],
        "elapsed": [7] * count,
        "cgroup": ["x,]"] * count,
        "lengths": {"slots": [5, 9] * count, "counts": [2] * count * 2, "ends": []},
    }
    table["lengths"]["ends"] = list(range(2, 2 * count + 1, 2))
    body = {"hostname": "h", "strings": ["a", "b", "c"], "stacks": ["s", "t"], "offcputime": table}
    for text, form in (
        (json.dumps(body).encode(), Form.JSON),
        (json.dumps(body, separators=(",", ":")).encode(), Form.JSON),
        (msgpack.encode(body), Form.MESSAGEPACK),
    ):
        batch = decoded(OFFCPUTIME, text, 7, form)
        columns = columns_of(batch)
        assert list(columns["process"][-3:]) == ["a", "b", "c"]
        assert columns["pid"] == table["pid"]
        assert set(columns["cgroup"]) == {"x,]"}
        assert set(columns["lengths"]) == {"5:2,9:2"}
        assert [batch.stacks[each] for each in columns["stack"][:2]] == ["s", "t"]
        assert len(batch) == count


def changed(**columns: Any) -> dict[str, Any]:
    """Return the body with other columns; None removes one."""
    body = deepcopy(BODY)
    table = TABLE | columns
    body["offcputime"] = {name: value for name, value in table.items() if value is not None}
    return body


def lengths(**parts: Any) -> dict[str, Any]:
    given = {"slots": [3, 4, 0], "counts": [1, 2, 7], "ends": [2, 2, 3]} | parts
    return changed(lengths={name: part for name, part in given.items() if part is not None})


@pytest.mark.parametrize("form", [Form.JSON, Form.MESSAGEPACK])
@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        (changed(pid=[1, 2]), "/pid", "has 2 values, but 'time' has 3"),
        (changed(pid=None), "", "'pid' is missing"),
        (changed(proces=["x"] * 3), "/proces", "Did you mean 'process'?"),
        (changed(pid=[1, "2", 3]), "/pid/1", "type int"),
        (changed(pid=[1, 2, 2**63]), "/pid/2", "9223372036854775808"),
        (changed(pid=[1, 2, None]), "/pid/2", "type int"),
        (changed(pid=[1, [2], 3]), "/pid/1", "type int"),
        (changed(pid=5), "/pid", "5 is not a column: send an array of values"),
        (changed(pid={"strings": [0, 0, 0]}), "/pid", "send an array of values"),
        (changed(elapsed=[0, -1, True]), "/elapsed/1", "-1"),
        (changed(process=["a", "b\0", "c"]), "/process/1", "NUL"),
        (changed(process=["a", "b", "x" * 2000]), "/process/2", "maxLength"),
        (changed(process={"strings": [0, 4, 0]}), "/process/strings/1", "4 is outside `strings`"),
        (changed(process={"strings": [0, 0, -1]}), "/process/strings/2", "-1"),
        (changed(process={"strings": [0.5, 0, 0]}), "/process/strings/0", "0.5"),
        (changed(process={"strings": [0, True, 0]}), "/process/strings/1", "true"),
        (changed(process={"strings": [0, 0, 2**63]}), "/process/strings/2", ""),
        (changed(process={"strings": [0, 0, 10**6]}), "/process/strings/2", "249999"),
        (changed(process={"strings": "nginx"}), "/process/strings", "is not an array"),
        (changed(process={"string": [0]}), "/process/string", 'or {"strings": [...]}'),
        (changed(process={}), "/process", "'strings' is missing"),
        (changed(reason={"strings": [0, 0, 4]}), "/reason/strings/2", "outside `strings`"),
        (changed(time={"strings": [3, 3, 0]}), "/time/strings/2", "type timestamp"),
        (changed(time=["2026-02-30T00:00:00Z"] * 3), "/time/0", "is not a time"),
        (changed(time=[None] * 3), "/time/0", "type timestamp"),
        (changed(stack=[0, 1, 3]), "/stack/2", "3 is outside `stacks`, which has 3 entries"),
        (changed(stack={"strings": [0, 1, 9]}), "/stack/strings/2", "9 is outside `strings`"),
        (lengths(ends=[2, 1, 3]), "/lengths/ends/1", "1 is less than the end before it, 2"),
        (lengths(ends=[2, 2, 2]), "/lengths/ends/2", "ends at 2, but `slots` has 3"),
        (lengths(ends=[2, 2, 4]), "/lengths/ends/2", "ends at 4, but `slots` has 3"),
        (lengths(ends=[2, 3]), "/lengths", "has 2 values, but 'time' has 3"),
        (lengths(counts=[1, 2]), "/lengths/counts", "has 2 values, but `slots` has 3"),
        (lengths(counts=[1, 0, 2]), "/lengths/counts/1", "0 is less than the minimum of 1"),
        (lengths(slots=[3, 3, 0]), "/lengths/slots/1", "slot 3 follows 3 in its row"),
        (lengths(slots=[3, 2, 0]), "/lengths/slots/1", "slot 2 follows 3 in its row"),
        (lengths(slots=[3, 64, 0]), "/lengths/slots/1", "64"),
        (lengths(slots=None), "/lengths", "'slots' is missing"),
        (lengths(more=[1]), "/lengths/more", "is not known here"),
        (changed(lengths=[[1], [1] * 65, []]), "/lengths/1", "64 items"),
    ],
)
def test_columns_that_do_not_fit(form: Form, body: dict[str, Any], place: str, says: str) -> None:
    """422, with a JSON pointer to the place and a hint."""
    text = msgpack.encode(body) if form is Form.MESSAGEPACK else json.dumps(body).encode()
    with pytest.raises(HttpProblem) as refused:
        decoded(OFFCPUTIME, text, 7, form)
    assert refused.value.status == 422
    assert refused.value.faults[0].pointer == f"/offcputime{place}"
    assert says in refused.value.faults[0].detail
    assert len(refused.value.faults[0].detail) < 300


@pytest.mark.parametrize(
    ("strings", "place", "says"),
    [
        ("nginx", "/strings", "is not of type"),
        (["a", 5], "/strings/1", "is not of type"),
        (["a\0"], "/strings/0", "NUL"),
        (["x" * 65537], "/strings/0", "maxLength"),
        ({"a": 1}, "/strings", "is not of type"),
    ],
)
def test_strings_that_do_not_fit(strings: Any, place: str, says: str) -> None:
    """Also if no column uses them."""
    body = {"hostname": "h", "strings": strings, "offcputime": []}
    for form, text in ((Form.JSON, json.dumps(body).encode()), (Form.MESSAGEPACK, None)):
        with pytest.raises(HttpProblem) as refused:
            decoded(OFFCPUTIME, text or msgpack.encode(body), 7, form)
        assert refused.value.faults[0].pointer == place
        assert says in refused.value.faults[0].detail


def test_texts_may_come_after_their_columns() -> None:
    """Members are in any order, as always."""
    last = {name: BODY[name] for name in ("offcputime", "stacks", "strings", "hostname")}
    for form in (Form.JSON, Form.MESSAGEPACK):
        assert outcome(OFFCPUTIME, last, form) == outcome(OFFCPUTIME, BODY)


def test_a_member_that_is_there_twice() -> None:
    """Readers of JSON and MessagePack keep the last one."""
    column = b'{"hostname":"h","offcputime":{"pid":[1],"pid":[2]}}'
    part = b'{"hostname":"h","offcputime":{"process":{"strings":[],"strings":[]}}}'
    pid = msgpack.encode({"pid": [1]})[1:]
    packed = b"\x81" + msgpack.encode("offcputime") + b"\x82" + pid + pid
    top = msgpack.encode({"hostname": "h"})[1:]
    for text, form, place in (
        (column, Form.JSON, "/offcputime/pid"),
        (part, Form.JSON, "/offcputime/process/strings"),
        (packed, Form.MESSAGEPACK, "/offcputime/pid"),
        (b"\x82" + top + top, Form.MESSAGEPACK, "/hostname"),
    ):
        with pytest.raises(HttpProblem) as refused:
            decoded(OFFCPUTIME, text, 7, form)
        assert refused.value.faults[0].pointer == place
        assert "twice" in refused.value.detail


GOOD = msgpack.encode(BODY)
NOT_PACKED = {
    "nothing": (b"", 400, None, "not MessagePack"),
    "cut off": (GOOD[:-5], 400, None, "not MessagePack"),
    "cut off in its head": (b"\xde\x00", 400, None, "not MessagePack"),
    "a count beyond its end": (b"\xdf\x00\x00\x00\xff", 400, None, "not MessagePack"),
    "a huge count": (b"\xdf\xff\xff\xff\xff", 422, "", "more than there can be"),
    "more after its end": (GOOD + b"\x00", 400, None, "not MessagePack"),
    "JSON": (json.dumps(BODY).encode(), 400, None, "not MessagePack"),
    "an array": (b"\x90", 422, "", "not a map"),
    "a number": (b"\x05", 422, "", "not a map"),
    "deep": (b"\x91" * 100_000 + b"\xc0", 400, None, "nested"),
    "a deep member": (b"\x81\xa1a" * 100_000 + b"\xc0", 400, None, "nested"),
    "a name that is a number": (b"\x81\x05\x05", 422, "", "a name that is not text"),
    "a name that is not UTF-8": (b"\x81\xa1\xff\x05", 400, None, "not MessagePack"),
    "a long name": (msgpack.encode({"k" * 9000: 1}), 422, "/" + "k" * 80, "no category"),
    "no such byte": (b"\x81\xa1a\xc1", 400, None, "not MessagePack"),
}


@pytest.mark.parametrize("name", NOT_PACKED)
def test_malformed_messagepack(name: str) -> None:
    """400 if it cannot be read, otherwise 422 with the place."""
    text, status, place, says = NOT_PACKED[name]
    with pytest.raises(HttpProblem) as refused:
        decoded(OFFCPUTIME, text, 7, Form.MESSAGEPACK)
    assert refused.value.status == status
    assert says in refused.value.detail
    assert [fault.pointer for fault in refused.value.faults] == ([] if place is None else [place])


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        (changed(pid=msgpack.Ext(3, b"123")), "/offcputime/pid", "an extension of type 3"),
        (changed(pid=msgpack.Ext(4, b"123456")), "/offcputime/pid", "no multiple of 4"),
        (changed(pid=packed(1, 1, 2)), "/offcputime/pid", "has 2 values"),
        (changed(elapsed=packed(8, 1, -2, 3)), "/offcputime/elapsed/1", "-2"),
        (changed(process=packed(1, 0, 0, 0)), "/offcputime/process/0", "type string"),
        (changed(process={"strings": packed(4, 0, 9, 0)}), "/offcputime/process/strings/1", "9"),
        (changed(lengths=packed(1, 1, 2, 3)), "/offcputime/lengths/0", "type histogram"),
        (changed(pid=b"123"), "/offcputime/pid", "bytes"),
        (changed(pid=[1, float("nan"), 3]), "/offcputime/pid/1", "nan"),
        (changed(process=["a", b"b", "c"]), "/offcputime/process/1", "bytes"),
        (changed(process=["a", {1: 2}, "c"]), "/offcputime/process/1", "not text"),
        (changed(pid=[1, [[[]]] * 3, 3]), "/offcputime/pid/1", "type int"),
        (BODY | {"hostname": b"h"}, "/hostname", "bytes"),
        (BODY | {"stacks": ["a", msgpack.Ext(5, b"")]}, "/stacks/1", "an extension of type 5"),
        (BODY | {"strings": packed(1, 1)}, "/strings/0", "is not of type"),
        (BODY | {"offcputime": packed(1, 1)}, "/offcputime/0", "is not an object"),
        (BODY | {"offcputime": [{"pid": float("inf")}]}, "/offcputime/0/pid", "inf"),
        (BODY | {"offcputime": [{"pid": b""}]}, "/offcputime/0/pid", "bytes"),
    ],
)
def test_messagepack_that_json_does_not_have(body: Any, place: str, says: str) -> None:
    """Extensions, binary data and numbers that are none are refused with their place."""
    with pytest.raises(HttpProblem) as refused:
        decoded(OFFCPUTIME, msgpack.encode(body), 7, Form.MESSAGEPACK)
    assert refused.value.status == 422
    assert refused.value.faults[0].pointer == place
    assert says in refused.value.faults[0].detail


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 4))
def test_any_bytes_get_an_answer(noise: bytes, at: int, dropped: int) -> None:
    """A body with some bytes replaced is stored or refused, and nothing else happens."""
    for text in (noise, GOOD[:at] + noise[:3] + GOOD[at + dropped :]):
        try:
            decoded(OFFCPUTIME, text, 7, Form.MESSAGEPACK)
        except HttpProblem as refused:
            assert refused.status in (400, 413, 422)  # noqa: PT017 - both are right


@given(st.binary(max_size=20), st.integers(0, 400), st.integers(0, 4))
def test_any_json_gets_an_answer(noise: bytes, at: int, dropped: int) -> None:
    """The same in JSON."""
    good = json.dumps(BODY).encode()
    try:
        decoded(OFFCPUTIME, good[:at] + noise[:3] + good[at + dropped :], 7)
    except HttpProblem as refused:
        assert refused.status in (400, 413, 422)  # noqa: PT017 - both are right


def test_the_schema_takes_what_the_server_takes() -> None:
    """The published JSON Schema has columns too."""
    schema = msgspec.json.decode((SCHEMAS / "offcputime.schema.json").read_bytes())
    check = validator(schema)
    assert check.is_valid(BODY)
    assert not check.is_valid(changed(pid=None))
    assert not check.is_valid(changed(process={"strings": [-1]}))
    assert not check.is_valid(lengths(slots=[64, 1, 1]))
    assert not check.is_valid(changed(other=[]))


def test_the_example_of_the_docs_is_right() -> None:
    """Three rows; the last has no lengths."""
    page = (ROOT / "docs/reference/http.md").read_text()
    lines = page.partition("### Rows as columns")[2].split("\n\n")[2].splitlines()
    batch = decoded(OFFCPUTIME, "\n".join(lines).encode(), 7)
    columns = columns_of(batch)
    assert list(columns["process"]) == ["mysqld", "nginx", "mysqld"]
    assert columns["lengths"] == ["10:1,12:1", "12:1", ""]


def post(served: Served, body: Any, kind: str = "application/json", **headers: str) -> Any:
    content = msgpack.encode(body) if "msgpack" in kind else json.dumps(body).encode()
    answer: httpx.Response = served.server.send(content, PATH, Content_Type=kind, **headers)
    return answer


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/msgpack",
        "application/x-msgpack",
        "application/vnd.msgpack; charset=binary",
    ],
)
def test_columns_are_stored_and_shown(served: Served, kind: str) -> None:
    """Each row of them is what a row would be; a key counts once."""
    host = kind.translate(str.maketrans("/;=", "---"))
    body = BODY | {"hostname": host}
    assert post(served, body, kind, Idempotency_Key="k").json() == {
        "stored": {"offcputime": 3},
        "duplicate": False,
    }
    assert post(served, body, kind, Idempotency_Key="k").json()["duplicate"]
    found = served.database.rows(
        "SELECT time, process, pid, reason, stack, elapsed, count, lengths FROM offcputime"
        f" WHERE hostname = '{host}' ORDER BY pid"
    )
    # ClickHouse shows a histogram as a map.
    assert [[*row[:-1], row[-1].strip("{}")] for row in found] == [
        [f"{DAY} 12:00:00.000000", *row]
        for row in (
            ["nginx", "1", "blocked", "main;write", "10", "1", "3:1,4:2"],
            ["mysqld", "2", "", "main;read", "20", "1", ""],
            ["nginx", "3", "blocked", "main;write", "30", "1", "0:70000"],
        )
    ]


def test_rows_and_columns_in_one_body(served: Served) -> None:
    """Each table in its own form."""
    body = {"hostname": "both", "marker": [{"kind": "note", "message": "m"}]} | {
        "offcputime": TABLE,
        "strings": BODY["strings"],
        "stacks": BODY["stacks"],
    }
    assert post(served, body).json()["stored"] == {"marker": 1, "offcputime": 3}


def test_the_other_addresses_take_no_columns(served: Served) -> None:
    """That of 2016 and that of markers are as they were."""
    before = scalar(served.database, "SELECT count(*) FROM offcputime")
    refused = problem(served.server.send(json.dumps(BODY).encode()), 422)
    assert refused["errors"][0]["pointer"] == "/offcputime"
    assert "columns are taken at /api/v1/ingest" in refused["detail"]
    for path in ("/", "/api/v1/markers"):
        answer = served.server.send(GOOD, path, Content_Type="application/msgpack")
        assert "MessagePack is taken at /api/v1/ingest alone" in problem(answer, 415)["detail"]
    page = served.server.send(
        GOOD, PATH, Content_Type="application/msgpack", Origin="http://a.test"
    )
    problem(page, 403)
    assert scalar(served.database, "SELECT count(*) FROM offcputime") == before


def test_a_column_that_a_newer_file_has(tmp_path: Path, database: Database) -> None:
    """At once, without waiting for the next look at the folder."""
    folder = tmp_path / "mine"
    folder.mkdir()
    file = folder / "locks.yaml"
    file.write_text("table: locks\ncolumns:\n  - {name: mutex, type: string}\n")
    options = [*few(tmp_path), *database.options, "--categories", folder]
    with serving(tmp_path, *options) as server:
        file.write_text(file.read_text() + "  - {name: waited, type: elapsed, default: 3}\n")
        columns = {"mutex": {"strings": [0, 0]}, "waited": [7, 8]}
        server.post({"hostname": "h", "strings": ["inode"], "locks": columns})
        found = database.rows("SELECT mutex, waited FROM locks ORDER BY waited")
        assert found == [["inode", "7"], ["inode", "8"]]
        wrong = {"hostname": "h", "locks": {"mutex": ["a"], "waits": [1]}}
        refused = problem(server.send(json.dumps(wrong).encode(), PATH), 422)
        assert refused["type"] == "urn:kernelscope:unknown-name"
        assert refused["errors"][0]["pointer"] == "/locks/waits"
