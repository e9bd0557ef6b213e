"""Rows in a real database, questions over HTTP: what the tests of the read side stand on."""

from __future__ import annotations

import asyncio
from functools import cache
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from kscope.declare.types.base import Storage
from kscope.query.parse.timerange import iso
from kscope.server.app import read_app
from kscope.server.http.metrics import Metrics
from kscope.server.ingest.decode import Decoder
from tests.decoding import decoded
from tests.store.opened import opened_store

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from tests.databases import Database

ROOT = Path(__file__).parent.parent.parent
EVERY_TYPE = ROOT / "tests/cases/every_type/categories"
NOON = 1_795_392_000_000_000  # 2026-11-23T00:00:00Z
SECOND = 1_000_000


TABLES = ("offcputime", "everything", "marker", "pressure")


@cache
def catalog() -> Catalog:
    """Some categories of each kind: making the tables of all takes longer than most tests."""
    found = load_catalog(["builtin", EVERY_TYPE])
    return Catalog(tuple(each for each in found if each.table in TABLES))


class World:
    """A store of the built-in categories and `everything`, and the read side over it."""

    def __init__(self, database: Database) -> None:
        self.runner = asyncio.Runner()
        self.database = database
        self.settings = database.settings
        self.catalog = catalog()
        self.decoder = Decoder(self.catalog)
        self.store = self.run(opened_store(self.settings, self.catalog))
        live: Any = SimpleNamespace(problems=(), leftovers=())
        self.app = read_app(self.store, live, self.settings, Metrics())
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    def adopt(self, declared: Catalog) -> None:
        """Use another catalog, as a server does if its files change."""
        self.run(self.store.adopt(declared))
        self.catalog = declared
        self.decoder = Decoder(declared)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def close(self) -> None:
        self.run(self.store.close())
        self.runner.close()

    def get(self, address: str, params: Any = None) -> httpx.Response:
        answer: httpx.Response = self.run(self.http.get(address, params=params))
        return answer

    def request(self, method: str, address: str, **options: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.http.request(method, address, **options))
        return answer

    def post(self, address: str, **body: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.http.post(address, **body))
        return answer

    def insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        """Store rows as if they came over the wire; their times are in microseconds."""
        for host, group in groupby(rows, key=lambda row: row["hostname"]):
            body = {"hostname": host, table: [self._wire(table, row) for row in group]}
            batch = decoded(self.decoder, msgspec.json.encode(body), NOON)
            self.run(self.store.writer.write(batch))

    def _wire(self, table: str, row: dict[str, Any]) -> dict[str, Any]:
        category = self.catalog.get(table)
        assert category is not None
        times = {each.name for each in category.all_columns if each.type.storage is Storage.TIME}
        return {
            name: iso(value) if name in times else value
            for name, value in row.items()
            if name != "hostname"
        }


def waits() -> list[dict[str, Any]]:
    """Six waits of three processes on two hosts, a second apart, from NOON."""
    rows = [
        ("web-001", "mysqld", 100, "main;do_command;futex_wait_[k]", 5000, 1),
        ("web-001", "mysqld", 100, "main;do_command;io_schedule_[k]", 3000, 3),
        ("web-001", "nginx", 200, "main;epoll_wait_[k]", 1000, 10),
        ("web-002", "mysqld", 300, "main;do_command;futex_wait_[k]", 7000, 2),
        ("web-002", "a;b", 400, "main", 11, 1),
        ("web-002", "nginx", 500, "", 20, 1),
    ]
    return [
        {
            "time": NOON + i * SECOND,
            "hostname": host,
            "process": process,
            "pid": pid,
            "reason": "blocked",
            "stack": stack,
            "elapsed": elapsed,
            "count": count,
            "lengths": [0, 1],
        }
        for i, (host, process, pid, stack, elapsed, count) in enumerate(rows)
    ]
