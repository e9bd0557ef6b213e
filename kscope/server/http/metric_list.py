"""Every metric of /metrics, and the text of its exposition.

The reference page is made from this list, and the answer of a server as well, so no metric is
without its line there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

PREFIX = "kscope_"
# The series of a histogram, by the end of their names.
PARTS = ("_bucket", "_sum", "_count")

Labels = dict[str, str]
# Its name, its help, and its values by their labels. Each part of a histogram is one.
Family = tuple[str, str, Sequence[tuple[Labels, int | float]]]
Families = Sequence[Family]


class Kind(StrEnum):
    """The types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Over(StrEnum):
    """The value of several processes of a server, from the values of each."""

    SUM = "sum"
    # Each sees the same, or the largest one counts.
    MOST = "most"


@dataclass(frozen=True)
class Metric:
    """One metric. `labels` has the meaning of each; `only` says which servers have it."""

    name: str
    help: str
    kind: Kind = Kind.GAUGE
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    over: Over = Over.SUM
    only: str = ""

    def of(self, value: float) -> Family:
        """Return the family of a metric without labels."""
        return self.family([({}, value)])

    def family(self, samples: Sequence[tuple[Labels, int | float]]) -> Family:
        return self.name, self.help, samples

    def histogram(
        self, bounds: Sequence[float], counts: Sequence[int], total: float
    ) -> list[Family]:
        """Return the families of a histogram; `counts` has one more than `bounds`, not added up."""
        below = 0
        buckets: list[tuple[Labels, int | float]] = []
        for bound, count in zip((*map(_number, bounds), "+Inf"), counts, strict=True):
            below += count
            buckets.append(({"le": bound}, below))
        series: Sequence[Sequence[tuple[Labels, int | float]]] = (
            buckets,
            [({}, total)],
            [({}, below)],
        )
        return [
            (f"{self.name}{part}", self.help, each)
            for part, each in zip(PARTS, series, strict=True)
        ]


def _counter(name: str, text: str, labels: Mapping[str, str] | None = None, **more: Any) -> Metric:
    return Metric(f"{PREFIX}{name}", text, Kind.COUNTER, labels or {}, **more)


def _gauge(name: str, text: str, labels: Mapping[str, str] | None = None, **more: Any) -> Metric:
    return Metric(f"{PREFIX}{name}", text, Kind.GAUGE, labels or {}, **more)


_LISTENER = {"listener": "`ingest` or `read`"}
_TABLE = {"category": "the category's table"}
_HOUSE = "read from the database every 15 seconds"

INFO = _gauge(
    "build_info", "Always 1; the label says the version.", {"version": ""}, over=Over.MOST
)

# Rows that come in.
ROWS = _counter("rows_stored_total", "Rows committed.")
BATCHES = _counter("batches_stored_total", "Batches committed.")
DUPLICATES = _counter("batches_duplicate_total", "Batches that were stored already.")
FAILURES = _counter("batches_failed_total", "Batches that could not be stored.")
OVER_STACKS = _counter(
    "rows_over_stack_limit_total", "Rows whose new stack was beyond new_stacks_per_hour."
)
OVER_STRINGS = _counter(
    "rows_over_string_limit_total", "Rows with a new string beyond new_strings_per_hour."
)
COMMIT = Metric(
    f"{PREFIX}commit_duration_seconds",
    "Time of each transaction that stored batches.",
    Kind.HISTOGRAM,
)
RECEIVED = _counter("received_bytes_total", "Bytes of bodies, as sent.")
PROFILES = _counter(
    "received_profiles_total",
    "Profiles of other senders that were stored.",
    {"protocol": "`otlp` or `pyroscope`"},
)
SAMPLES = _counter(
    "received_samples_total", "Their samples.", {"protocol": "`otlp` or `pyroscope`"}
)

# The queue.
WAITING = _gauge("rows_waiting", "Rows that wait for a commit.")
WAITING_LIMIT = _gauge("rows_waiting_limit", "The most rows that may wait; further ones get 503.")
WAITING_AGE = _gauge(
    "oldest_waiting_seconds", "Age of the batch that waits longest for its commit.", over=Over.MOST
)
MEMORY = _gauge("bodies_bytes", "Memory of bodies that arrive, are read, or wait.", over=Over.MOST)
MEMORY_LIMIT = _gauge(
    "bodies_limit_bytes", "The most of it; further bodies get 503.", over=Over.MOST
)

# Refusals.
REFUSED = _counter(
    "requests_refused_total",
    "Requests that were refused.",
    {**_LISTENER, "reason": "see [reasons](#reasons)"},
)
PROFILES_REFUSED = _counter(
    "profiles_refused_total",
    "Profiles of a type that no category takes, and requests of their senders that were refused.",
    {"protocol": "`otlp` or `pyroscope`", "reason": "`no category`, or as above"},
)
OVER_QUOTA = _counter(
    "over_quota_total",
    "Requests that were refused because the quota of a token was used up.",
    {"token": "its name", "quota": "`rows_per_minute` or `bytes_per_minute`"},
)
TOKENS_WRONG = _counter(
    "tokens_wrong_total", "Requests with a token that is not declared.", _LISTENER
)
TOKENS_EXPIRED = _counter(
    "tokens_expired_total", "Requests with a token that has expired.", _LISTENER
)
TOKENS_THROTTLED = _counter(
    "tokens_throttled_total",
    "Requests with wrong tokens that came too often from one address.",
    _LISTENER,
)

# Connections and answers.
ANSWERS = _counter("http_answers_total", "Answers.", {**_LISTENER, "status": "the status of HTTP"})
CONNECTIONS = _gauge("connections_open", "Open connections.", _LISTENER)
CONNECTIONS_LIMIT = _gauge("connections_limit", "The most that may be open.", _LISTENER)
CONNECTIONS_REFUSED = _counter(
    "connections_refused_total", "Connections closed immediately: there were too many.", _LISTENER
)
CONNECTIONS_ENDED = _counter(
    "connections_ended_total",
    "Connections that the server gave up.",
    {**_LISTENER, "reason": "the phase that lasted too long, or why there was no room"},
)

# The database.
READERS = _gauge("readers_busy", "Questions that the database is answering.")
WAL = _gauge("wal_bytes", "Size of the write-ahead log.", only="SQLite")
SHARDS_MISSING = _gauge(
    "shards_missing", "Shards that do not answer.", over=Over.MOST, only="a cluster of ClickHouse"
)
LOOKED = _gauge(
    "database_read_timestamp_seconds",
    "When the values below were read from the database, last without an error.",
)
SIZE = _gauge("database_bytes", "Size of the database on its disks.")
FREE = _gauge("database_free_bytes", "Free space of its disk.", only="SQLite and ClickHouse")
LAST_ROW = _gauge(
    "category_last_row_timestamp_seconds", "Time of the newest row, if there is one.", _TABLE
)
ROLLUP_LAG = _gauge(
    "rollup_lag_seconds", "Time since the oldest bucket was due that is not summed yet.", _TABLE
)
RETENTION_LAG = _gauge(
    "retention_lag_seconds",
    "How long rows are kept beyond their retention. ClickHouse removes whole days.",
    _TABLE,
)
RETENTION_RUN = _gauge(
    "retention_last_run_timestamp_seconds", "When rows were removed by age last."
)

# Hosts.
HOSTS = _gauge("hosts", "Hosts that have sent rows in the last day.")
HOSTS_SILENT = _gauge("hosts_silent", "Those of them that have sent none for `silent_after`.")
SILENT_AFTER = _gauge("hosts_silent_after_seconds", "The setting `silent_after`.", over=Over.MOST)

LOST = _gauge(
    "agent_lost_events",
    "Events and rows that agents say they lost in the last ten minutes, read every minute.",
    _TABLE,
)

# Processes.
WORKERS = _gauge("workers_running", "Processes that serve the listeners.", only="--workers")
RESTARTS = _counter(
    "workers_restarted_total", "Processes that ended and were started again.", only="--workers"
)

SECTIONS: Mapping[str, Sequence[Metric]] = {
    "The server": (INFO, WORKERS, RESTARTS),
    "Rows that come in": (
        ROWS, BATCHES, DUPLICATES, FAILURES, OVER_STACKS, OVER_STRINGS, COMMIT, RECEIVED, PROFILES,
        SAMPLES,
    ),
    "The queue": (WAITING, WAITING_LIMIT, WAITING_AGE, MEMORY, MEMORY_LIMIT),
    "Refusals": (
        REFUSED, PROFILES_REFUSED, OVER_QUOTA, TOKENS_WRONG, TOKENS_EXPIRED, TOKENS_THROTTLED,
    ),
    "Connections and answers": (
        ANSWERS, CONNECTIONS, CONNECTIONS_LIMIT, CONNECTIONS_REFUSED, CONNECTIONS_ENDED,
    ),
    "The database": (
        READERS, WAL, SHARDS_MISSING, LOOKED, SIZE, FREE, LAST_ROW, ROLLUP_LAG, RETENTION_LAG,
        RETENTION_RUN,
    ),
    "Hosts": (HOSTS, HOSTS_SILENT, SILENT_AFTER, LOST),
}  # fmt: skip
METRICS = {metric.name: metric for section in SECTIONS.values() for metric in section}


def is_counter(family: str) -> bool:
    """Return whether the values of a family only grow."""
    return family.endswith(("_total", *PARTS))


def takes_most(family: str) -> bool:
    """Return whether the value of several processes is the largest of theirs, and not the sum."""
    metric = METRICS.get(family)
    return metric is not None and metric.over is Over.MOST


def exposition(families: Iterable[Family]) -> str:
    """Return the text that Prometheus reads."""
    return "\n".join(_lines(families)) + "\n"


def _lines(families: Iterable[Family]) -> Iterator[str]:
    named = ""
    for name, text, samples in families:
        base = _base(name)
        if base != named:
            yield from (f"# HELP {base} {text}", f"# TYPE {base} {_kind(base)}")
            named = base
        for labels, value in samples:
            listed = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels.items())
            yield f"{name}{{{listed}}} {value}" if listed else f"{name} {value}"


def _base(name: str) -> str:
    """Return the metric's name; that of a histogram has none of its series."""
    for part in PARTS:
        base = name.removesuffix(part)
        if base != name and base in METRICS:
            return base
    return name


def _kind(name: str) -> Kind:
    if name in METRICS:
        return METRICS[name].kind
    return Kind.COUNTER if is_counter(name) else Kind.GAUGE


def _number(bound: float) -> str:
    return f"{bound:g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
