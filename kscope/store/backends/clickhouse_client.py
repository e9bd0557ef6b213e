"""The driver's client in threads: its calls wait, and the event loop must not."""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, TypeVarTuple, Unpack

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DataError
from clickhouse_connect.driver.httputil import get_pool_manager
from clickhouse_connect.driver.query import QueryResult

from kscope.config import ClickHouse
from kscope.store.backends.clickhouse_errors import FAULTS
from kscope.store.backends.daemon_threads import DaemonThreads, settled

# They repeat each error at length, with the address of the statement; the store tells it once.
for _name in ("clickhouse_connect", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")
Rows = Sequence[Sequence[Any]]

_CONNECT_SECONDS = 5
_CANCEL_SECONDS = 3
# Statements that are cancelled at a time: a server that hangs hangs at these, too.
_MOST_KILLS = 3
_KILL_TRIES, _KILL_PAUSE, _KILL_SECONDS = 6, 0.5, 10
# A server that hangs keeps its connections open and says nothing. No commit takes as long, and no
# question does beyond its deadline.
ANSWER_SECONDS = 30
# Beyond the deadline of the longest change.
_CHANGE_SECONDS = 3700
# The longest statement: lists of ids are in it.
_STATEMENT_BYTES = 64 << 20

# The behaviour that standard SQL has, and the other databases.
_STANDARD = {
    "aggregate_functions_null_for_empty": 1,
    "cast_keep_nullable": 1,
    "join_use_nulls": 1,
    "prefer_column_name_to_alias": 1,
    "transform_null_in": 0,
    # Of rows with one key that are not merged yet, the last one.
    "final": 1,
    "max_query_size": _STATEMENT_BYTES,
}


@dataclass(eq=False)
class Clients:
    """One client for all threads, made with the first statement; at most `threads` at a time."""

    settings: ClickHouse
    threads: int
    # Seconds for an answer.
    patience: float = _CHANGE_SECONDS
    # When a statement last ended for us while it may still run on the server.
    _last_lost: float = -math.inf
    _threads: DaemonThreads = field(init=False)
    _client: Client | None = None
    _killing: "Clients | None" = None

    def __post_init__(self) -> None:
        self._threads = DaemonThreads(self.threads, "kscope clickhouse")

    def start(
        self, work: Callable[[Client, Unpack[Arguments]], Result], *arguments: *Arguments
    ) -> "Future[Result]":
        """Run `work` with the client in a thread."""
        return self._threads.submit(lambda: self._run(work, *arguments))

    @property
    def idle(self) -> bool:
        """Whether no statement runs: one outlives the task that waits for it."""
        return not self._threads.running

    def lost_one_since(self, moment: float) -> bool:
        """Return whether a statement has ended for us since then that may still run on the server.

        By the monotonic clock.
        """
        return self._last_lost > moment

    async def call(
        self,
        work: Callable[[Client, Unpack[Arguments]], Result],
        *arguments: *Arguments,
        query_id: str = "",
    ) -> Result:
        """Run `work`, which may take as long as a change of a large table.

        If its task ends before, the server is asked to cancel the statement with this id.
        """
        running = self.start(work, *arguments)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            # If it waits for a thread, it never begins.
            if not running.done():
                self._last_lost = time.monotonic()
                self._cancel(running, query_id)
            raise
        except DataError:
            raise  # the driver sent nothing
        except FAULTS as error:
            # An error of the server has a code; else the connection broke.
            if getattr(error, "code", None) is None:
                self._last_lost = time.monotonic()
            raise

    async def call_soon(
        self,
        work: Callable[[Client, Unpack[Arguments]], Result],
        *arguments: *Arguments,
        query_id: str = "",
    ) -> Result:
        """Run `work`. Raises TimeoutError if a server that hangs does not answer."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self.call(work, *arguments, query_id=query_id)

    def _cancel(self, running: "Future[Any]", query_id: str) -> None:
        if self._killing is None:
            self._killing = Clients(self.settings, _MOST_KILLS, _KILL_SECONDS)
        if query_id and len(self._killing._threads.running) < _MOST_KILLS:  # noqa: SLF001
            self._killing.start(_kill_running, running, query_id)

    async def settle(self) -> None:
        """Wait a little until all statements have ended: those that are cancelled do soon.

        At the end of the program alone: one that waits for a thread then is given up.
        """
        await settled(self._threads.running, _CANCEL_SECONDS)

    async def close(self) -> None:
        if self._killing is not None:
            await self._killing.settle()
            await self._killing.close()
        self._threads.close()
        client, self._client = self._client, None
        if client is not None:
            with suppress(*FAULTS):
                await asyncio.to_thread(client.close)

    def _run(
        self, work: Callable[[Client, Unpack[Arguments]], Result], *arguments: *Arguments
    ) -> Result:
        if self._client is None:
            self._client = self._connected()
        return work(self._client, *arguments)

    def _connected(self) -> Client:
        chosen = self.settings
        tls: dict[str, Any] = {}
        if chosen.ca_file is not None:
            tls = {"verify": True, "ca_cert": str(chosen.ca_file)}
        return clickhouse_connect.get_client(
            host=chosen.host,
            port=chosen.port,
            username=chosen.user,
            password=chosen.password,
            database=chosen.database,
            interface="https" if chosen.secure else "http",
            connect_timeout=_CONNECT_SECONDS,
            send_receive_timeout=self.patience,
            autogenerate_session_id=False,
            query_retries=0,
            client_name="kscope",
            pool_mgr=get_pool_manager(maxsize=self.threads, **tls),
        )


def query(
    client: Client,
    text: str,
    parameters: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    as_bytes: Collection[str] = (),
) -> Rows:
    """Return the rows; histograms as `slot:count` text, these columns as bytes."""
    found = client.query(
        text,
        parameters=dict(parameters or {}),
        settings={**_STANDARD, **settings},
        column_formats=dict.fromkeys(as_bytes, "bytes") or None,
    )
    return rows_of(found)


def command(client: Client, text: str, settings: Mapping[str, Any]) -> None:
    """Run a statement that has no rows."""
    client.raw_query(text, settings=dict(settings))


def insert(
    client: Client,
    table: str,
    columns: Mapping[str, Sequence[Any]],
    kinds: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    """Insert columns of these types, all rows in one block."""
    client.insert(
        table,
        list(columns.values()),
        column_names=list(columns),
        column_type_names=[kinds[name] for name in columns],
        column_oriented=True,
        settings=dict(settings),
    )


def rows_of(result: QueryResult) -> Rows:
    maps = [i for i, kind in enumerate(result.column_types) if kind.base_type == "Map"]
    if not maps:
        return result.result_rows
    columns = list(result.result_columns)
    for place in maps:
        columns[place] = list(map(histogram_text, columns[place]))
    return list(zip(*columns, strict=True))


def histogram_text(slots: Mapping[int, int]) -> str:
    return ",".join([f"{slot}:{slots[slot]}" for slot in sorted(slots)])


def new_query_id() -> str:
    return f"kscope-{uuid.uuid4().hex}"


def _kill_running(client: Client, running: "Future[Any]", query_id: str) -> None:
    """Cancel a statement, again if it had not begun yet."""
    for _ in range(_KILL_TRIES):
        kill(client, query_id)
        if wait([running], _KILL_PAUSE).done:
            return


def kill(client: Client, query_id: str) -> None:
    """Cancel a statement by its id, which is ours."""
    client.raw_query(f"KILL QUERY WHERE query_id = '{query_id}' ASYNC")
