"""One line an event: the same change elsewhere, or another sign of it, is no second."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import log2, sqrt

from kscope.query.changes.finding import Finding

# Factors within this power of 2 are the same.
_ALIKE = 0.5
# Two changes are the same if they are this much of each other.
_SAME = 0.8
_MOST_EVIDENCE = 20


def events(found: Iterable[Finding]) -> list[Finding]:
    """Return a finding for each event, the unusual ones first, the weightiest first among them."""
    heads = [*map(_narrowest, _merged(_across_hosts(found)))]
    return sorted(heads, key=lambda each: (not each.unusual, -_weight(each)))


def _weight(event: Finding) -> float:
    """Return the rank of an event: one that several data types show is the likelier cause."""
    tables = {each.table for each in (event, *event.evidence)}
    return event.rank * sqrt(len(tables))


def _across_hosts(found: Iterable[Finding]) -> list[Finding]:
    """Make one finding of the same change on several hosts."""
    same: defaultdict[tuple[object, ...], list[Finding]] = defaultdict(list)
    for each in found:
        where = (each.table, each.column, each.kind, each.process, each.name)
        note = "" if each.other_name else each.note
        same[*where, each.z > 0, each.unusual or bool(each.other_name), note].append(each)
    return [_together(part) for each in same.values() for part in _parted(each)]


def _parted(same: Sequence[Finding]) -> list[list[Finding]]:
    """Part what has a new name from the others, unless it has one on most hosts."""
    renamed = [each for each in same if each.other_name]
    if not renamed:
        return [[*same]]
    if 2 * len(renamed) >= len(same):
        note, name = renamed[0].note, renamed[0].other_name
        return [[replace(each, unusual=False, note=note, other_name=name) for each in same]]
    return [renamed, [each for each in same if not each.other_name]]


def _together(same: Sequence[Finding]) -> Finding:
    first = max(same, key=lambda each: each.rank)
    if len(same) == 1:
        return first
    return replace(
        first,
        hosts=tuple(sorted({host for each in same for host in each.hosts})),
        before=sum(each.before for each in same),
        now=sum(each.now for each in same),
        low=sum(each.low for each in same),
        high=sum(each.high for each in same),
        part=sqrt(sum(each.part**2 for each in same)),
        rank=sqrt(sum(each.rank**2 for each in same)),
    )


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """Make evidence of what is on the same hosts, in the same process or over all of them."""
    ordered = sorted(found, key=lambda each: (not each.unusual, -each.rank, repr(each)))
    heads: list[Finding] = []
    for each in ordered:
        at = next((at for at, head in enumerate(heads) if _same_event(head, each)), None)
        if at is None:
            heads.append(each)
        elif not _said(heads[at], each):
            heads[at] = replace(heads[at], evidence=(*heads[at].evidence, each))
    return heads


def _narrowest(event: Finding) -> Finding:
    """Let the smallest thing with the same change speak: a disk before the writes of all."""
    alike = [event, *(each for each in event.evidence if _elsewhere(event, each))]
    first = min(alike, key=lambda each: each.before)
    if first is event:
        return event
    others = (replace(event, evidence=()), *event.evidence)
    evidence = tuple(each for each in others if each is not first)
    return replace(first, rank=max(first.rank, event.rank), evidence=evidence)


def _elsewhere(event: Finding, other: Finding) -> bool:
    """Whether another column of the table has the same change of the same hosts."""
    if (event.table, event.kind, event.hosts) != (other.table, other.kind, other.hosts):
        return False
    if (event.column, event.by) == (other.column, other.by):
        return False
    changes = event.now - event.before, other.now - other.before
    return min(changes) * max(changes) > 0 and _SAME < changes[1] / changes[0] < 1 / _SAME


def _said(head: Finding, other: Finding) -> bool:
    """Whether a histogram of the event is there already, at another threshold, or enough is."""
    if len(head.evidence) == _MOST_EVIDENCE:
        return True
    return any(
        (each.table, each.column, each.by, each.process, each.hosts)
        == (other.table, other.column, other.by, other.process, other.hosts)
        and each.lengths
        for each in (head, *head.evidence)
    )


def _same_event(head: Finding, other: Finding) -> bool:
    if not (head.unusual and other.unusual) or "silent" in (head.kind, other.kind):
        return False
    if head.factor is not None and other.factor is not None:
        return _near(head, other)
    if not {*head.hosts} & {*other.hosts}:
        return _same_path(head, other)
    if (head.factor is not None or other.factor is not None) and _near(head, other):
        return True
    # A process without a name may be any.
    return (
        other.process == head.process
        or not head.process
        or not other.process
        or head.by != other.by
    )


def _same_path(head: Finding, other: Finding) -> bool:
    """Whether another host has the same change, which is deepest at another frame there."""
    where = (head.table, head.column, head.process, head.z > 0)
    if where != (other.table, other.column, other.process, other.z > 0):
        return False
    return head.name in other.path or other.name in head.path


def _ratio(finding: Finding) -> float:
    if finding.factor is not None:
        return finding.factor
    return finding.now / finding.before if finding.before > 0 else 0.0


def _near(one: Finding, other: Finding) -> bool:
    """Whether both are the same number of times as much."""
    ratios = _ratio(one), _ratio(other)
    return min(ratios) > 0 and abs(log2(ratios[0]) - log2(ratios[1])) < _ALIKE
