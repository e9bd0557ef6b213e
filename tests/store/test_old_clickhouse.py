"""The cluster of two old ClickHouse servers does what tests of a cluster rely on."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from tests.clickhouse import PASSWORD, USER, Node
from tests.old_clickhouse import CLUSTER, HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

    from tests.old_clickhouse import OldCluster, OldShard

pytestmark = [pytest.mark.clickhouse, pytest.mark.xdist_group("old clickhouse")]
TEXT = 'it\'s "a" \\back\\ version() true\ttab\nline é 火'
COLUMNS = {
    "column_names": ["time", "hostname", "text", "sizes"],
    "column_type_names": ["Int64", "Int64", "String", "Map(UInt8, UInt64)"],
}
# As `kscope generate` writes tables of a cluster.
TABLE = """\
CREATE TABLE IF NOT EXISTS `rows` ON CLUSTER 'two' (
  `time` Int64 COMMENT 'it''s (us)' CODEC(ZSTD(1)),
  `hostname` Int64 CODEC(ZSTD(1)),
  `text` String COMMENT 'text' CODEC(ZSTD(3)),
  `sizes` Map(UInt8, UInt64) COMMENT 'Wait lengths, us' CODEC(ZSTD(1)),
  until Int64 EPHEMERAL 0,
  checked UInt8 DEFAULT throwIf(until != 0 AND until < toUnixTimestamp64Micro(now64(6)), 'late'),
  seq Int64 ALIAS toInt64(bitShiftRight(sipHash64(hostname, `text`), 2)),
  INDEX by_time time TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/rows', '{replica}')
PARTITION BY intDiv(time, 100)
ORDER BY (intDiv(time, 10), `hostname`, time)
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800
COMMENT 'Rows'"""


def client(node: Node, database: str, **options: Any) -> Client:
    return clickhouse_connect.get_client(
        host=node.host,
        port=node.port,
        username=USER,
        password=PASSWORD,
        database=database,
        autogenerate_session_id=False,
        **options,
    )


@dataclass
class Tables:
    """`shards` are clients of one shard's rows each, `over` of the table over both."""

    shards: tuple[Client, Client]
    over: Client
    second: OldShard

    def counts(self) -> list[Any]:
        return [each.command("SELECT count() FROM rows") for each in self.shards]


@pytest.fixture
def tables(old_clickhouse: OldCluster) -> Iterator[Tables]:
    database = old_clickhouse.new_database()
    first, second = old_clickhouse.shards
    with ExitStack() as stack:
        shards = [stack.enter_context(client(each, database)) for each in (first, second)]
        shards[0].command(f"CREATE DATABASE IF NOT EXISTS {database}_all ON CLUSTER '{CLUSTER}'")
        shards[0].command(TABLE)
        shards[0].command(
            f"CREATE TABLE {database}_all.rows ON CLUSTER '{CLUSTER}' AS {database}.rows"
            f" ENGINE = Distributed('{CLUSTER}', '{database}', 'rows', sipHash64(hostname))"
        )
        over = stack.enter_context(client(first, f"{database}_all"))
        yield Tables((shards[0], shards[1]), over, second)


def insert(to: Client, hostname: int, times: range, **settings: str) -> None:
    rows = [[time, hostname, TEXT, {1: time, 63: 2**40}] for time in times]
    to.insert("rows", rows, **COLUMNS, settings=settings)


def test_reads_the_rows_of_both_shards(tables: Tables) -> None:
    for hostname, shard in enumerate(tables.shards):
        insert(shard, hostname, range(5))
    asked = (
        "SELECT hostname, text, sizes FROM rows WHERE text = {text:String}"
        " AND time IN JSONExtract({times:String}, 'Array(Int64)') ORDER BY hostname"
    )
    found = tables.over.query(asked, parameters={"text": TEXT, "times": "[3, 77]"}).result_rows
    assert found == [(0, TEXT, {1: 3, 63: 2**40}), (1, TEXT, {1: 3, 63: 2**40})]
    summed = tables.over.query(
        "SELECT sumMap(sizes), sum(toInt128(time)), count() FROM rows"
        " WHERE hostname IN {hosts:Array(Int64)} SETTINGS max_threads = 1, no_such_setting = 1",
        parameters={"hosts": [0, 1]},
    )
    assert summed.result_rows == [({1: 20, 63: 10 * 2**40}, 20, 10)]


def test_takes_rows_for_the_shard_that_they_belong_to(tables: Tables) -> None:
    for hostname in range(20):
        insert(tables.over, hostname, range(2), distributed_foreground_insert="1")
    found = [
        set(shard.query("SELECT DISTINCT hostname FROM rows").result_columns[0])
        for shard in tables.shards
    ]
    assert all(found)
    assert sorted([*found[0], *found[1]]) == list(range(20))


def test_stores_an_insert_of_one_token_once_on_a_shard(tables: Tables) -> None:
    for _ in range(2):
        insert(tables.shards[0], 1, range(5), insert_deduplication_token="x")
    tables.second.kill()
    tables.second.start()
    for _ in range(2):
        insert(tables.shards[1], 1, range(5), insert_deduplication_token="x")
    assert tables.counts() == [5, 5]


def test_refuses_rows_that_come_too_late(tables: Tables) -> None:
    columns = {"column_names": ["time", "until"], "column_type_names": ["Int64", "Int64"]}
    tables.shards[0].insert("rows", [[1, 2**62]], **columns)
    with pytest.raises(DatabaseError) as caught:
        tables.shards[0].insert("rows", [[1, 1]], **columns)
    assert caught.value.code == 395
    assert tables.counts() == [1, 0]


def test_says_that_a_shard_is_down(tables: Tables) -> None:
    for hostname, shard in enumerate(tables.shards):
        insert(shard, hostname, range(5))
    tables.second.kill()
    try:
        with pytest.raises(DatabaseError) as caught:
            tables.over.command("SELECT count() FROM rows")
        assert caught.value.code == 279
        with pytest.raises(DatabaseError) as caught:
            tables.shards[0].command(f"CREATE DATABASE other ON CLUSTER '{CLUSTER}'")
        assert caught.value.code == 159
        with pytest.raises(OperationalError):
            tables.shards[1].command("SELECT 1")
    finally:
        tables.second.start()
    assert tables.over.command("SELECT count() FROM rows") == 10


def test_names_its_shards(tables: Tables) -> None:
    asked = "SELECT host_name FROM system.clusters WHERE cluster = {name:String} ORDER BY shard_num"
    assert tables.over.query(asked, parameters={"name": CLUSTER}).result_columns == [list(HOSTS)]


def test_counts_rows_with_one_key_once_where_today_s_server_does(tables: Tables) -> None:
    (shard, _) = tables.shards
    shard.command(
        "CREATE TABLE texts (id Int64, text String) ENGINE = ReplacingMergeTree ORDER BY id"
    )
    for text in ("a", "b"):
        shard.command("INSERT INTO texts VALUES (1, {text:String})", {"text": text})
    asked = "SELECT t.text FROM texts AS t WHERE t.id IN {ids:Array(Int64)}"
    for final, found in ((1, [("b",)]), (0, [("a",), ("b",)])):
        answer = shard.query(asked, parameters={"ids": [1]}, settings={"final": final})
        assert sorted(answer.result_rows) == found


def test_changes_and_removes_rows_before_it_answers(tables: Tables) -> None:
    (shard, _) = tables.shards
    insert(shard, 1, range(5))
    shard.command("ALTER TABLE rows UPDATE text = 'other' WHERE time = 3")
    shard.command("DELETE FROM rows WHERE time < 3")
    assert shard.query("SELECT time, text FROM rows ORDER BY time").result_rows == [
        (3, "other"),
        (4, TEXT),
    ]


def test_gives_null_for_the_largest_of_no_rows(tables: Tables) -> None:
    answer = tables.over.query(
        "SELECT max(time), sum(toInt128(time)), count() FROM rows",
        settings={"aggregate_functions_null_for_empty": 1},
    )
    assert answer.result_rows == [(None, None, 0)]
