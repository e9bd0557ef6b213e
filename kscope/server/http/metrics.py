"""The server's state and its counters: /healthz, /readyz, /metrics."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kscope import __version__
from kscope.server.http import metric_list as of
from kscope.server.http.connections import Connections
from kscope.server.http.memory_budget import Budget
from kscope.server.http.metric_list import METRICS, Families, Family, exposition
from kscope.server.http.problems import problem
from kscope.server.http.refusals import Refusals
from kscope.server.http.wrong_tokens import WrongTokens
from kscope.store.backends.errors import StoreError
from kscope.store.store import Store
from kscope.store.write.group_commit import COMMIT_BOUNDS

Whole = Callable[[], Awaitable[Families]]
Further = Callable[[], Families]

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class ReceiveCounts:
    """Profiles and samples by protocol, and those that are not stored by reason, too."""

    profiles: Counter[str] = field(default_factory=Counter)
    samples: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass
class Metrics:
    """The counts of this process. `connections` and `wrong_tokens` have one entry per listener.

    `whole` returns the families of all processes of the server, if there are several; `further`
    those that one process adds, from what it has read of the database.
    """

    connections: Sequence[Connections] = ()
    wrong_tokens: list[WrongTokens] = field(default_factory=list)
    bytes_received: int = 0
    received: ReceiveCounts = field(default_factory=ReceiveCounts)
    # Requests beyond a quota, by the token's name and the quota's.
    over_quota: Counter[tuple[str, str]] = field(default_factory=Counter)
    budget: Budget | None = None
    whole: Whole | None = None
    further: Further = list

    def refusals(self, listener: str) -> Refusals:
        """Return the counts of a listener's refusals."""
        found = (each.refusals for each in self.connections if each.listener == listener)
        return next(found, Refusals())


def metrics_routes(store: Store, metrics: Metrics) -> list[Route]:
    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        try:
            await store.ping()
        except StoreError as error:
            return problem(503, error.public, headers={"Retry-After": str(error.retry_after)})
        return PlainTextResponse("ready\n")

    async def answer(_: Request) -> Response:
        found = await metrics.whole() if metrics.whole else families(store, metrics)
        return PlainTextResponse(exposition(found), media_type=_TEXT)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", answer),
    ]


def families(store: Store, metrics: Metrics) -> Iterator[Family]:
    """Yield the counts of this process."""
    yield of.INFO.family([({"version": __version__}, 1)])
    yield from _of_writer(store)
    yield of.RECEIVED.of(metrics.bytes_received)
    yield from _of_queue(store, metrics.budget)
    for name, value in store.backend.gauges().items():
        yield METRICS[name].of(value)
    yield of.OVER_QUOTA.family(
        [
            ({"token": token, "quota": quota}, count)
            for (token, quota), count in sorted(metrics.over_quota.items())
        ]
    )
    yield from _by_listener(metrics)
    yield from _of_receivers(metrics.received)
    yield from metrics.further()


def _of_writer(store: Store) -> Iterator[Family]:
    done = store.writer.counters
    yield of.ROWS.of(done.rows)
    yield of.BATCHES.of(done.batches)
    yield of.DUPLICATES.of(done.duplicates)
    yield of.FAILURES.of(done.failures)
    yield of.OVER_STACKS.of(done.over_stack_limit)
    yield of.OVER_STRINGS.of(done.over_string_limit)
    yield from of.COMMIT.histogram(COMMIT_BOUNDS, done.commits, done.commit_seconds)


def _of_queue(store: Store, budget: Budget | None) -> Iterator[Family]:
    yield of.WAITING.of(store.writer.waiting_rows)
    yield of.WAITING_LIMIT.of(store.writer.waiting_limit)
    yield of.WAITING_AGE.of(round(store.writer.oldest_seconds, 3))
    if budget is not None:
        yield of.MEMORY.of(budget.used)
        yield of.MEMORY_LIMIT.of(budget.limit)


def _of_receivers(received: ReceiveCounts) -> Iterator[Family]:
    for metric, counts in ((of.PROFILES, received.profiles), (of.SAMPLES, received.samples)):
        yield metric.family([({"protocol": key}, n) for key, n in sorted(counts.items())])
    yield of.PROFILES_REFUSED.family(
        [
            ({"protocol": protocol, "reason": reason}, count)
            for (protocol, reason), count in sorted(received.refused.items())
        ]
    )


def _by_listener(metrics: Metrics) -> Iterator[Family]:
    connections: Sequence[Any] = metrics.connections
    tokens: Sequence[Any] = metrics.wrong_tokens
    for metric, listeners, value in (
        (of.CONNECTIONS, connections, len),
        (of.CONNECTIONS_LIMIT, connections, attrgetter("total")),
        (of.CONNECTIONS_REFUSED, connections, attrgetter("refused")),
        (of.TOKENS_WRONG, tokens, attrgetter("wrong")),
        (of.TOKENS_EXPIRED, tokens, attrgetter("expired")),
        (of.TOKENS_THROTTLED, tokens, attrgetter("throttled")),
    ):
        yield metric.family([({"listener": each.listener}, value(each)) for each in listeners])
    for metric, label, counts in (
        (of.ANSWERS, "status", attrgetter("answers")),
        (of.REFUSED, "reason", attrgetter("refusals.counts")),
        (of.CONNECTIONS_ENDED, "reason", attrgetter("ended")),
    ):
        yield metric.family(
            [
                ({"listener": each.listener, label: str(key)}, count)
                for each in connections
                for key, count in sorted(counts(each).items())
            ]
        )
