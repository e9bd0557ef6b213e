"""The ClickHouse node of tests does what tests of the store rely on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from tests.clickhouse import PASSWORD, USER, Node, install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.clickhouse
AWKWARD = 'it\'s "a" \\back\\ `tick`\ttab\nline %s {x:String} é 火'
ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
COLUMNS = {
    "column_names": ["id", "text", "counts"],
    "column_type_names": ["Int64", "String", "Map(UInt8, UInt64)"],
}


def client(node: Node, database: str = "default", **options: Any) -> Client:
    return clickhouse_connect.get_client(
        **{
            "host": "127.0.0.1",
            "port": node.port,
            "username": USER,
            "password": PASSWORD,
            "database": database,
            "autogenerate_session_id": False,
            **options,
        }
    )


@pytest.fixture
def table(clickhouse: Node) -> Iterator[Client]:
    """Yield a client of a new database with an empty table `t`."""
    with client(clickhouse, clickhouse.new_database()) as asked:
        asked.command(
            "CREATE TABLE t (id Int64, text String, counts Map(UInt8, UInt64)) ENGINE = MergeTree"
            " ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
        )
        yield asked


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Node]:
    """Yield a node that the test may kill."""
    node = install(tmp_path)
    try:
        yield node
    finally:
        node.stop()


def insert(to: Client, rows: list[list[Any]], **settings: str) -> None:
    to.insert("t", rows, **COLUMNS, settings=settings)


@pytest.mark.parametrize("compress", ["", "lz4", "zstd", "gzip"])
def test_stores_rows_as_they_are(clickhouse: Node, table: Client, compress: str) -> None:
    with client(clickhouse, table.database, compress=compress) as other:
        insert(other, [[-(2**63), AWKWARD, {1: 2**64 - 1}], [2, "", {}]])
        found = other.query("SELECT * FROM t ORDER BY id").result_rows
    assert found == [(-(2**63), AWKWARD, {1: 2**64 - 1}), (2, "", {})]


@pytest.mark.parametrize("compress", ["", "lz4", "zstd", "gzip"])
def test_stores_all_blocks_of_an_insert(clickhouse: Node, table: Client, compress: str) -> None:
    """The client cuts many rows into blocks, and compresses each by itself."""
    with client(clickhouse, table.database, compress=compress) as other:
        insert(other, [[number, str(number), {}] for number in range(100_000)])
        found = other.query("SELECT count(), uniqExact(text) FROM t").result_rows
    assert found == [(100_000, 100_000)]


@pytest.mark.parametrize("length", [1, 10_000])
def test_binds_values_in_the_server(table: Client, length: int) -> None:
    """Long values come in a form, short ones in the address."""
    texts = [AWKWARD * length, "b"]
    asked = "SELECT {text:String}, {texts:Array(String)}, {id:Int64}"
    bound = {"text": texts[0], "texts": texts, "id": -5}
    assert table.query(asked, parameters=bound).result_rows == [(texts[0], texts, -5)]


def test_stores_an_insert_of_one_token_once(table: Client) -> None:
    for _ in range(2):
        insert(table, [[1, "a", {}], [2, "b", {}]], insert_deduplication_token="x")
    assert table.command("SELECT count() FROM t") == 2
    insert(table, [[1, "a", {}], [2, "b", {}]], insert_deduplication_token="y")
    assert table.command("SELECT count() FROM t") == 4


def test_stores_only_the_rows_that_the_insert_selects(table: Client) -> None:
    """A guard against late inserts asks for this."""
    rows = table.raw_query(
        "SELECT toInt64(number) AS id, 'x' AS text FROM numbers(9)", fmt="Native"
    )
    for latest in (6, 100):
        table.raw_insert(
            None,
            insert_block=b"INSERT INTO t (id, text) SELECT id, text FROM"
            b" input('id Int64, text String') WHERE id > %d FORMAT Native\n" % latest + rows,
        )
    assert table.query("SELECT id FROM t ORDER BY id").result_columns == [[7, 8]]


def test_ends_a_query_at_its_deadline(table: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        table.query(ENDLESS, settings={"max_execution_time": 1})
    assert caught.value.code == 159


def test_ends_a_query_that_another_client_kills(clickhouse: Node, table: Client) -> None:
    caught: list[DatabaseError] = []

    def ask() -> None:
        with pytest.raises(DatabaseError) as error, client(clickhouse) as other:
            other.query(ENDLESS, settings={"query_id": "it's endless"})
        caught.append(error.value)

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        table.command("KILL QUERY WHERE query_id = {id:String} SYNC", {"id": "it's endless"})
    asking.join()
    assert [error.code for error in caught] == [394]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("SELECT nothing", 47),
        ("SELECT * FROM missing", 60),
        ("SELEC 1", 62),
        ("SELECT 1 SETTINGS no_such_setting = 1", 115),
        ("SELECT {unbound:String}", 456),
    ],
)
def test_says_which_error_it_is(table: Client, asked: str, code: int) -> None:
    with pytest.raises(DatabaseError) as caught:
        table.query(asked)
    assert caught.value.code == code


@pytest.mark.parametrize("wrong", [{"password": "other"}, {"username": "other"}])
def test_refuses_a_wrong_user_or_password(clickhouse: Node, wrong: dict[str, str]) -> None:
    with pytest.raises(DatabaseError) as caught:
        client(clickhouse, **wrong)
    assert caught.value.code == 516


def test_answers_many_clients_at_once(clickhouse: Node, table: Client) -> None:
    with client(clickhouse, table.database) as shared, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: insert(shared, [[number, "x" * 10_000, {}]]), range(64)))
        counted = pool.map(lambda _: shared.command("SELECT count() FROM t"), range(64))
        assert set(counted) == {64}


def test_keeps_its_rows_when_it_is_killed(own: Node) -> None:
    own.sql("CREATE TABLE t (id Int64) ENGINE = MergeTree ORDER BY id")
    for number in range(3):
        own.sql(f"INSERT INTO t VALUES ({number})")
        own.kill()
        with pytest.raises(OperationalError):
            client(own)
        own.start()
    assert own.sql("SELECT id FROM t ORDER BY id") == "0\n1\n2\n"


def test_makes_a_client_wait_in_vain_while_it_hangs(own: Node) -> None:
    with client(own, send_receive_timeout=1) as waiting:
        own.hang()
        with pytest.raises(OperationalError):
            waiting.query("SELECT 1")
        own.resume()
        assert waiting.command("SELECT 1") == 1
