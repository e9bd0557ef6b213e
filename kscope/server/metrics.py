"""Is the server well, and what has it done: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kscope.server.problems import problem
from kscope.store.base import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kscope.store.store import Store

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Metrics:
    bytes_received: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)


@dataclass(frozen=True)
class CountAnswers:
    """Middleware: how many answers of each status a listener gave."""

    app: ASGIApp
    listener: str
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.answers[self.listener, message["status"]] += 1
            await send(message)

        await self.app(scope, receive, counted if scope["type"] == "http" else send)


def routes(store: Store, metrics: Metrics) -> list[Route]:
    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        try:
            await store.ping()
        except StoreError as error:
            return problem(503, str(error))
        return PlainTextResponse("ready\n")

    async def exposition(_: Request) -> Response:
        return PlainTextResponse("\n".join(_lines(store, metrics)) + "\n", media_type=_TEXT)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", exposition),
    ]


def _lines(store: Store, metrics: Metrics) -> Iterator[str]:
    done = store.writer.counters
    counters = {
        "kscope_rows_stored_total": ("rows committed", done.rows),
        "kscope_batches_stored_total": ("batches committed", done.batches),
        "kscope_batches_duplicate_total": ("batches that were stored already", done.duplicates),
        "kscope_batches_failed_total": ("batches that could not be stored", done.failures),
        "kscope_commits_total": ("transactions that stored batches", done.commits),
        "kscope_commit_seconds_total": ("time spent in them", done.commit_seconds),
        "kscope_received_bytes_total": ("bytes of stored bodies as sent", metrics.bytes_received),
    }
    for name, (text, value) in counters.items():
        yield from (f"# HELP {name} {text}", f"# TYPE {name} counter", f"{name} {value}")
    waiting = ("rows that wait for a commit", store.writer.waiting_rows)
    for name, (text, value) in {"kscope_rows_waiting": waiting, **store.engine.gauges()}.items():
        yield from (f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value}")
    yield "# HELP kscope_http_answers_total answers by listener and status"
    yield "# TYPE kscope_http_answers_total counter"
    for (listener, status), count in sorted(metrics.answers.items()):
        labels = f'listener="{listener}",status="{status}"'
        yield f"kscope_http_answers_total{{{labels}}} {count}"
