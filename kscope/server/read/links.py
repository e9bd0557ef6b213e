"""Short links: `POST /api/v1/links` stores an address of the page, `GET /s/ID` leads back to it.

They are in a small SQLite file beside the database, which the read listener never writes. Without
`links` in kernelscope.yaml there are none, and the page compresses long addresses itself.
"""

import asyncio
import re
import sqlite3
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope.server.http.problems import HttpProblem
from kscope.server.http.request_body import read_small
from kscope.server.read.category_routes import refuse_foreign_page
from kscope.server.read.routes import json_response

# Characters of an address; the page keeps its own below that.
MAX_ADDRESS = 8192
MOST_LINKS = 20_000
_UNUSED_SECONDS = 365 * 86400
# A link that is followed often is written once a day.
_NOTED_SECONDS = 86400
_PATIENCE_SECONDS = 5
# The page itself with its state: no other path, and no other host, can be led to.
_ADDRESS = re.compile(r"/(\?[!-\[\]-~]*)?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{10}", re.ASCII)
_TABLE = """
CREATE TABLE IF NOT EXISTS link (
  id TEXT PRIMARY KEY, address TEXT NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID
"""
_OFF = "short links are off here: set `links` in kernelscope.yaml to a file"

Result = TypeVar("Result")


class Link(msgspec.Struct, frozen=True):
    """The path of a short link on this server, without its base path."""

    path: str


class Links:
    """The links of one file, read and written by one thread; `file` None: there are none."""

    def __init__(self, file: Path | None, most: int = MOST_LINKS) -> None:
        self._file = file
        self._most = most
        self._pool = ThreadPoolExecutor(1, "links")

    @property
    def on(self) -> bool:
        return self._file is not None

    async def add(self, address: str) -> str:
        """Store an address and return its id: the same for the same address.

        The links that were not used for the longest time make room.
        """
        digest = blake2b(address.encode(), digest_size=8).digest()
        name = urlsafe_b64encode(digest).decode()[:10]
        now = int(time.time())

        def write(database: sqlite3.Connection) -> str:
            row = (name, address, now)
            database.execute("DELETE FROM link WHERE used < ?", (now - _UNUSED_SECONDS,))
            database.execute("INSERT OR REPLACE INTO link VALUES (?, ?, ?)", row)
            over = database.execute("SELECT count(*) - ? FROM link", (self._most,)).fetchone()[0]
            if over > 0:
                oldest = "SELECT id FROM link WHERE id != ? ORDER BY used, id LIMIT ?"
                database.execute(f"DELETE FROM link WHERE id IN ({oldest})", (name, over))  # noqa: S608
            return name

        return await self._run(write)

    async def find(self, name: str) -> str | None:
        """Return the address of a link, and note that it was used."""
        now = int(time.time())

        def read(database: sqlite3.Connection) -> str | None:
            row = database.execute(
                "SELECT address, used FROM link WHERE id = ?", (name,)
            ).fetchone()
            if row is None or row[1] < now - _UNUSED_SECONDS:
                return None
            if row[1] < now - _NOTED_SECONDS:
                database.execute("UPDATE link SET used = ? WHERE id = ?", (now, name))
            return str(row[0])

        return await self._run(read)

    async def remove(self, name: str) -> bool:
        """Remove a link. Return whether there was one."""

        def delete(database: sqlite3.Connection) -> bool:
            return database.execute("DELETE FROM link WHERE id = ?", (name,)).rowcount > 0

        return bool(_ID.fullmatch(name)) and await self._run(delete)

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        file = self._file
        if file is None:
            raise HttpProblem(404, _OFF)

        def run() -> Result:
            with closing(sqlite3.connect(file, timeout=_PATIENCE_SECONDS)) as database, database:
                database.execute(_TABLE)
                return work(database)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, run)
        except sqlite3.Error as error:
            detail = f"the file of short links does not answer: {error}"
            raise HttpProblem(503, detail, headers={"Retry-After": "10"}) from None


async def _add(request: Request) -> Response:
    refuse_foreign_page(request.headers)
    links: Links = request.app.state.links
    if not links.on:
        raise HttpProblem(404, _OFF)
    too_long = f"an address has at most {MAX_ADDRESS} bytes"
    body = await read_small(request, MAX_ADDRESS, too_long)
    address = body.decode("utf-8", "replace").strip()
    if not _ADDRESS.fullmatch(address):
        detail = "this is no address of the page: send its path and its query, such as /?table=..."
        raise HttpProblem(422, detail)
    return json_response(Link(f"/s/{await links.add(address)}"))


async def _follow(request: Request) -> Response:
    links: Links = request.app.state.links
    name = request.path_params["id"]
    address = await links.find(name) if _ID.fullmatch(name) else None
    if address is None:
        raise HttpProblem(404, "there is no such link here; links are removed a year after use")
    place = request.app.state.settings.base_path + address
    return Response(status_code=302, headers={"Location": place, "Cache-Control": "no-cache"})


routes = [
    Route("/api/v1/links", _add, methods=["POST"], include_in_schema=False),
    Route("/s/{id}", _follow, methods=["GET"], include_in_schema=False),
]
