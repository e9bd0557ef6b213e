"""Each command on a cluster of two shards: it does its work on all of them, or says why not."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from kscope.cli import COMMANDS
from kscope.config import ClickHouse
from kscope.store import drop_parts
from kscope.store.backends import clickhouse_lease
from kscope.store.backends.clickhouse import ClickHouseBackend
from kscope.store.backends.errors import StoreAway
from kscope.store.drop import drop
from tests.clickhouse import PASSWORD, USER
from tests.commands import Ran, command
from tests.server.test_symbols import PROGRAM, address_of, build_of
from tests.serving import serving
from tests.store.test_cluster import (
    CATEGORY,
    EARLIER,
    HOSTS,
    configured,
    counted,
    eventually,
    one_more,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from kscope.store.drop import Drop
    from kscope.store.store import Store
    from tests.old_clickhouse import OldCluster, OldShard
    from tests.serving import Serving

pytestmark = [pytest.mark.clickhouse, pytest.mark.xdist_group("old clickhouse")]
SLOT = 4
ROW = {"time": EARLIER, "process": "p", "stack": "main", "elapsed": 1}
# They have no database: they are about a server's address, or files.
WITHOUT_DATABASE = {
    *("agent", "completion", "doctor", "generate", "import", "log", "marker", "mcp"),
    *("spool", "token"),
}
# Those that tests of this module or, of `serve`, of test_cluster.py run.
WITH_DATABASE = {
    *(
        "backup",
        "changes",
        "copy",
        "hosts",
        "migrate",
        "query",
        "restore",
        "retention",
        "serve",
        "symbols",
    ),
}


@dataclass(frozen=True)
class Fleet:
    """An empty database on both shards, and the categories of a folder."""

    cluster: OldCluster
    database: str
    folder: Path
    config: Path

    def run(self, *arguments: str | Path) -> Ran:
        return command(*arguments, "--config", self.config)

    def done(self, *arguments: str | Path) -> str:
        found = self.run(*arguments)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def declare(self, table: str, text: str = CATEGORY) -> None:
        (self.folder / "mine" / f"{table}.yaml").write_text(text.format(table=table))

    def each(self, statement: str) -> list[str]:
        """Ask each shard by itself."""
        return [each.sql(statement, self.database).strip() for each in self.cluster.shards]

    def serving(self) -> AbstractContextManager[Serving]:
        folder = self.folder / "server"
        folder.mkdir(exist_ok=True)
        return serving(folder, "--config", self.config)

    def backend(self, shard: OldShard) -> ClickHouseBackend:
        place = ClickHouse(shard.host, shard.port, USER, PASSWORD, database=self.database)
        return ClickHouseBackend(place)


@pytest.fixture
def fleet(old_clickhouse: OldCluster, tmp_path: Path) -> Fleet:
    (tmp_path / "mine").mkdir()
    database = old_clickhouse.new_database()
    found = Fleet(
        old_clickhouse, database, tmp_path, configured(tmp_path, old_clickhouse, database)
    )
    found.declare("waits")
    return found


@pytest.fixture
def filled(fleet: Fleet) -> Iterator[Fleet]:
    """Store a row of each host."""
    with fleet.serving() as server:
        for host in HOSTS:
            eventually(lambda: one_more(server, host).status_code == 200)  # noqa: B023 - at once
    return fleet


def store(server: Serving, host: str, row: dict[str, object]) -> None:
    """Send a row until it is taken: a busy server asks to come again."""
    body = json.dumps({"hostname": host, "waits": [row]}).encode()
    key = f"another-{host}"
    eventually(lambda: server.send(body, Idempotency_Key=key).status_code == 200)


def test_every_command_is_tried_on_a_cluster() -> None:
    assert {*COMMANDS} == WITH_DATABASE | WITHOUT_DATABASE


def test_hosts_of_all_shards_are_listed(fleet: Fleet) -> None:
    """The note of the hosts is on the first shard, and /metrics adds up the shards."""
    with fleet.serving() as server:
        for host in HOSTS:
            store(server, host, {"process": "p", "stack": "main", "elapsed": 1})
        eventually(lambda: fleet.done("hosts").count(" sends ") == len(HOSTS))
        newest = 'kscope_category_last_row_timestamp_seconds{category="waits"}'
        eventually(lambda: newest in server.get("/metrics").text)
        text = server.get("/metrics").text
    assert f"kscope_hosts {len(HOSTS)}" in text
    assert "kscope_database_bytes" in text


def test_migrate_makes_the_tables_of_each_shard(fleet: Fleet) -> None:
    planned = fleet.done("migrate", "--dry-run")
    assert planned.count("-- shard") == 2
    assert planned.count("kscope_rows_waits`") >= 2
    assert fleet.each("SHOW TABLES") == ["", ""]
    fleet.done("migrate")
    assert fleet.each("SELECT count() FROM waits") == ["0", "0"]
    everywhere = f"SELECT count() FROM {fleet.database}_all.kscope_rows_waits"
    assert fleet.each(everywhere) == ["0", "0"]
    assert fleet.done("migrate") == ""
    assert fleet.done("migrate", "--dry-run") == ""


def test_migrate_adds_a_column_to_each_shard(filled: Fleet) -> None:
    more = "  - {{name: kind, type: label, default: other}}\nrollup:"
    filled.declare("waits", CATEGORY.replace("rollup:", more))
    assert "`kind`" in filled.done("migrate")
    assert filled.each("SELECT DISTINCT kind FROM waits") == ["other", "other"]
    with filled.serving() as server:
        assert counted(server) == dict.fromkeys(HOSTS, 1)


def test_migrate_changes_no_shard_if_one_of_them_refuses(filled: Fleet) -> None:
    """A shard without rows would take any change of columns."""
    first = filled.cluster.shards[0]
    for table in ("kscope_rows_waits", "kscope_rollup_5m_waits"):
        first.sql(f"TRUNCATE TABLE {table}", filled.database)
    before = filled.each("DESCRIBE TABLE kscope_rows_waits")
    lines = CATEGORY.splitlines(keepends=True)
    filled.declare("waits", "".join(line for line in lines if "count" not in line))
    for arguments in (["migrate", "--dry-run"], ["migrate"]):
        refused = filled.run(*arguments)
        assert refused.returncode == 2
        assert "column 'count' is in the database and no longer declared" in refused.stderr
    assert filled.each("DESCRIBE TABLE kscope_rows_waits") == before


@pytest.mark.parametrize("arguments", [["migrate"], ["migrate", "--dry-run"], ["retention"]])
def test_nothing_is_changed_while_a_shard_is_away(fleet: Fleet, arguments: list[str]) -> None:
    second = fleet.cluster.shards[1]
    second.kill()
    try:
        refused = fleet.run(*arguments)
        found = fleet.cluster.shards[0].sql("SHOW TABLES", fleet.database)
    finally:
        second.start()
    assert refused.returncode == 1
    assert refused.stderr.startswith("shard 2: ")
    assert "nothing was changed" in refused.stderr
    assert found == ""


def test_migrate_says_which_shards_are_changed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another server migrates the second shard; once that one is dead, it goes on."""
    monkeypatch.setattr(clickhouse_lease, "_SLOT", SLOT * 1_000_000)
    fleet.done("migrate")
    fleet.declare("more")

    async def take() -> None:
        backend = fleet.backend(fleet.cluster.shards[1])
        now = await backend._session().now()
        # As a server that dies leaves it.
        slot = now - now % (SLOT * 1_000_000) + 5 * SLOT * 1_000_000
        for each in range(5):
            assert await backend.leases._take("migration", slot - each * SLOT * 1_000_000)
        await backend.clients.close()

    asyncio.run(take())
    with monkeypatch.context() as hasty:
        hasty.setattr("kscope.store.backends.clickhouse.MIGRATION_SECONDS", 1)
        refused = fleet.run("migrate")
    assert refused.returncode == 1
    assert "shard 2: another server migrates this database" in refused.stderr
    assert "changed: shard 1; not, or in part: shard 2; repeat the command" in refused.stderr
    fleet.done("migrate")
    assert fleet.each("SELECT count() FROM more") == ["0", "0"]
    assert fleet.done("migrate", "--dry-run") == ""


def test_a_column_is_dropped_from_each_shard(filled: Fleet) -> None:
    lines = CATEGORY.splitlines(keepends=True)
    filled.declare("waits", "".join(line for line in lines if "count" not in line))
    assert f"would lose column 'count', {len(HOSTS)} values" in filled.done(
        "migrate", "--drop", "waits.count", "--dry-run"
    )
    told = filled.done("migrate", "--drop", "waits.count")
    assert f"kscope_rows_waits: lost column 'count', {len(HOSTS)} values" in told
    for table in ("kscope_rows_waits", "kscope_rollup_5m_waits", "waits"):
        assert "count" not in "".join(filled.each(f"DESCRIBE TABLE {table}"))
    assert filled.each("SHOW TABLES LIKE 'kscope_new%'") == ["", ""]
    assert filled.done("migrate", "--dry-run") == ""
    with filled.serving() as server:
        for host in HOSTS:
            store(server, host, ROW | {"process": "other"})
        assert counted(server) == dict.fromkeys(HOSTS, 2)
    assert filled.run("migrate", "--drop", "waits.count").returncode == 2


def test_a_category_is_dropped_from_each_shard(
    filled: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that failed after the first shard goes on with the second."""
    (filled.folder / "mine" / "waits.yaml").unlink()
    filled.declare("more")
    second = filled.cluster.shards[1]

    async def dropping(store: Store, chosen: Drop) -> None:
        backend = store.backend
        if isinstance(backend, ClickHouseBackend) and backend.settings.host == second.host:
            raise StoreAway("died")
        await drop(store, chosen)

    with monkeypatch.context() as failing:
        failing.setattr(drop_parts, "drop", dropping)
        failed = filled.run("migrate", "--drop", "waits")
    assert failed.returncode == 1
    assert "shard 2: died\nchanged: shard 1; not, or in part: shard 2" in failed.stderr
    left = int(second.sql("SELECT count() FROM kscope_rows_waits", filled.database))
    assert f"kscope_rows_waits: lost, {left} rows" in filled.done("migrate", "--drop", "waits")
    assert not "".join(filled.each("SHOW TABLES LIKE '%_waits'"))
    everywhere = f"SHOW TABLES FROM {filled.database}_all LIKE '%_waits'"
    assert filled.each(everywhere) == ["", ""]
    filled.declare("waits")
    filled.done("migrate")
    assert filled.each("SELECT count() FROM waits") == ["0", "0"]


def test_symbols_are_added_once_and_found_by_questions(filled: Fleet, tmp_path: Path) -> None:
    """They are on the first shard; questions about any host find them."""
    (tmp_path / "program.c").write_text(PROGRAM)
    compiled = "gcc -g -O0 -Wl,--build-id -o program.debug program.c"
    subprocess.run(compiled.split(), cwd=tmp_path, check=True)
    program = tmp_path / "program.debug"
    assert "1 files with" in filled.done("symbols", "add", program)
    assert "1 in the table already" in filled.done("symbols", "add", program)
    listed = filled.done("symbols", "list")
    assert listed.splitlines()[-1].startswith("1 files, ")
    assert filled.each("SELECT count() FROM kscope_symbols FINAL") == ["1", "0"]
    build, address = build_of(program), address_of(tmp_path / "program", "hidden")
    with filled.serving() as server:
        for host in HOSTS:
            frame = f"program+0x{address:x}@{build}"
            store(server, host, ROW | {"stack": f"main;{frame}"})
        folded = server.get("/api/v1/flamegraph/waits", format="folded", **{"from": EARLIER}).text
    assert f"hidden [program];main {len(HOSTS)}\n" in folded
    assert "removed" in filled.done("symbols", "remove", build)
    assert filled.done("symbols", "list").startswith("0 files, ")


def test_retention_looks_at_every_shard(filled: Fleet) -> None:
    old = CATEGORY.replace("rollup:", "retention: 1d\nrollup:")
    filled.declare("waits", old)
    expected = f"kscope_rows_waits: {len(HOSTS)} rows before "
    assert expected in filled.done("retention", "--dry-run")
    told = filled.done("retention")
    assert told.splitlines()[0] == "shard 1:"
    assert "shard 2:" in told.splitlines()
    assert filled.each("SELECT count() FROM kscope_rows_waits") == ["0", "0"]


def test_questions_are_asked_without_a_server(filled: Fleet) -> None:
    asked = ["query", "waits", "--top", "hostname", "--from", EARLIER, "value=rows"]
    table = filled.done(*asked)
    assert all(host in table for host in HOSTS)
    assert filled.done("changes", "--from", EARLIER)
    second = filled.cluster.shards[1]
    second.kill()
    try:
        partial = filled.run(*asked)
        file = filled.run(*asked, "--format", "csv")
    finally:
        second.start()
    assert partial.returncode == 0
    assert "warning: shard 2 does not answer" in partial.stderr
    assert 0 < sum(host in partial.stdout for host in HOSTS) < len(HOSTS)
    assert file.returncode == 1
    assert "shard 2 does not answer" in file.stderr


def test_backup_and_restore_name_the_statement(fleet: Fleet, tmp_path: Path) -> None:
    for name, statement in (("backup", "BACKUP DATABASE"), ("restore", "RESTORE DATABASE")):
        refused = fleet.run(name, tmp_path / "file")
        assert refused.returncode == 1
        assert statement in refused.stderr
        assert "on every shard" in refused.stderr


def test_a_cluster_is_copied_whole_or_not(filled: Fleet, tmp_path: Path) -> None:
    source, target = f"config:{filled.config}", f"sqlite:{tmp_path / 'copy.db'}"
    second = filled.cluster.shards[1]
    second.kill()
    try:
        refused = command("copy", "--from", source, "--to", target)
    finally:
        second.start()
    assert refused.returncode == 1
    assert "shard 2: " in refused.stderr
    found = command("copy", "--from", source, "--to", target)
    assert found.returncode == 0, found.stderr
    assert f"waits: {len(HOSTS)} rows" in found.stdout


def test_rows_are_copied_into_a_shard(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy into the cluster as a whole is refused, with the command to use."""
    (tmp_path / "alone").mkdir()
    alone = tmp_path / "alone.db"
    config = tmp_path / "alone.yaml"
    config.write_text(json.dumps({"categories": [str(tmp_path / "mine")]}))
    with serving(tmp_path / "alone", "--sqlite", str(alone), "--config", str(config)) as server:
        for host in HOSTS:
            assert one_more(server, host).status_code == 200
    fleet.done("migrate")
    refused = command("copy", "--from", f"sqlite:{alone}", "--to", f"config:{fleet.config}")
    assert refused.returncode == 2
    assert "--to clickhouse:HOST/NAME" in refused.stderr
    shard = fleet.cluster.shards[0]
    monkeypatch.setenv("KSCOPE_TO_PASSWORD", PASSWORD)
    to = f"clickhouse:{USER}@{shard.host}:{shard.port}/{fleet.database}"
    found = command("copy", "--from", f"sqlite:{alone}", "--to", to)
    assert found.returncode == 0, found.stderr
    with fleet.serving() as server:
        assert counted(server) == dict.fromkeys(HOSTS, 1)
