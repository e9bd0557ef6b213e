"""The ingest listener's routes: rows come in, and are answered for once they are on the disk."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from kscope.server.body import decompressor, read
from kscope.server.decode import UnknownCategory
from kscope.server.problems import HttpProblem

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from starlette.requests import Request

    from kscope.server.live import LiveCatalog
    from kscope.server.metrics import Metrics
    from kscope.store.base import Batch, Writer

# 2016's clients sent what urllib sends, a form's type; the others are what curl and scripts send.
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
# Smaller bodies take less time to decode than a hop to another thread.
_INLINE = 16 * 1024
_MAX_KEY = 255


@dataclass(frozen=True)
class Limits:
    """In bytes: a body as sent, the same decompressed, and all bodies that are being handled."""

    body: int = 32 * 1024 * 1024
    decompressed: int = 128 * 1024 * 1024
    in_flight: int = 512 * 1024 * 1024


class Ingest:
    """Takes the bodies of one listener."""

    def __init__(
        self,
        live: LiveCatalog,
        writer: Writer,
        executor: Executor,
        metrics: Metrics,
        limits: Limits | None = None,
    ) -> None:
        self._live = live
        self._writer = writer
        self._executor = executor
        self._metrics = metrics
        self._limits = limits or Limits()
        self._in_flight = 0

    async def __call__(self, request: Request) -> Response:
        _check_type(request)
        key = request.headers.get("idempotency-key", "")
        if len(key) > _MAX_KEY:
            raise HttpProblem(400, f"Idempotency-Key is longer than {_MAX_KEY} characters")
        encoding = request.headers.get("content-encoding", "").strip()
        decompressor(encoding)  # a body that cannot be read is not waited for
        if self._in_flight > self._limits.in_flight:
            raise HttpProblem(
                503, "many bodies are being taken in: send later", headers={"Retry-After": "1"}
            )
        body = await read(request, self._limits.body)
        self._in_flight += len(body)
        try:
            batch = await self._decode(body, encoding, key)
            stored = await self._writer.write(batch)
        finally:
            self._in_flight -= len(body)
        self._metrics.bytes_received += len(body)
        answer = {"stored": stored.rows, "duplicate": stored.duplicate}
        return Response(msgspec.json.encode(answer), media_type="application/json")

    async def _decode(self, body: bytes, encoding: str, key: str) -> Batch:
        now = time.time_ns() // 1000
        decompress = decompressor(encoding)
        compressed = encoding.lower() not in ("", "identity")

        def work() -> Batch:
            text = decompress(body, self._limits.decompressed)
            return self._live.decoder.decode(text, now, key)

        for attempt in range(2):
            try:
                if len(body) <= _INLINE and not compressed:
                    return work()
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._executor, work)
            except UnknownCategory as unknown:
                if attempt or not await self._live.refresh():
                    raise self._with_problems(unknown) from None
        raise AssertionError

    def _with_problems(self, unknown: UnknownCategory) -> UnknownCategory:
        """A category that lacks may be one whose file has a mistake."""
        problems = self._live.problems
        if not problems:
            return unknown
        detail = f"{unknown.detail} A category file has a problem: {problems[0]}"
        return UnknownCategory(unknown.status, detail, unknown.faults)


def _check_type(request: Request) -> None:
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind not in _ACCEPTED_TYPES and not kind.endswith("+json"):
        raise HttpProblem(415, f"Content-Type {kind[:80]!r} is not taken: send application/json")
    charset = rest.lower().replace('"', "").partition("charset=")[2].strip()
    if charset not in ("", "utf-8", "utf8"):
        raise HttpProblem(415, f"charset {charset[:40]!r} is not taken: JSON is UTF-8")
    if "origin" in request.headers:
        # A page of some other site must not make its visitor's browser post rows here.
        raise HttpProblem(403, "rows are not taken from web pages")


def routes(ingest: Ingest) -> list[Route]:
    return [
        Route("/", ingest.__call__, methods=["POST"]),
        Route("/api/v1/ingest", ingest.__call__, methods=["POST"]),
    ]
