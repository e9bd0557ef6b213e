"""Is the server well, and what has it done: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kscope.server.http.problems import problem
from kscope.store.backends.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kscope.server.http.connections import Connections
    from kscope.server.http.wrong_tokens import WrongTokens
    from kscope.store.store import Store

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Metrics:
    """`connections` and `wrong_tokens` have one entry per listener."""

    connections: Sequence[Connections] = ()
    wrong_tokens: list[WrongTokens] = field(default_factory=list)
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


def metrics_routes(store: Store, metrics: Metrics) -> list[Route]:
    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        try:
            await store.ping()
        except StoreError as error:
            return problem(503, error.public, headers={"Retry-After": str(error.retry_after)})
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
        "kscope_rows_over_stack_limit_total": (
            "rows whose new stack was beyond new_stacks_per_hour",
            done.over_stack_limit,
        ),
        "kscope_rows_over_string_limit_total": (
            "rows with a new string beyond new_strings_per_hour",
            done.over_string_limit,
        ),
        "kscope_commits_total": ("transactions that stored batches", done.commits),
        "kscope_commit_seconds_total": ("time spent in them", done.commit_seconds),
        "kscope_received_bytes_total": ("bytes of stored bodies as sent", metrics.bytes_received),
    }
    for name, (text, value) in counters.items():
        yield from (f"# HELP {name} {text}", f"# TYPE {name} counter", f"{name} {value}")
    waiting = ("rows that wait for a commit", store.writer.waiting_rows)
    for name, (text, value) in {"kscope_rows_waiting": waiting, **store.backend.gauges()}.items():
        yield from (f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value}")
    answers = (
        ((("listener", listener), ("status", str(status))), count)
        for (listener, status), count in sorted(_answers(metrics).items())
    )
    yield from _labelled("http_answers_total", "answers by listener and status", answers)
    yield from _connection_lines(metrics.connections)
    for name, text in {
        "wrong": "requests with a token that is not declared",
        "throttled": "those of them that came too often from one address",
    }.items():
        counts = (((("listener", w.listener),), getattr(w, name)) for w in metrics.wrong_tokens)
        yield from _labelled(f"tokens_{name}_total", text, counts)


def _answers(metrics: Metrics) -> Counter[tuple[str, int]]:
    """Return the applications' answers, and those to requests that no application has seen."""
    answers = metrics.answers.copy()
    for each in metrics.connections:
        for status, count in each.refused_requests.items():
            answers[each.listener, status] += count
    return answers


def _connection_lines(connections: Sequence[Connections]) -> Iterator[str]:
    for name, text, count in (
        ("open", "open connections", len),
        ("limit", "the most connections that may be open", lambda each: each.limits.total),
        ("refused_total", "connections closed at once, there were too many", _refused),
    ):
        counts = (((("listener", each.listener),), count(each)) for each in connections)
        yield from _labelled(f"connections_{name}", text, counts)
    ended = (
        ((("listener", each.listener), ("reason", reason)), count)
        for each in connections
        for reason, count in sorted(each.ended.items())
    )
    yield from _labelled("connections_ended_total", "connections that the server gave up", ended)


def _refused(connections: Connections) -> int:
    return connections.refused


def _labelled(
    name: str, text: str, counts: Iterable[tuple[tuple[tuple[str, str], ...], int]]
) -> Iterator[str]:
    kind = "counter" if name.endswith("_total") else "gauge"
    yield from (f"# HELP kscope_{name} {text}", f"# TYPE kscope_{name} {kind}")
    for labels, count in counts:
        listed = ",".join(f'{label}="{value}"' for label, value in labels)
        yield f"kscope_{name}{{{listed}}} {count}"
