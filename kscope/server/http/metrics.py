"""The server's state and its counters: /healthz, /readyz, /metrics."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kscope.server.http.connections import Connections
from kscope.server.http.problems import problem
from kscope.server.http.wrong_tokens import WrongTokens
from kscope.store.backends.errors import StoreError
from kscope.store.store import Store

# Its name, its help, and its values by their labels.
Family = tuple[str, str, Sequence[tuple[dict[str, str], int | float]]]
Families = Sequence[Family]
Whole = Callable[[], Awaitable[Families]]

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

    `whole` returns the families of all processes of the server, if there are several.
    """

    connections: Sequence[Connections] = ()
    wrong_tokens: list[WrongTokens] = field(default_factory=list)
    bytes_received: int = 0
    received: ReceiveCounts = field(default_factory=ReceiveCounts)
    # Requests beyond a quota, by the token's name and the quota's.
    over_quota: Counter[tuple[str, str]] = field(default_factory=Counter)
    whole: Whole | None = None


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
        found = await metrics.whole() if metrics.whole else families(store, metrics)
        return PlainTextResponse("\n".join(_lines(found)) + "\n", media_type=_TEXT)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", exposition),
    ]


def is_counter(family: str) -> bool:
    return family.endswith("_total")


def _lines(found: Iterable[Family]) -> Iterator[str]:
    for name, text, samples in found:
        kind = "counter" if is_counter(name) else "gauge"
        yield from (f"# HELP {name} {text}", f"# TYPE {name} {kind}")
        for labels, value in samples:
            listed = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels.items())
            yield f"{name}{{{listed}}} {value}" if listed else f"{name} {value}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def families(store: Store, metrics: Metrics) -> Iterator[Family]:
    """Yield the counts of this process."""
    done = store.writer.counters
    for name, text, value in (
        ("rows_stored_total", "rows committed", done.rows),
        ("batches_stored_total", "batches committed", done.batches),
        ("batches_duplicate_total", "batches that were stored already", done.duplicates),
        ("batches_failed_total", "batches that could not be stored", done.failures),
        ("rows_over_stack_limit_total", "rows whose new stack was beyond new_stacks_per_hour",
         done.over_stack_limit),
        ("rows_over_string_limit_total", "rows with a new string beyond new_strings_per_hour",
         done.over_string_limit),
        ("commits_total", "transactions that stored batches", done.commits),
        ("commit_seconds_total", "time spent in them", done.commit_seconds),
        ("received_bytes_total", "bytes of stored bodies as sent", metrics.bytes_received),
        ("rows_waiting", "rows that wait for a commit", store.writer.waiting_rows),
    ):  # fmt: skip
        yield f"kscope_{name}", text, [({}, value)]
    for name, (text, value) in store.backend.gauges().items():
        yield name, text, [({}, value)]
    yield (
        "kscope_over_quota_total",
        "requests that were refused because a token's quota was used up",
        [
            ({"token": token, "quota": quota}, count)
            for (token, quota), count in sorted(metrics.over_quota.items())
        ],
    )
    yield from _by_listener(metrics)
    yield from _of_receivers(metrics.received)


def _of_receivers(received: ReceiveCounts) -> Iterator[Family]:
    for name, text, counts in (
        ("received_profiles_total", "profiles of other senders that were stored",
         received.profiles),
        ("received_samples_total", "their samples", received.samples),
    ):  # fmt: skip
        yield f"kscope_{name}", text, [({"protocol": key}, n) for key, n in sorted(counts.items())]
    yield (
        "kscope_profiles_refused_total",
        "profiles of a type that no category takes, and requests that were refused, by reason",
        [
            ({"protocol": protocol, "reason": reason}, count)
            for (protocol, reason), count in sorted(received.refused.items())
        ],
    )


def _by_listener(metrics: Metrics) -> Iterator[Family]:
    connections: Sequence[Any] = metrics.connections
    tokens: Sequence[Any] = metrics.wrong_tokens
    for name, text, listeners, of in (
        ("connections_open", "open connections", connections, len),
        ("connections_limit", "the most connections that may be open", connections,
         attrgetter("total")),
        ("connections_refused_total", "connections closed at once, there were too many",
         connections, attrgetter("refused")),
        ("tokens_wrong_total", "requests with a token that is not declared", tokens,
         attrgetter("wrong")),
        ("tokens_expired_total", "requests with a token that has expired", tokens,
         attrgetter("expired")),
        ("tokens_throttled_total", "those of them that came too often from one address", tokens,
         attrgetter("throttled")),
    ):  # fmt: skip
        counts = [({"listener": each.listener}, of(each)) for each in listeners]
        yield f"kscope_{name}", text, counts
    for name, text, label, of in (
        ("http_answers_total", "answers by listener and status", "status", attrgetter("answers")),
        ("connections_ended_total", "connections that the server gave up", "reason",
         attrgetter("ended")),
    ):  # fmt: skip
        counts = [
            ({"listener": each.listener, label: str(value)}, count)
            for each in connections
            for value, count in sorted(of(each).items())
        ]
        yield f"kscope_{name}", text, counts
