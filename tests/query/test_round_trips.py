"""Exports go back in by `kscope import`, with the same totals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.commands import command
from tests.days import DAY, SPAN
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STACKS = (
    ("mysqld", "main;do_command;futex_wait_[k]", 12_000, 3),
    ("mysqld", "main;do_command;io schedule 7", 3_000, 1),
    ("io worker 1", "std::map<int, int>::at(int) [lib.so]", 7, 2),
    ("größe", "ядро;🙂", 2**60, 1),
    ("java", "Lcom/example;::run", 5, 1),
    ("idle", "", 20, 4),
    ("none", "main", 0, 1),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        rows = [
            {"time": f"{DAY}T12:00:0{i}Z", "process": process, "pid": i, "stack": stack}
            | {"elapsed": elapsed, "count": count, "lengths": [0, i]}
            for i, (process, stack, elapsed, count) in enumerate(STACKS)
        ]
        running.post({"hostname": "first", "offcputime": rows})
        yield running


def exported(server: Serving, question: str, form: str, host: str) -> bytes:
    answer = server.get(f"/api/v1/{question}/offcputime", hostname=host, format=form, **SPAN)
    assert answer.status_code == 200, answer.text
    return answer.content


def imported(server: Serving, file: Path, host: str) -> None:
    options = ("--hostname", host, "--time", f"{DAY}T13:00:00Z", "--server", server.ingest)
    done = command("import", "offcputime", file, *options)
    assert done.returncode == 0, done.stderr


def test_folded_text_comes_back(server: Serving, tmp_path: Path) -> None:
    """The same lines, so the same stacks and the same sums; a `;` in a name is a `:` already."""
    first = exported(server, "flamegraph", "folded", "first")
    assert len(first.splitlines()) == len(STACKS) - 1
    file = tmp_path / "waits.folded"
    file.write_bytes(first)
    imported(server, file, "folded")
    assert exported(server, "flamegraph", "folded", "folded") == first


def rows(server: Serving, host: str) -> list[dict[str, Any]]:
    lines = exported(server, "rows", "ndjson", host).decode().splitlines()
    return sorted(
        (json.loads(line) | {"hostname": ""} for line in lines), key=lambda row: row["pid"]
    )


def test_ndjson_comes_back(server: Serving, tmp_path: Path) -> None:
    """Every column of every row, with its time."""
    file = tmp_path / "waits.ndjson"
    file.write_bytes(exported(server, "rows", "ndjson", "first"))
    imported(server, file, "ndjson")
    assert rows(server, "ndjson") == rows(server, "first")
    assert len(rows(server, "first")) == len(STACKS)


def test_parquet_comes_back_as_ndjson(server: Serving, tmp_path: Path) -> None:
    """DuckDB turns one into the other, and may change rows on the way."""
    parquet, file = tmp_path / "waits.parquet", tmp_path / "waits.ndjson"
    parquet.write_bytes(exported(server, "rows", "parquet", "first"))
    written = "strftime(time AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS time"
    query = f"SELECT * REPLACE ({written}) FROM '{parquet}'"
    duckdb.execute(f"COPY ({query}) TO '{file}' (FORMAT json)")
    imported(server, file, "parquet")
    assert rows(server, "parquet") == rows(server, "first")
