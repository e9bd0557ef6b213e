"""The page on metrics, from the list that /metrics is made from."""

from collections.abc import Iterator

from kscope.generate.reference import table
from kscope.server.http.metric_list import SECTIONS, Metric
from kscope.server.http.refusals import REASONS

_HEAD = (
    "# Metrics",
    "",
    "`/metrics` of either listener has them, in the text format of Prometheus.",
    "[Running](../running.md#monitoring) says how to scrape, and which alert rules there are.",
    "Labels have a bounded number of values: none has the name of a host. With `--workers` every",
    "worker answers for all of them.",
)
_DATABASE = (
    "Apart from the first three they are read every 15 seconds, whatever the number of scrapes,",
    "from the ends of tables and from notes: never by a scan. Until then they are missing.",
)
_HISTOGRAM = "A histogram has the series `NAME_bucket`, `NAME_sum` and `NAME_count`."


def metrics_reference() -> str:
    return "\n".join([*_HEAD, *_sections(), ""])


def _sections() -> Iterator[str]:
    for title, metrics in SECTIONS.items():
        yield from ("", f"## {title}", "")
        if title == "The database":
            yield from (*_DATABASE, "")
        yield from table(("metric", "type", "labels", "meaning", "only with"), map(_row, metrics))
    yield from ("", _HISTOGRAM, "", "## Reasons", "", "The label `reason` of refusals.", "")
    yield from table(("reason", "meaning"), ((f"`{name}`", text) for name, text in REASONS.items()))


def _row(metric: Metric) -> tuple[str, ...]:
    labels = (f"`{name}`: {text}" if text else f"`{name}`" for name, text in metric.labels.items())
    return f"`{metric.name}`", metric.kind, "; ".join(labels), metric.help, metric.only
