"""The paragraph for a ticket: the changes, the markers near them, the losses."""

from collections.abc import Iterable, Sequence

from kscope.query.across import amounts
from kscope.query.across.changes_answer import Finding, Words
from kscope.query.across.losses import Loss
from kscope.query.across.sentences import clock, named
from kscope.query.answers.markers import Marker
from kscope.query.parse.timerange import TimeRange, iso

_MOST_EVIDENCE = 3
_MOST_MARKERS = 5


def ticket(
    span: TimeRange, findings: Sequence[Finding], markers: Sequence[Marker], losses: Iterable[Loss]
) -> str:
    """Return sentences, each as its list in the answer has it, as one text."""
    texts = [_finding(each) for each in findings] or ["nothing unusual"]
    texts += _markers(span, markers)
    texts += [each.text for each in losses]
    return f"{_when(span)}: {'; '.join(texts)}."


def _when(span: TimeRange) -> str:
    start, end = iso(span.start)[:10], iso(span.end)[:10]
    day = "" if start == end else f"{end} "
    return f"{start} {clock(span.start)} to {day}{clock(span.end)} UTC"


def _finding(found: Finding) -> str:
    """Return the sentence with the first of its evidence; hosts that are the same come once."""
    on = found.text.partition(", ")[0] + ", "
    more = [each.text.removeprefix(on) for each in found.evidence[:_MOST_EVIDENCE]]
    return "; ".join([_continued(found.sentence), *more])


def _continued(sentence: Sequence[Words]) -> str:
    """Return a sentence that begins after the time, with `on db-2`."""
    text = "".join(words.text for words in sentence)
    return text if sentence[0].kind else text[:1].lower() + text[1:]


def _markers(span: TimeRange, markers: Iterable[Marker]) -> list[str]:
    """Say how long after each marker the range begins; one of several hosts comes once."""
    found: dict[tuple[int, str], list[str]] = {}
    for each in markers:
        hosts = found.setdefault((each.time, each.message or each.kind), [])
        hosts += [each.host] if each.host else []
    latest = sorted(found.items(), key=lambda each: abs(each[0][0] - span.start))[:_MOST_MARKERS]
    return [_marker(span.start - time, name, hosts) for (time, name), hosts in latest]


def _marker(after: int, name: str, hosts: Sequence[str]) -> str:
    away = amounts.duration(abs(after) / 10**6)
    when = f"{away} {'after' if after > 0 else 'before'}" if after else "at"
    on = "".join(words.text for words in named(hosts))
    return f"this begins {when} the marker '{name}'" + (f" on {on}" if on else "")
