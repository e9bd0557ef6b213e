"""Tables as Parquet and Arrow: typed columns that hold what the JSON of the same question says."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from arro3.io import read_ipc, read_ipc_stream

from kscope.query import responses
from kscope.query.columnar import files
from kscope.query.parse.timerange import iso
from kscope.query.questions import QUESTIONS
from tests.commands import command
from tests.databases import SQLiteFile
from tests.query.test_rows import EVERYTHING
from tests.query.world import NOON

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
ARROW = {"arrow": read_ipc, "arrow-stream": read_ipc_stream}
TYPES = {
    "time": "TIMESTAMP WITH TIME ZONE",
    "hostname": "VARCHAR",
    "process": "VARCHAR",
    "state": "VARCHAR",
    "path": "VARCHAR",
    "started": "TIMESTAMP WITH TIME ZONE",
    "pid": "BIGINT",
    "events": "BIGINT",
    "latency": "BIGINT",
    "written": "BIGINT",
    "busy": "DOUBLE",
    "direct": "BOOLEAN",
    "peer": "VARCHAR",
    "stack": "VARCHAR",
    "user_stack": "VARCHAR",
    "latencies": "BIGINT[]",
}


def exported(client: World, form: str, question: str = "rows/everything", **query: str) -> bytes:
    answer = client.get(f"/api/v1/{question}", params=DAY | query | {"format": form})
    assert answer.status_code == 200, answer.text
    return answer.content


def read(content: bytes, folder: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the types of the columns, and the rows, as DuckDB reads them from a Parquet file."""
    file = folder / "read.parquet"
    file.write_bytes(content)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(f"SELECT * FROM '{file}'")
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        return types, [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as NDJSON has it, where times are texts."""
    return {
        name: _text(value) if hasattr(value, "tzinfo") else value for name, value in row.items()
    }


def _text(moment: datetime) -> str:
    return iso(round(moment.timestamp() * 1_000_000))


def ndjson(client: World, question: str, **query: str) -> list[dict[str, Any]]:
    text = exported(client, "ndjson", question, **query).decode()
    return [json.loads(line) for line in text.splitlines()]


def many(client: World, count: int) -> None:
    """Insert rows of all types, with large numbers, negative ones, and texts of all kinds."""
    client.insert(
        "everything",
        [
            EVERYTHING
            | {"time": NOON + i, "pid": -i, "events": 2**55 + i, "path": f'"ü\n{i}', "busy": i / 7}
            | {"direct": i % 2 == 0, "latencies": [i] * (i % 4), "stack": ";".join("ab"[: i % 3])}
            for i in range(count)
        ],
    )


def test_rows_have_their_types(world: World, tmp_path: Path) -> None:
    """Every type of column, as DuckDB sees it, and the values that NDJSON has."""
    many(world, 9)
    types, rows = read(exported(world, "parquet", order="time"), tmp_path)
    assert types == TYPES
    assert [as_json(row) for row in rows] == ndjson(world, "rows/everything", order="time")
    answer = world.get("/api/v1/rows/everything", params=DAY | {"format": "parquet"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-disposition"] == 'attachment; filename="everything.parquet"'
    # Without rows it has the same columns.
    assert read(exported(world, "parquet", process="nobody"), tmp_path) == (TYPES, [])


@pytest.mark.parametrize("form", [*ARROW])
def test_arrow_holds_the_same(world: World, form: str) -> None:
    """As a file, which pandas reads as Feather, and as a stream."""
    many(world, 9)
    found = ARROW[form](io.BytesIO(exported(world, form, order="time"))).read_all()
    columns = [found.column(name).to_pylist() for name in found.column_names]
    rows = [dict(zip(found.column_names, row, strict=True)) for row in zip(*columns, strict=True)]
    assert [as_json(row) for row in rows] == ndjson(world, "rows/everything", order="time")
    empty = ARROW[form](io.BytesIO(exported(world, form, process="nobody"))).read_all()
    assert (empty.num_rows, empty.schema) == (0, found.schema)


def test_a_long_table_is_in_parts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row group is sent when it is full; every row is there once, in the order asked for."""
    monkeypatch.setattr(files, "_ROW_GROUP", 1000)
    many(world, 5001)
    for order in ("time", "-pid"):
        _, rows = read(exported(world, "parquet", order=order), tmp_path)
        assert [row["pid"] for row in rows] == [-i for i in range(5001)]
    file = tmp_path / "read.parquet"
    groups = "SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata(?) ORDER BY 1"
    found = duckdb.execute(groups, [str(file)]).fetchall()
    assert found == [*((i, 1000) for i in range(5)), (5, 1)]
    assert len(read(exported(world, "parquet", limit="1500"), tmp_path)[1]) == 1500


@pytest.mark.parametrize(
    ("question", "types"),
    [
        ("timeseries?by=pid&n=3&points=2", ["TIMESTAMP WITH TIME ZONE", "VARCHAR", "*", "BOOLEAN"]),
        ("heatmap", ["TIMESTAMP WITH TIME ZONE", "*", "BIGINT"]),
        ("histogram", ["*", "*", "BIGINT"]),
        (
            "top?by=pid,direct,busy,path",
            ["BIGINT", "BOOLEAN", "DOUBLE", "VARCHAR", "*", "*", "BIGINT"],
        ),
        ("top?by=started,peer", ["TIMESTAMP WITH TIME ZONE", "VARCHAR", "*", "DOUBLE", "BIGINT"]),
        ("top?aggregate=p99", ["VARCHAR", "*", "*", "BIGINT"]),
        ("compare", ["VARCHAR", "BIGINT", "*", "*", "*"]),
        ("hosts", ["VARCHAR", "VARCHAR", "DOUBLE", "*", "BIGINT", "VARCHAR"]),
        ("search?text=a", ["VARCHAR", "BIGINT", "BIGINT", "BIGINT"]),
        ("quality", ["VARCHAR", "DOUBLE", "DOUBLE", "VARCHAR"]),
        ("values/pid", ["BIGINT", "BIGINT", "BIGINT"]),
        ("values/stack", ["VARCHAR", "BIGINT", "BIGINT"]),
    ],
)
def test_every_table_is_that_of_json(
    world: World, tmp_path: Path, question: str, types: list[str]
) -> None:
    """Each question's columns have types; groups by numbers, times and truth have theirs."""
    many(world, 30)
    path, _, query = question.partition("?")
    name, _, column = path.partition("/")
    address = f"{name}/everything" + (f"/{column}" if column else "")
    given = dict(each.split("=") for each in query.split("&") if each)
    found, rows = read(exported(world, "parquet", address, **given), tmp_path)
    kinds = zip(found.values(), types, strict=True)
    assert all(asked in (kind, "*") for kind, asked in kinds), found
    lines = ndjson(world, address, **given)
    plain = [{key: _plain(value) for key, value in as_json(row).items()} for row in rows]
    # In JSON and CSV the value of a group is a text.
    assert plain == [{key: _plain(value) for key, value in line.items()} for line in lines]


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def test_two_columns_of_one_name_are_told_apart(world: World, tmp_path: Path) -> None:
    """Readers want each name once."""
    many(world, 3)
    found, _ = read(
        exported(world, "parquet", "top/everything", value="rows", by="state"), tmp_path
    )
    assert [*found] == ["state", "rows", "share", "rows_2"]


def test_a_reader_that_leaves_is_no_thread_left(world: World) -> None:
    """The thread that writes a file ends with the answer, complete or not."""
    many(world, 5001)
    category = world.catalog.get("everything")
    assert category is not None
    question = QUESTIONS["rows"]

    async def begin(form: str) -> None:
        asked = question.read(category, [*DAY.items(), ("format", form)])
        answer = await responses.respond(world.store.reader, question, asked)
        assert not isinstance(answer.content, bytes)
        async for _ in answer.content:
            return

    for form in ("parquet", *ARROW):
        world.run(begin(form))
    deadline = time.monotonic() + 20
    while _writing() and time.monotonic() < deadline:
        world.run(asyncio.sleep(0.01))
    assert not _writing()


def _writing() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == files.THREAD]


def test_the_command_line_writes_the_file(world: World, tmp_path: Path) -> None:
    """`kscope query` asks a database for it as well as a server."""
    many(world, 3)
    assert isinstance(world.database, SQLiteFile)
    given = ("--from", "2026-11-23", "--to", "2026-11-24", "--sqlite", world.database.path)
    done = command("query", "marker", *given, "--format", "parquet")
    assert done.returncode == 0, done.stderr
    types, rows = read(done.output, tmp_path)
    assert (types["time"], rows) == ("TIMESTAMP WITH TIME ZONE", [])


def test_without_the_package_it_is_told_how_to_install_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the server in a problem document, and by the command line."""
    monkeypatch.setitem(sys.modules, "arro3.io", None)
    for question in ("rows/everything", "top/everything"):
        answer = world.get(f"/api/v1/{question}", params=DAY | {"format": "parquet"})
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert "pip install 'kernelscope[parquet]'" in answer.json()["detail"]
        assert answer.json()["errors"][0]["parameter"] == "format"
    assert isinstance(world.database, SQLiteFile)
    done = command("query", "marker", "--sqlite", world.database.path, "--format", "arrow")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'kernelscope[parquet]'" in done.stderr
    assert "Traceback" not in done.stderr
