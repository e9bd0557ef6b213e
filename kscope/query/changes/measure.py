"""The whole measure of "What changed here?", from readings to ranked findings."""

from collections.abc import Sequence

from kscope.query.changes.events import events
from kscope.query.changes.explain import explained
from kscope.query.changes.finding import Finding
from kscope.query.changes.judge import Judge
from kscope.query.changes.load import Group, Scales, excess, loads_of, scales
from kscope.query.changes.presence import presences
from kscope.query.changes.reading import MOST_READINGS, MOST_WINDOWS, Host, Reading
from kscope.query.changes.silence import silences
from kscope.query.changes.usual import Usual, usual_of
from kscope.query.changes.whole import wholes


def changes(readings: Sequence[Reading], hosts: Sequence[Host] = ()) -> list[Finding]:
    """Return the changes, the unusual ones first, the weightiest first among them.

    All cells of a reading have the same number of earlier windows; a reading with fewer has the
    newest. Without any there is nothing to compare with, and no finding.
    """
    readings = readings[:MOST_READINGS]
    count = max((len(cell.earlier) for each in readings for cell in each.cells), default=0)
    count = min(count, MOST_WINDOWS)
    heard = presences(readings, hosts, count)
    found = silences(heard.values()) if count else []
    ready = [(usual, scales(usual)) for each in readings if (usual := usual_of(each, heard)).cells]
    loads = loads_of(ready)
    for usual, own in ready:
        found += _of_reading(usual, own, loads)
    return events(found)


def _of_reading(usual: Usual, own: Scales, loads: dict[Group, float]) -> list[Finding]:
    beyond = excess(usual, own, loads)
    judge = Judge(usual, beyond)
    groups = wholes(usual, own)
    # Where all events are longer, it is not that each threshold has changed.
    taken = [at for each in groups if each.kind == "lengths" for at in each.cells]
    places = explained(usual, beyond, taken)
    return [*map(judge.whole, groups), *map(judge.place, places)]
