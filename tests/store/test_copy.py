"""`kscope copy` moves a grown database to another engine: both answer alike, whatever happens."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kscope.store.symbols.packing import packed
from kscope.store.symbols.table import SymbolTable
from tests.databases import ClickHouseDatabase, MariaDBDatabase, SQLiteFile
from tests.decoding import decoded
from tests.query.world import World
from tests.store.copying import (
    DAY,
    HOUR,
    NOW,
    Pair,
    address,
    age,
    differences,
    everything,
    grow,
    insert,
    late,
    run,
    total,
    waiting,
    world,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clickhouse import Node
    from tests.databases import Database

PAIRS = [
    pytest.param(("sqlite", "mysql"), marks=pytest.mark.mysql),
    pytest.param(("mysql", "sqlite"), marks=pytest.mark.mysql),
    ("sqlite", "sqlite"),
    pytest.param(("sqlite", "clickhouse"), marks=pytest.mark.clickhouse),
    pytest.param(("clickhouse", "sqlite"), marks=pytest.mark.clickhouse),
]
LARGEST = 2**40


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Yield two empty databases."""
    first, second = request.param
    made = {"source": first, "target": second}
    return Pair(*(_empty(request, tmp_path, engine, name) for name, engine in made.items()))


def _empty(request: pytest.FixtureRequest, folder: Path, engine: str, name: str) -> Database:
    if engine == "sqlite":
        return SQLiteFile(folder / f"{name}.db")
    if engine == "clickhouse":
        node = request.getfixturevalue("clickhouse")
        return ClickHouseDatabase(node, node.new_database())
    server = request.getfixturevalue("mariadb")
    return MariaDBDatabase(server, server.new_database())


@contextmanager
def opened(database: Database) -> Iterator[World]:
    found = world(database)
    try:
        yield found
    finally:
        found.close()


@pytest.mark.timeout(400)
def test_both_answer_alike(pair: Pair) -> None:
    """Over time whose rows exist, and over older time that only has sums, late rows included; after
    each of several runs.
    """
    with opened(pair.source) as source:
        grow(source)
        assert "everything: would copy 30 rows and 31 sums" in pair.copy("--dry-run")
        assert "the target has everything" in pair.copy()
        assert "would copy 0 rows and 0 sums" in pair.copy("--dry-run")
        with opened(pair.target) as target:
            assert differences(target, source) == {}
            late(source, 2000)
            age(source)
            assert "elsewhere" not in pair.copy()
            age(target)
            assert "everything: 0 rows and 0 sums copied" in pair.copy()
            assert differences(target, source) == {}


@pytest.mark.timeout(400)
def test_a_killed_copy_is_continued(pair: Pair, tmp_path: Path) -> None:
    """Each row arrives once, however often the command is killed, and while rows arrive."""
    with opened(pair.source) as source:
        grow(source, days=16)
        for number in range(10):
            at = NOW - 2 * DAY + number * HOUR
            insert(source, "offcputime", [waiting(at + n, n) for n in range(2000)])
        kills = 0
        for number in range(4):
            running = pair.start(tmp_path)
            time.sleep(0.4 + 0.3 * number)
            insert(source, "everything", [everything(NOW - number * DAY, number)])
            running.send_signal(signal.SIGKILL)
            kills += running.wait() == -signal.SIGKILL
        assert kills
        assert "the target has everything" in pair.copy()
        assert total(pair.target, "offcputime") >= 20_000
        with opened(pair.target) as target:
            assert differences(target, source) == {}


def test_rows_from_elsewhere_stay(pair: Pair) -> None:
    """Those that the target took in before, between and after are not mistaken for copied ones,
    though they are alike; and the command says that they are there twice.
    """
    alike = [waiting(NOW - DAY, number) for number in range(5)]
    with opened(pair.source) as source, opened(pair.target) as target:
        insert(target, "offcputime", alike)
        insert(source, "offcputime", alike[:2])
        doubled = pair.run()
        assert doubled.returncode == 1
        assert f"offcputime: 2 at {NOW - DAY}" in doubled.stderr
        assert total(pair.target, "offcputime") == 7
        insert(target, "offcputime", alike)
        insert(source, "offcputime", alike[1:4])
        doubled = pair.run()
        assert doubled.returncode == 1
        assert f"offcputime: 8 at {NOW - DAY}" in doubled.stderr
        assert "2 rows from elsewhere" in doubled.stdout
        assert total(pair.target, "offcputime") == 15
        # Twice from elsewhere, and as often as the source has it.
        found = pair.target.rows("SELECT pid, count(*) FROM kscope_rows_offcputime GROUP BY pid")
        assert sorted(found) == [["0", "3"], ["1", "4"], ["2", "3"], ["3", "3"], ["4", "2"]]


def test_a_row_that_is_there_twice_is_told(pair: Pair) -> None:
    """Among rows from elsewhere, which are none of the source's, at the same times."""
    with opened(pair.source) as source, opened(pair.target) as target:
        own = [everything(NOW - DAY + number, number) for number in range(20)]
        insert(source, "everything", [*own, *own[:5]])
        pair.copy()
        insert(target, "everything", [row | {"pid": 100} for row in own])
        assert "the target has 20 rows from elsewhere" in pair.copy()
        insert(target, "everything", own[4:6])
        told = pair.run()
        assert told.returncode == 1
        assert "rows of 2 times more often than the source" in told.stderr
        for number in (4, 5):
            assert f"everything: 1 at {NOW - DAY + number}\n" in told.stderr
        assert "20 rows from elsewhere" in told.stdout


def test_a_retry_after_the_move_is_a_duplicate(pair: Pair) -> None:
    """The keys of batches move too."""
    body = b'{"hostname": "web-1", "offcputime": [%s]}' % (
        b'{"process": "p", "pid": 1, "reason": "blocked", "stack": "main", "elapsed": 1}'
    )
    with opened(pair.source) as source:
        sent = replace(decoded(source.decoder, body, NOW), key=b"0123456789abcdef")
        assert not source.run(source.store.writer.write(sent)).duplicate
        assert "1 keys of batches" in pair.copy()
        with opened(pair.target) as target:
            sent = replace(decoded(target.decoder, body, NOW), key=sent.key)
            again = target.run(target.store.writer.write(sent))
            assert again.duplicate
            assert again.rows == {"offcputime": 1}
        assert total(pair.target, "offcputime") == 1


@pytest.mark.clickhouse
def test_a_batch_that_is_only_begun_is_no_duplicate_after_the_move(
    clickhouse: Node, tmp_path: Path
) -> None:
    """On ClickHouse its rows may be missing."""
    pair = Pair(
        ClickHouseDatabase(clickhouse, clickhouse.new_database()),
        SQLiteFile(tmp_path / "target.db"),
    )
    with opened(pair.source):
        pair.source.run(
            "INSERT INTO kscope_batch (key, received, answer, kscope_state)"
            f" SELECT unhex(repeat('01', 16)), {NOW}, '{{}}', 1",
            "INSERT INTO kscope_batch (key, received, answer)"
            f" SELECT unhex(repeat('02', 16)), {NOW}, '{{}}'",
        )
    assert "1 keys of batches" in pair.copy()


def test_names_of_functions_move(pair: Pair) -> None:
    """With the time at which they were added."""
    found = packed("ab12", "libx.so", [(n * 16, 16, f"function_{n}") for n in range(1000)])
    with opened(pair.source) as source, opened(pair.target) as target:
        first, second = (
            SymbolTable(each.store.backend, each.store.schema, LARGEST) for each in (source, target)
        )
        source.run(first.add(found, fetched=True, added=NOW))
        assert "the names of 1 files" in pair.copy()
        assert target.run(second.files()) == source.run(first.files())
        assert target.run(second.pages("ab12")) == list(found.pages)
        assert "the names of 0 files" in pair.copy()


@pytest.fixture
def files(tmp_path: Path) -> Pair:
    return Pair(SQLiteFile(tmp_path / "source.db"), SQLiteFile(tmp_path / "target.db"))


def test_a_copied_file_is_the_same_database(files: Pair, tmp_path: Path) -> None:
    """Its backup is none to copy into; copying from it is copying from the database."""
    with opened(files.source) as source:
        insert(source, "offcputime", [waiting(NOW - DAY, 1)])
    copied = tmp_path / "backup.db"
    assert isinstance(files.source, SQLiteFile)
    copied.write_bytes(files.source.path.read_bytes())
    backup = SQLiteFile(copied)
    assert "the same database" in Pair(files.source, backup).run().stderr
    Pair(backup, files.target).copy()
    assert "offcputime: 0 rows" in files.copy()


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("sqlite:{folder}/none.db", "there is no such database"),
        ("sqlite:{folder}/target.db", "are the same database"),
        ("sqlit:{folder}/a.db", "Did you mean 'sqlite'?"),
        ("{folder}/a.db", "is not the address of a database"),
        ("mysql:me:secret@host/name", "a password belongs into a file"),
        ("mysql:host", "a password belongs into a file"),
        ("mysql:host:1/a/b", "a password belongs into a file"),
        ("config:{folder}/none.yaml", "none.yaml"),
        ("mysql:127.0.0.1:1/name", "run the same command again"),
    ],
)
def test_wrong_addresses_are_refused(files: Pair, tmp_path: Path, source: str, fault: str) -> None:
    """With the fault, and without a password."""
    found = run("--from", source.format(folder=tmp_path), "--to", address(files.target))
    assert found.returncode != 0
    assert fault in found.stderr
    assert "secret" not in found.stderr
    assert isinstance(files.target, SQLiteFile)
    assert not files.target.path.exists()


def test_other_columns_are_refused(files: Pair) -> None:
    """Nothing is copied into a table that cannot hold the rows."""
    with opened(files.source) as source:
        insert(source, "offcputime", [waiting(NOW - DAY, 1)])
    files.copy()
    files.target.run(
        "UPDATE kscope_meta SET value = replace(value, '\"pid\"', '\"id\"')"
        " WHERE name IN ('category offcputime', 'shape offcputime')"
    )
    found = files.run()
    assert found.returncode == 1
    assert "kscope migrate" in found.stderr


def test_a_database_of_an_older_version_is_refused(files: Pair) -> None:
    """The message names the command that migrates it."""
    with opened(files.source):
        pass
    files.source.run("DELETE FROM kscope_meta WHERE name = 'database'")
    assert "run `kscope migrate`" in files.run().stderr
