"""The routes of the ingest listener: rows are acknowledged once they are on the disk."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope.config import AcceptSettings
from kscope.errors import printable
from kscope.query.answers.heard import is_host
from kscope.server.http.auth import check_host
from kscope.server.http.log_throttle import ThrottledLog
from kscope.server.http.memory_budget import Budget, Share
from kscope.server.http.metrics import Metrics
from kscope.server.http.problems import HttpProblem
from kscope.server.http.quotas import Of, Quotas
from kscope.server.http.request_body import BodyLimits, read
from kscope.server.ingest.decode import Form
from kscope.server.ingest.decompress import Decompress, decompressor
from kscope.server.ingest.fair_queue import FairQueue
from kscope.server.ingest.live_catalog import LiveCatalog
from kscope.server.ingest.markers import marker_rows
from kscope.server.ingest.row_faults import UnknownName
from kscope.server.ingest.time_window import OutsideWindow, sentence
from kscope.store.backends.in_thread import in_thread
from kscope.store.heard import RECENT, HeardHosts
from kscope.store.store import Writer
from kscope.store.write.batch import Batch, Stored

# Clients of 2016 send urllib's default, the type of a form; curl and scripts send the others.
_ACCEPTED_TYPES = frozenset(
    {
        "",
        "application/json",
        "text/plain",
        "text/json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    }
)
_PACKED_TYPES = frozenset(
    {"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"}
)
PATH = "/api/v1/ingest"
# A smaller body without faults is decoded faster than handed to another thread.
_INLINE = 16 * 1024
# In MessagePack a byte may be a whole value.
_INLINE_PACKED = 4 * 1024
_MAX_KEY = 255
# Right rows are then ahead of it: their senders keep them.
_BEHIND = "the server's clock is behind: it is before its last removal by age"
_LATER = {"Retry-After": "60"}
# While so many rows wait to be written, memory is scarcer than time.
_COMPACT_FROM = 100_000
# The meaning of each status.
STATUSES = {
    200: "stored, with the number of rows of each table, whether it was stored before, and under"
    " `past_retention` the number of rows that are too old to stay",
    400: "not JSON or MessagePack, not UTF-8, or not what its Content-Encoding says",
    401: "a token is needed",
    403: "the token has no scope `ingest` or is for other hosts, or a web page sends this",
    408: "the body did not arrive in time",
    413: "too large as sent or decompressed: send fewer rows at a time",
    415: "a Content-Type or Content-Encoding that is not supported",
    422: "rows or columns that do not fit their category, or times that are not taken in; `errors`"
    " has a JSON pointer to each",
    429: "the token's quota is used up, or too many wrong tokens came from this address",
    431: "the request has too many headers, or too large ones",
    503: "not now: send again after `Retry-After` seconds",
}

log = logging.getLogger(__name__)


async def _never(_: int) -> bool:
    return False


@dataclass(frozen=True)
class Ingest:
    """Stores the bodies of one listener."""

    live: LiveCatalog
    writer: Writer
    lanes: FairQueue
    metrics: Metrics
    limits: BodyLimits
    budget: Budget
    quotas: Quotas = field(default_factory=Quotas)
    accept: AcceptSettings = field(default_factory=AcceptSettings)
    # Whether the server's clock is behind at a time (us).
    is_behind: Callable[[int], Awaitable[bool]] = _never
    heard: HeardHosts = field(default_factory=HeardHosts)
    old: ThrottledLog = field(default_factory=lambda: ThrottledLog(log))

    async def of_2016(self, request: Request) -> Response:
        """The agent of 2016 sends JSON alone, and joins its frames leaf first."""
        _check_type(request)
        return await self._taken(request, Form.OF_2016)

    async def __call__(self, request: Request) -> Response:
        if _content_type(request) in _PACKED_TYPES:
            refuse_pages(request)
            return await self._taken(request, Form.MESSAGEPACK)
        _check_type(request)
        return await self._taken(request, Form.JSON)

    async def _taken(self, request: Request, form: Form) -> Response:
        key = key_of(request)
        # Refused before the body arrives.
        decompress = decompressor(request.headers.get("content-encoding", ""))
        with self.budget.share() as share:
            # No variable holds the text: it is freed before its rows are written.
            batch = await self.decoded(
                await self.text(request, decompress, share), key, share, form
            )
            # The answer of 2016 has two members, and no others.
            return await self._stored(request, batch, tells=form is not Form.OF_2016)

    async def marker(self, request: Request) -> Response:
        """Store the one marker of a body, which is small and not compressed."""
        _check_type(request)
        key = key_of(request)
        with self.budget.share() as share:
            text = bytearray(await marker_rows(request))
            share.take(len(text))
            batch = await self.decoded(text, key, share)
            ((moment,), *_) = batch.tables[0].columns
            # It may be "now", or an hour before: another time if the sender comes again.
            return await self._stored(request, replace(batch, arrived=moment))

    async def _stored(self, request: Request, batch: Batch, *, tells: bool = True) -> Response:
        self.check(request, batch)
        stored = await self.write(request, batch)
        answer = {"stored": stored.rows, "duplicate": stored.duplicate}
        if (told := self.old_rows(batch)) and tells:
            answer |= {"past_retention": batch.old, "detail": "; ".join(told)}
        return Response(msgspec.json.encode(answer), media_type="application/json")

    def old_rows(self, batch: Batch) -> list[str]:
        """Log a sentence for each table with rows that retention soon removes; return them."""
        told = [sentence(table, each) for table, each in batch.old.items()]
        if told:
            self.old.warning(f"{printable(batch.host)}: {'; '.join(told)}")
        return told

    async def write(self, request: Request, batch: Batch) -> Stored:
        """Store a batch, and note its host as heard. Raises StoreError."""
        stored = await self.writer.write(batch)
        now = time.time()
        host = batch.host
        if is_host(host) and self.heard.is_news(host, now) and batch.newest > now - RECENT:
            program = request.headers.get("user-agent", "").partition(" ")[0]
            self.heard.note(host, now, program)
        return stored

    def check(self, request: Request, batch: Batch) -> None:
        """Raise HttpProblem if the request's token may not bring these rows, or not now."""
        check_host(request.scope, batch.host)
        self.quotas.check(request.scope, Of.ROWS)
        self.quotas.use(request.scope, Of.ROWS, len(batch))

    async def text(
        self, request: Request, decompress: Decompress | None, share: Share
    ) -> bytearray:
        """Return the decompressed body; the body as sent is freed."""
        self.quotas.check(request.scope, Of.BYTES)
        body = await read(request, self.limits, share)
        self.quotas.use(request.scope, Of.BYTES, len(body))
        self.metrics.bytes_received += len(body)
        if decompress is None:
            return body
        sent = len(body)
        text = await self.lanes.run(decompress(body, self.limits.size, share.take))
        share.give(sent)
        return text

    async def decoded(
        self, text: bytearray, key: str, share: Share, form: Form = Form.JSON
    ) -> Batch:
        """Return the batch; `share` then counts the memory of its rows, and no longer the text."""
        now = time.time_ns() // 1000
        held = share.held
        inline = _INLINE_PACKED if form is Form.MESSAGEPACK else _INLINE
        for attempt in range(2):
            decoder = self.live.decoder
            steps = decoder.steps(text, now, key, share.take, form, accept=self.accept)
            try:
                batch = await self.lanes.run(steps, small=len(text) <= inline)
            except UnknownName as unknown:
                if attempt or not await self.live.has_newer(decoder):
                    raise self._with_problems(unknown) from None
                share.give(share.held - held)
            except OutsideWindow as outside:
                if outside.ahead and await self.is_behind(now):
                    raise OutsideWindow(503, _BEHIND, headers=_LATER, ahead=True) from None
                raise
            else:
                share.give(len(text))
                if self.writer.waiting_rows > _COMPACT_FROM:
                    return await in_thread(len(batch), batch.compact)
                return batch
        raise AssertionError

    def _with_problems(self, unknown: UnknownName) -> UnknownName:
        """Mention a faulty category file, which may declare the missing name, without its path."""
        if not self.live.problems:
            return unknown
        tables = {part for each in unknown.faults for part in str(each.pointer).split("/")[1:2]}
        why = "some category files have problems; the server's log names them"
        for problem in self.live.problems:
            file = PurePath(problem.file)
            if file.stem in tables:
                why = f"{file.name}, line {problem.line}, has a problem: {problem.message}"
                break
        return UnknownName(unknown.status, f"{unknown.detail} ({why})", unknown.faults)


def key_of(request: Request) -> str:
    """Return the key under which the body is stored once, or an empty text."""
    key = request.headers.get("idempotency-key", "")
    if len(key) > _MAX_KEY:
        raise HttpProblem(400, f"Idempotency-Key is longer than {_MAX_KEY} characters")
    return key


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_type(request: Request) -> None:
    kind = _content_type(request)
    if kind in _PACKED_TYPES:
        raise HttpProblem(415, f"MessagePack is taken at {PATH} alone: send application/json")
    if kind not in _ACCEPTED_TYPES and not kind.endswith("+json"):
        raise HttpProblem(415, f"Content-Type {kind[:80]!r} is not known: send application/json")
    rest = request.headers.get("content-type", "").partition(";")[2]
    charset = rest.lower().replace('"', "").partition("charset=")[2].strip()
    if charset not in ("", "utf-8", "utf8"):
        raise HttpProblem(415, f"charset {charset[:40]!r} is not supported: JSON is UTF-8")
    refuse_pages(request)


def refuse_pages(request: Request) -> None:
    """Raise 403 if a web page sends this: it must not make its visitor's browser send rows here."""
    if "origin" in request.headers:
        raise HttpProblem(403, "rows from web pages are refused")


def ingest_routes(ingest: Ingest) -> list[Route]:
    return [
        Route("/", ingest.of_2016, methods=["POST"]),
        Route(PATH, ingest.__call__, methods=["POST"]),
        Route("/api/v1/markers", ingest.marker, methods=["POST"]),
    ]
