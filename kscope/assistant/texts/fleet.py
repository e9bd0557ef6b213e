"""Answers about all data types and hosts: changes, the overview, markers."""

from collections.abc import Iterator, Sequence

from kscope.assistant.texts.cells import Part, Text, cell, line, moment, name, share, span, table
from kscope.query.across.changes_answer import Changes, Finding
from kscope.query.across.overview_answer import Overview, TableOverview
from kscope.query.answers.markers import Marker, Markers

_FEWER = "ask for one host, such as `hostname=NAME` in `filters`"


def changes(answer: Changes, page: str) -> Text:
    """Return the findings as sentences, the weightiest first."""
    facts = [
        f"compared with: {answer.baseline}, {span(answer.base_from, answer.base_to)}",
        f"unusual changes: {len(answer.findings)}; changes within the usual: {answer.usual}",
        f"data types that are read: {answer.read} of {answer.of}",
    ]
    parts = [
        Part("Changes, the weightiest first:", _findings(answer, page), "ask with a smaller `n`")
    ]
    if not answer.findings:
        parts = [Part("Nothing unusual.", ())]
    if answer.markers:
        told = (
            line(f"{each.seconds:+.0f} s: {name(each.message or each.kind)}{_on(each.host)}")
            for each in answer.markers
        )
        parts.append(Part("Markers, in seconds from the start of the range:", told))
    if answer.losses:
        lost = (line(cell(each.text)) for each in answer.losses)
        parts.append(Part("Losses of probes, so that rows are missing:", lost))
    why = [
        f"{each.table}: {each.why}" for each in answer.tables if each.state != "read" and each.why
    ]
    if why:
        parts.append(Part("Data types that are not read:", map(line, map(cell, why))))
    return Text(facts, parts)


def _on(host: str) -> str:
    return f", on {name(host)}" if host else ", on all hosts"


def _findings(answer: Changes, page: str) -> Iterator[str]:
    for number, each in enumerate(answer.findings, 1):
        yield from _finding(number, each, page)


def _finding(number: int, found: Finding, page: str) -> Iterator[str]:
    """Yield the sentence, the filters that select the change, its evidence, and its link."""
    yield line(f"{number}. {cell(found.text)} ({found.change}, in {found.table})")
    if found.filters:
        chosen = ", ".join(f'"{cell(f"{column}={value}")}"' for column, value in found.filters)
        yield line(f"   filters: {chosen}")
    yield from (line(f"   - {cell(each.text)}") for each in found.evidence)
    if page:
        yield line(f"   {page}{found.link}")


def overview(answer: Overview) -> Text:
    """Return a line for each data type with rows and for each host, and the events."""
    live = [each for each in answer.tables if each.rows]
    silent = [each.table for each in answer.tables if not each.rows]
    parts = [
        Part("Data types; `usual` is the range of a step's rate in `unit`:", _tables(live), _FEWER),
        Part("Hosts:", _hosts(answer), _FEWER),
    ]
    if answer.events:
        parts.append(Part("Stretches to ask `changes` about:", _events(answer)))
    if answer.markers:
        parts.append(Part("Markers:", _markers(answer.markers)))
    facts = [f"hosts: {len(answer.hosts)}; data types with rows: {len(live)}"]
    if silent:
        facts.append(f"without rows in the range: {', '.join(silent)}")
    return Text(facts, parts)


def _tables(found: Sequence[TableOverview]) -> Iterator[str]:
    heads = (
        "data type",
        "now",
        "usual",
        "unit",
        "total",
        "rows",
        "newest row",
        "most of it",
        "unusual",
    )
    rows = (
        (
            each.table,
            each.now_text,
            f"{each.low:.4g} to {each.high:.4g}",
            each.unit,
            each.total_text,
            each.rows,
            moment(each.last),
            ", ".join(f"{name(top.name)} {share(top.share)}" for top in each.on_top[:2]),
            "; ".join(stretch.text for stretch in each.unusual[:2]),
        )
        for each in found
    )
    return table(heads, rows)


def _hosts(answer: Overview) -> Iterator[str]:
    heads = ("host", "group", "distance", "rows", "newest row", "silent since", "lost")
    rows = (
        (
            each.host,
            each.group_name,
            each.distance,
            each.rows,
            moment(each.last),
            moment(each.silent_since),
            each.lost_text or each.lost,
        )
        for each in answer.hosts
    )
    return table(heads, rows)


def _events(answer: Overview) -> Iterator[str]:
    heads = ("from", "to", "hosts", "data types", "hosts are silent")
    rows = (
        (moment(e.start), moment(e.end), ", ".join(e.hosts), ", ".join(e.tables), e.silent)
        for e in answer.events
    )
    return table(heads, rows)


def _markers(found: Sequence[Marker]) -> Iterator[str]:
    rows = ((moment(e.time), e.host or "all hosts", e.kind, e.message) for e in found)
    return table(("time", "host", "kind", "message"), rows)


def markers(answer: Markers) -> Text:
    """Return the markers, the oldest first."""
    facts = [f"markers: {len(answer.markers)}"]
    if answer.more:
        facts.append("there are older ones: ask for an earlier range")
    return Text(facts, [Part("", _markers(answer.markers), "ask with a smaller `n`")])
