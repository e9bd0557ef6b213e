"""The sources of commands that ask questions: a server over HTTP, or a database."""

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import cast

import msgspec

from kscope.cli.categories import good_catalog
from kscope.client.endpoint import read_token, server_address
from kscope.config import Settings, SQLite, load_settings
from kscope.declare.model import Catalog, Category
from kscope.declare.types.base import Role
from kscope.errors import KscopeError, UsageError
from kscope.query.across.question import QuestionOfAll
from kscope.query.answers.categories import categories
from kscope.query.answers.heard import heard_hosts
from kscope.query.answers.markers import markers, read_question
from kscope.query.answers.question import BASE, Question
from kscope.query.export import STACKS, TABLES, titles
from kscope.query.export.base import JSON
from kscope.query.parse.scope import category_of
from kscope.query.responses import Response, respond, respond_of_all, with_missing
from kscope.store.heard import HeardHosts, read_heard
from kscope.store.open import open_to_read
from kscope.store.reader import Reader
from kscope.store.schema.meta import stored_tables

DEFAULT_SERVER = "http://127.0.0.1:8080"
Request = Sequence[tuple[str, str]]

_PIECE = 1 << 16
_STACK = ({"role": Role.STACK},)
_PATIENCE = 60
# The question is wrong, or the table does not exist.
_ASKED_WRONG = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class ServerSource:
    """`url` is the read listener's."""

    url: str
    token: str = field(default="", repr=False)

    @property
    def page(self) -> str:
        """The address of the page."""
        return self.url.rstrip("/")

    def ask(
        self, question: Question, table: str, request: Request, take: Callable[[bytes], object]
    ) -> None:
        given = {**dict(request), "table": table}
        names = ("table", *question.in_path)
        place = question.path.format_map({n: urllib.parse.quote(given[n], safe="") for n in names})
        rest = [(name, value) for name, value in request if name not in question.in_path]
        self._take(place, rest, take)

    def ask_of_all(
        self, question: QuestionOfAll, request: Request, take: Callable[[bytes], object]
    ) -> None:
        self._take(question.path, request, take)

    def categories(self, take: Callable[[bytes], object]) -> None:
        self._take("/categories", (), take)

    def markers(self, request: Request, take: Callable[[bytes], object]) -> None:
        self._take("/markers", request, take)

    def heard(self, take: Callable[[bytes], object]) -> None:
        self._take("/heard", (), take)

    def _take(self, place: str, request: Request, take: Callable[[bytes], object]) -> None:
        address = f"{self.url.rstrip('/')}{BASE}{place}?{urllib.parse.urlencode(request)}"
        with self._answer(address) as answer:
            while piece := self._read(answer):
                take(piece)

    def has_stacks(self, table: str) -> bool:
        """Is there a flame graph? Of a table that there is not the question itself will say so."""
        with self._answer(f"{self.url.rstrip('/')}{BASE}/categories") as answer:
            whole = b"".join(iter(lambda: self._read(answer), b""))
        declared = {each["table"]: each["columns"] for each in json.loads(whole)["categories"]}
        return any(each["role"] == Role.STACK for each in declared.get(table, _STACK))

    def _answer(self, address: str) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            asked = urllib.request.Request(address, headers=headers)  # noqa: S310 - checked below
            if asked.type not in ("http", "https"):
                raise UsageError(f"--server {self.url}: must begin with http:// or https://")
            return cast(
                "http.client.HTTPResponse",
                urllib.request.urlopen(asked, timeout=_PATIENCE),  # noqa: S310
            )
        except urllib.error.HTTPError as error:
            kind = UsageError if error.code in _ASKED_WRONG else KscopeError
            raise kind(self._detail(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise KscopeError(
                f"{self.url}: {reason}; is `kscope serve` running there? A database is asked "
                "directly with --sqlite FILE or --config FILE"
            ) from None

    def _detail(self, error: urllib.error.HTTPError) -> str:
        try:
            detail = str(json.load(error)["detail"])
        except (ValueError, KeyError, TypeError):
            detail = f"{error.code} {error.reason}"
        # Where questions are asked, what is not there has a name.
        if error.code == HTTPStatus.NOT_FOUND and detail.endswith(HTTPStatus.NOT_FOUND.phrase):
            return (
                f"{self.url} takes no questions ({detail}): name the page's address; where rows "
                "come in is another"
            )
        return detail

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.read1(_PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise KscopeError(f"{self.url}: the answer broke off: {error}") from None


@dataclass(frozen=True, slots=True)
class Direct:
    settings: Settings
    catalog: Catalog

    @property
    def page(self) -> str:
        """Empty: a database has no page."""
        return ""

    def has_stacks(self, table: str) -> bool:
        category = self.catalog.get(table)
        return category is None or bool(category.with_role(Role.STACK))

    def ask(
        self, question: Question, table: str, request: Request, take: Callable[[bytes], object]
    ) -> None:
        asyncio.run(self._ask(question, table, request, take))

    async def _ask(
        self, question: Question, table: str, request: Request, take: Callable[[bytes], object]
    ) -> None:
        asked = question.read(category_of(self.catalog, table), request)
        await self._respond(lambda reader: respond(reader, question, asked), take)

    def ask_of_all(
        self, question: QuestionOfAll, request: Request, take: Callable[[bytes], object]
    ) -> None:
        async def answer(reader: Reader) -> Response:
            # Until a server opens the database, it is without the tables of new categories.
            there = await stored_tables(reader.fetch, reader.schema)
            known = Catalog(tuple(e for e in self.catalog if there.issuperset(_tables(e))))
            asked = question.read(known, request)
            return await respond_of_all(reader.only(known), question, asked, stream=False)

        asyncio.run(self._respond(answer, take))

    def categories(self, take: Callable[[bytes], object]) -> None:
        take(msgspec.json.encode(categories(self.catalog, titles(STACKS), titles(TABLES), (), ())))

    def markers(self, request: Request, take: Callable[[bytes], object]) -> None:
        async def answer(reader: Reader) -> Response:
            asked = read_question(self.catalog, request)
            found = with_missing(reader, await markers(reader, asked))
            return Response(JSON.media_type, msgspec.json.encode(found))

        asyncio.run(self._respond(answer, take))

    def heard(self, take: Callable[[bytes], object]) -> None:
        async def answer(reader: Reader) -> Response:
            now = time.time()
            hosts = HeardHosts()
            hosts.learn(await read_heard(reader.fetch, reader.schema), now)
            found = heard_hosts(hosts.known(now), now, self.settings.silent_after)
            return Response(JSON.media_type, msgspec.json.encode(found))

        asyncio.run(self._respond(answer, take))

    async def _respond(
        self, answer: Callable[[Reader], Awaitable[Response]], take: Callable[[bytes], object]
    ) -> None:
        async with open_to_read(self.settings, self.catalog) as store:
            reader, deadline = store.reader, store.reader.deadline
            with deadline.running():
                body = await answer(reader.within(deadline))
            if isinstance(body.content, bytes):
                take(body.content)
            else:
                async for piece in body.content:
                    # A list may be longer than one deadline: each piece has its own.
                    deadline.left = reader.seconds
                    take(piece)


def _tables(category: Category) -> set[str]:
    """Return the tables that a category reads; a union has those of its members."""
    return {member.table for member in category.union} or {category.table}


def pair(text: str) -> tuple[str, str]:
    """Read a filter or another parameter: `process=mysqld`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"'{text}' is not NAME=VALUE, such as process=mysqld")
    return name, value


def source_of(
    server: str | None, token_file: Path | None, sqlite: Path | None, config: Path | None
) -> ServerSource | Direct:
    """Return the source that a command's options name; a local server if they name none."""
    if server and (sqlite or config):
        raise UsageError("ask either a --server or a database (--sqlite, --config)")
    if not sqlite and not config:
        server_address(server or DEFAULT_SERVER)  # raises
        return ServerSource(server or DEFAULT_SERVER, read_token(token_file))
    settings = load_settings(config) if config else Settings()
    if sqlite:
        settings = replace(settings, database=SQLite(sqlite))
    return Direct(settings, good_catalog(settings.categories))
