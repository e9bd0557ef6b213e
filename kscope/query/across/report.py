"""The answer to `changes`, from the tables that are read: the measure, put into words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kscope.declare.model import HOSTNAME, Category
from kscope.query.across.baselines import BASELINE, beside, range_of
from kscope.query.across.changes_answer import (
    Changes,
    Evidence,
    Finding,
    HostLoss,
    HostPart,
    NearMarker,
    ReadTable,
)
from kscope.query.across.hearing import Heard, heard, lost_parts
from kscope.query.across.links import page_link
from kscope.query.across.losses import Loss
from kscope.query.across.question import AskedOfAll, TableScope
from kscope.query.across.readings import TableReading
from kscope.query.across.sentences import Teller
from kscope.query.across.ticket import ticket
from kscope.query.across.windows import LEAST_WINDOWS, Baseline
from kscope.query.answers.markers import TABLE as MARKERS
from kscope.query.answers.markers import Marker
from kscope.query.answers.meta import Notice
from kscope.query.answers.quality import AGENT
from kscope.query.changes import finding
from kscope.query.changes.measure import Measure
from kscope.query.changes.reading import Host
from kscope.query.parse.timerange import TimeRange

# Tables that tell about others, and have no usual.
NOT_READ = (MARKERS, AGENT)
_MOST_EVIDENCE = 8


def is_read(category: Category) -> bool:
    """Return whether a table is compared; the rows of a union are those of its members."""
    return category.table not in NOT_READ and not category.union


@dataclass(frozen=True)
class Found:
    """Everything that is read so far; `failed` says why a table is not."""

    read: Mapping[str, TableReading]
    failed: Mapping[str, str]
    markers: Sequence[Marker]
    losses: Sequence[Loss]


@dataclass(frozen=True)
class Report:
    """The answer takes processor time: make it in a thread."""

    asked: AskedOfAll
    baseline: Baseline
    wanted: Sequence[TableScope]
    found: Found
    measure: Measure

    @property
    def span(self) -> TimeRange:
        return self.asked.range

    @cached_property
    def hosts(self) -> list[Heard]:
        return heard(self.found.read.values(), self.span.start, self.span.end)

    @cached_property
    def lost(self) -> Mapping[str, Mapping[str, float]]:
        return lost_parts(self.found.read, self.found.losses)

    @cached_property
    def markers(self) -> list[Marker]:
        """The markers of the hosts that are asked about, and of all hosts."""
        if not any(name.startswith(HOSTNAME.name) for name, _ in self.asked.filters):
            return list(self.found.markers)
        hosts = {"", *(each.host for each in self.hosts)}
        return [each for each in self.found.markers if each.host in hosts]

    @cached_property
    def teller(self) -> Teller:
        since = {each.host: each.last or self.span.start for each in self.hosts if each.silent}
        names = [each.host for each in self.hosts]
        return Teller(self.found.read, names, self.span.end - self.span.start, since)

    def answer(self, *, done: bool, took: float) -> Changes:
        readings = [each for table in self.found.read.values() for each in table.readings]
        ranked = self.measure.changes(readings, [self._host(each) for each in self.hosts])
        told = [self._finding(each) for each in ranked if each.unusual][: self.asked["n"]]
        usual = [each for each in ranked if not each.unusual]
        base = range_of(self.baseline, self.span)
        return Changes(
            start=self.span.start,
            end=self.span.end,
            base_from=base.start,
            base_to=base.end,
            baseline=self.asked[BASELINE.name],
            findings=told,
            more=[self._finding(each) for each in usual[: self.asked["n"]]],
            usual=len(usual),
            tables=[self._table(each, done=done) for each in self.asked.tables],
            by_host=_by_host(told),
            markers=[self._marker(each) for each in self.markers],
            losses=[HostLoss(e.host, e.table, e.lost, e.text) for e in self.found.losses],
            text=ticket(self.span, told, self.markers, self.found.losses),
            done=done,
            read=len(self.found.read),
            of=len(self.wanted),
            elapsed_ms=took,
            notices=self._notices(done=done),
        )

    def _host(self, host: Heard) -> Host:
        length = self.span.end - self.span.start
        until = ((host.last or self.span.start) - self.span.start) / length if host.silent else 1.0
        return Host(host.host, host.heard, host.earlier, until, self.lost.get(host.host, {}))

    def _finding(self, found: finding.Finding) -> Finding:
        told = self.teller.tell(found)
        table = self.found.read.get(found.table)
        ratio = told.now / told.before if told.before > 0 else None
        filters = self._filters(found)
        return Finding(
            table=found.table,
            prettyname=table.view.category.prettyname if table else "",
            kind=found.kind,
            unusual=found.unusual,
            lasting=found.lasting >= 0.6,
            change=found.change,
            hosts=list(found.hosts),
            process=found.process or "",
            column=found.column,
            name=found.name or "",
            unit=told.unit.name,
            before=told.before,
            now=told.now,
            low=told.low,
            high=told.high,
            before_text=told.before_text,
            now_text=told.now_text,
            factor=found.factor if found.factor is not None else ratio,
            part=found.part,
            sentence=told.sentence,
            text=told.text,
            filters=filters,
            link=self._link(found, filters),
            evidence=[self._evidence(each) for each in _distinct(found)],
        )

    def _evidence(self, found: finding.Finding) -> Evidence:
        table = self.found.read.get(found.table)
        name = table.view.category.prettyname if table else ""
        text = self.teller.tell(found).text
        return Evidence(found.table, name, text, self._link(found, self._filters(found)))

    def _filters(self, found: finding.Finding) -> list[tuple[str, str]]:
        table = self.found.read.get(found.table)
        filters: list[tuple[str, str]] = []
        if len(found.hosts) == 1:
            filters.append(("hostname", found.hosts[0]))
        elif found.hosts and len(found.hosts) < len(self.hosts):
            filters.append(("hostname__in", ",".join(found.hosts)))
        if found.process is not None and found.by:
            filters.append((found.by, found.process))
        if table and found.name is not None:
            view = table.view
            if view.stack and found.column == view.stack.name:
                filters.append((f"{found.column}__has", found.name))
            elif not view.histogram or found.column != view.histogram.name:
                filters.append((found.column, found.name))
        return filters

    def _link(self, found: finding.Finding, filters: Sequence[tuple[str, str]]) -> str:
        table = self.found.read.get(found.table)
        own = [each for each in self.asked.filters if each[0] not in dict(filters)]
        if table is None:
            return page_link("", self.span, [*own, *filters])
        base = beside(self.baseline, self.span)
        view = ("compare" if base else "hosts") if table.view.stack else "charts"
        shown = base if view == "compare" else None
        return page_link(found.table, self.span, [*own, *filters], view, shown)

    def _table(self, table: TableScope, *, done: bool) -> ReadTable:
        category = table.category
        read = self.found.read.get(category.table)
        if category.union:
            why = "its members are read"
        elif category.table in NOT_READ:
            why = "told beside the others, not compared"
        elif table.inactive:
            why = table.inactive[0].detail
        elif category.table in self.found.failed:
            why = self.found.failed[category.table]
        elif read is None:
            why = "not read before the deadline" if done else ""
            return ReadTable(category.table, category.prettyname, 0, "waiting", why)
        elif not read.rows and not read.looks.windows.count:
            why = "no rows"
        else:
            return ReadTable(
                category.table, category.prettyname, read.rows, "read", self._too_new(read)
            )
        return ReadTable(category.table, category.prettyname, 0, "inactive", why)

    def _too_new(self, read: TableReading) -> str:
        if self.baseline.hosts or read.looks.windows.count >= LEAST_WINDOWS or not read.rows:
            return ""
        return "nothing to compare with: the rows begin too late"

    def _marker(self, marker: Marker) -> NearMarker:
        seconds = (marker.time - self.span.start) / 10**6
        return NearMarker(marker.time, marker.host, marker.kind, marker.message, seconds)

    def _notices(self, *, done: bool) -> list[Notice]:
        missing = len(self.wanted) - len(self.found.read) - len(self.found.failed)
        notices = []
        if done and missing:
            text = f"{missing} of {len(self.wanted)} data types were not read before the deadline."
            notices.append(Notice("warning", text))
        said = {text for each in self.found.read.values() for text in each.looks.now.plan.notices}
        return [*notices, *(Notice("warning", text) for text in sorted(said))]


def _distinct(found: finding.Finding) -> list[finding.Finding]:
    """Return the evidence, of each column of a table the weightiest."""
    kept = {(found.table, found.column): found}
    for each in found.evidence:
        kept.setdefault((each.table, each.column), each)
    return [*kept.values()][1 : _MOST_EVIDENCE + 1]


def _by_host(findings: Sequence[Finding]) -> list[HostPart]:
    parts: defaultdict[str, float] = defaultdict(float)
    for each in findings:
        for host in each.hosts:
            parts[host] += min(each.part, 1.0) / len(each.hosts)
    whole = sum(parts.values())
    listed = [HostPart(host, part / whole) for host, part in parts.items() if whole]
    return sorted(listed, key=lambda each: (-each.part, each.host))
