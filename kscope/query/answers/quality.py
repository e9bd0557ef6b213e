"""The data that is missing from a table's rows, as reported by the agents that sent them.

In addition to the data, agents send rows of the built-in category `agent`: losses by reason, frames
without a name, the binaries that they are in, the length of each interval. Shares are of the events
that did arrive.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa

from kscope.declare.model import HOSTNAME, Category, Column
from kscope.declare.types.base import Storage
from kscope.query.answers.binaries import (
    BROKEN,
    NAMELESS,
    STATE,
    Binary,
    sentence,
    worst_binaries,
)
from kscope.query.answers.meta import Notice
from kscope.query.answers.question import JsonAnswer, Question, Table
from kscope.query.parse.columns import value_of
from kscope.query.parse.filters import parse_filter
from kscope.query.parse.parameters import Asked
from kscope.query.parse.scope import Scope
from kscope.query.scan import union
from kscope.query.scan.labels import labels
from kscope.query.scan.measures import LEAST, MOST, ROWS, Measure, events_of, sum_of
from kscope.query.scan.read import summed
from kscope.query.scan.scan import Scan, columns, scan_of
from kscope.query.sql.conditions import Group, conditions
from kscope.store.reader import Reader
from kscope.store.schema.interning import text_hash
from kscope.store.sums.planner import Segment
from kscope.store.write.cardinality import OVER_STACKS, OVER_STRINGS

AGENT = "agent"
# Below these shares the picture is as good as whole.
_LEAST = 0.001
_LEAST_UNNAMED = 0.05
_LEAST_GAP = 0.05
# An agent sends one row a minute: longer ranges read rollups, which have no gaps.
_GAPS_WITHIN_US = 2 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class HostLoss:
    """A column of `agent` that counts a loss; the column `of`, or the events, is the whole."""

    column: str
    text: str
    of: str = "events"
    least: float = _LEAST


LOSSES = (
    HostLoss("lost_stacks_full", "of stacks were lost: the probe's stack map was full (--stacks)"),
    HostLoss(
        "lost_stacks_collided",
        "of stacks were lost to collisions in the probe's stack map (--stacks)",
    ),
    HostLoss("lost_stacks_other", "of stacks were lost"),
    HostLoss("lost_stacks_truncated", "of stacks are cut: deeper than --depth, at most 512"),
    HostLoss("lost_keys_full", "of events were not counted: the probe's map was full (--keys)"),
    HostLoss(
        "lost_starts_full", "of events were not seen: the map of things under way was full (--keys)"
    ),
    HostLoss("lost_events", "of events were lost on their way from the kernel"),
    HostLoss("lost_runs", "of events came while another BPF program ran on that CPU"),
    HostLoss(
        "lost_values",
        "of rows had a value that their column cannot store, or an interval had too many keys",
        of="row_count",
    ),
    HostLoss("dropped_rows", "of rows were dropped: the agent's spool was full", of="row_count"),
    HostLoss(
        "refused_rows", "of rows were refused by the server, and are kept aside", of="row_count"
    ),
    HostLoss(
        "raised_time", "of the time the threshold was raised, to bound the cost", of="elapsed"
    ),
    HostLoss("paused_time", "of the time the probe was paused, to bound its cost", of="elapsed"),
    HostLoss("frames_unknown", "of user frames have no name", of="frames", least=_LEAST_UNNAMED),
)


# The text that the server stores beyond a limit, and the reason that a reader sees.
_LIMITS = {
    Storage.STACK_ID: (
        OVER_STACKS,
        "of rows have no stack: the host sent more new stacks than new_stacks_per_hour",
    ),
    Storage.STRING_ID: (
        OVER_STRINGS,
        "of rows have no name in a column: the host sent more new ones than new_strings_per_hour",
    ),
}
_SUMMED = ("row_count", "frames", "elapsed", "lost_intervals", *(loss.column for loss in LOSSES))


class Lack(msgspec.Struct, frozen=True):
    """`share` (0 to 1) of what `reason` names is missing from the host's rows."""

    host: str
    column: str
    share: float
    count: int
    reason: str


class Quality(JsonAnswer, frozen=True):
    """The largest share first. `agents` is how many hosts' agents reported in the range.

    `binaries` are those in which most stacks broke, and most frames have no name: five of each.
    """

    table: str
    agents: int
    lacks: list[Lack]
    binaries: list[Binary]
    notices: list[Notice]

    def as_table(self) -> Table:
        lacks = [(each.host, each.share, each.count, each.reason) for each in self.lacks]
        rows = [(each.host, each.share, each.count, sentence(each)) for each in self.binaries]
        names = ["host", "share", "count", "reason"]
        kinds = dict.fromkeys(("host", "reason"), Storage.TEXT)
        return Table(names, [*lacks, *rows], kinds=kinds)


async def quality(reader: Reader, asked: Asked) -> Quality:
    hosts = (each for each in conditions(asked.scope.where) if each.column.name == "hostname")
    # Losses are of all events, also of those that a preset hides.
    scope = replace(asked.scope, where=Group(tuple(hosts)), presets=())
    table, agent = scope.category.table, reader.catalog.get(AGENT)
    lacks = await _over_limits(reader, scope)
    reports: dict[str, Counter[str]] = {}
    binaries: Sequence[Binary] = ()
    if agent is not None and agent.table != table:
        about = _about(agent, scope)
        reports = await _reports(reader, about)
        binaries = await worst_binaries(reader, about, _wholes(reports))
    if reports:
        events = await _counts(reader, scope, events_of(value_of(scope.category, "")))
        gaps = scope.range.end - scope.range.start <= _GAPS_WITHIN_US
        for host, report in reports.items():
            lacks += _lost(host, report, events.get(host, 0))
            lacks += _missing(host, report, gaps=gaps)
    lacks.sort(key=lambda lack: (-lack.share, lack.host, lack.column))
    return Quality(table, len(reports), lacks, list(binaries), [])


def _about(agent: Category, scope: Scope) -> Scope:
    """Return the scope of the agents' rows about a table's probe, or those of a union."""
    tables = json.dumps(union.tables_of(scope.category))
    probe = parse_filter(agent, "probe__in", tables)
    return Scope(agent, scope.range, Group((probe, scope.where)))


def _wholes(reports: Mapping[str, Counter[str]]) -> dict[str, int]:
    """Return the wholes for the shares of broken stacks and of nameless frames."""
    rows, frames, unknown = (
        sum(report[name] for report in reports.values())
        for name in ("row_count", "frames", "frames_unknown")
    )
    return {BROKEN: rows, NAMELESS: frames if unknown else 0}


async def _over_limits(reader: Reader, scope: Scope) -> list[Lack]:
    """List the rows that the server stored without their stack, or without a string."""
    lacks = []
    for column in scope.category.columns:
        text, reason = _LIMITS.get(column.type.storage, ("", ""))
        if not text or not await _is_stored(reader, text, column):
            continue
        beyond = parse_filter(scope.category, column.name, text)
        rows = await _counts(reader, replace(scope, where=Group((beyond, scope.where))), ROWS)
        if rows:
            whole = await _counts(reader, scope, ROWS)
            lacks += [
                Lack(host, column.name, count / whole[host], count, reason)
                for host, count in rows.items()
            ]
    return lacks


async def _is_stored(reader: Reader, text: str, column: Column) -> bool:
    """Return whether the text was ever stored: in most databases it was not."""
    stacks, strings = reader.schema.dictionaries.stack, reader.schema.dictionaries.string
    key = stacks.c.id if column.type.storage is Storage.STACK_ID else strings.c.hash
    return bool(await reader.fetch(sa.select(key).where(key == text_hash(text))))


async def _counts(reader: Reader, scope: Scope, measure: Measure) -> dict[str, int]:
    found = await _by_host(await scan_of(reader, scope), [measure])
    return {host: int(count or 0) for host, (count,) in found.items()}


async def _reports(reader: Reader, scope: Scope) -> dict[str, Counter[str]]:
    """Return the sums of each host's agent by column, and its number of `intervals`.

    They go from `began`, the start of the first, to `ended`, both in microseconds.
    """
    agent = scope.category
    # Rows about binaries are not intervals.
    intervals = parse_filter(agent, "state__ne", STATE)
    asked = replace(scope, where=Group((intervals, scope.where)))
    present = [column for name in _SUMMED if (column := agent.column(name))]
    short = scope.range.end - scope.range.start <= _GAPS_WITHIN_US
    scan = await scan_of(reader, asked, present, single_rows=short)
    measures = [
        Measure(_began, LEAST),
        Measure(lambda segment: sa.func.max(segment.table.c.time), MOST),
        ROWS,
        *(sum_of(column) for column in present),
    ]
    found = await _by_host(scan, measures)
    names = ["began", "ended", "intervals", *(column.name for column in present)]
    return {
        host: Counter(dict(zip(names, map(int, sums), strict=True))) for host, sums in found.items()
    }


def _began(segment: Segment) -> sa.ColumnElement[Any]:
    """Find the start of the first interval; a later row may report more than one interval."""
    columns = segment.table.c
    return sa.func.min(columns.time - columns.elapsed if "elapsed" in columns else columns.time)


async def _by_host(scan: Scan, measures: Sequence[Measure]) -> dict[str, Sequence[Any]]:
    found = await summed(scan, columns(HOSTNAME), measures)
    names = await labels(scan.reader, HOSTNAME, {key for (key,) in found})
    return {names[key]: sums for (key,), sums in found.items()}


def _lost(host: str, report: Counter[str], events: int) -> list[Lack]:
    lacks = []
    for loss in LOSSES:
        count = report[loss.column]
        whole = events if loss.of == "events" else report[loss.of]
        # Lost events are not among those that arrived; lost rows, frames and time are counted.
        share = count / max(1, whole + count if loss.of == "events" else whole)
        if count and share >= loss.least:
            lacks.append(Lack(host, loss.column, share, count, loss.text))
    return lacks


def _missing(host: str, report: Counter[str], *, gaps: bool) -> list[Lack]:
    """List the intervals that were lost, and the time that no interval covers."""
    lacks = []
    lost, intervals = report["lost_intervals"], report["intervals"]
    if lost:
        text = "of intervals were lost: the agent or the probe ended before they were read"
        lacks.append(Lack(host, "lost_intervals", lost / (intervals + lost), lost, text))
    covered = report["elapsed"]
    if gaps and intervals > 1 and covered:
        span = report["ended"] - report["began"]
        share = 1 - covered / span
        if share >= _LEAST_GAP:
            missed = round((span - covered) / (covered / intervals))
            text = "of the time is missing: the agent, or this probe, was not running"
            lacks.append(Lack(host, "elapsed", share, missed, text))
    return lacks


QUESTIONS = (
    Question(
        name="quality",
        help="The data missing from the rows, as reported by the agents that sent them.",
        parameters=(),
        ask=quality,
        answer=Quality,
    ),
)
