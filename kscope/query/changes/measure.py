"""The whole measure of "What changed here?", from readings to ranked findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kscope.query.changes.events import events
from kscope.query.changes.explain import explained
from kscope.query.changes.finding import Finding
from kscope.query.changes.judge import Judge
from kscope.query.changes.load import Group, Loads, Scales, excess, groups, loads_of, scales
from kscope.query.changes.presence import Presence, presences
from kscope.query.changes.reading import MOST_READINGS, MOST_WINDOWS, Host, Reading
from kscope.query.changes.silence import silences
from kscope.query.changes.usual import Usual, usual_of
from kscope.query.changes.whole import wholes


def changes(readings: Sequence[Reading], hosts: Sequence[Host] = ()) -> list[Finding]:
    """Return the changes, the unusual ones first, the weightiest first among them.

    All cells of a reading have the same number of earlier windows; a reading with fewer has the
    newest. Without any there is nothing to compare with, and no finding.
    """
    return Measure().changes(readings, hosts)


# A reading's table, column and kind, and the column of its processes.
_Name = tuple[str, str, str, str]


@dataclass(slots=True)
class _Judged:
    """A reading made ready for what was known of its hosts, and its findings at some loads."""

    reading: Reading
    presences: Mapping[str, object]
    usual: Usual
    own: Scales
    groups: Sequence[Group]
    loads: Mapping[Group, object] = field(default_factory=dict)
    found: list[Finding] | None = None


class Measure:
    """The measure of a question that is asked again as more is read.

    It keeps the findings of a reading while its hosts and the loads of its processes are the same.
    """

    def __init__(self) -> None:
        self._judged: dict[_Name, _Judged] = {}

    def changes(self, readings: Sequence[Reading], hosts: Sequence[Host] = ()) -> list[Finding]:
        """Return what the function of this name does."""
        readings = readings[:MOST_READINGS]
        count = max((len(cell.earlier) for each in readings for cell in each.cells), default=0)
        count = min(count, MOST_WINDOWS)
        heard = presences(readings, hosts, count)
        found = silences(heard.values()) if count else []
        ready = [each for each in (self._ready(one, heard) for one in readings) if each.usual.cells]
        loads = loads_of([(each.usual, each.own) for each in ready])
        for each in ready:
            found += _findings(each, loads)
        return events(found)

    def _ready(self, reading: Reading, heard: Mapping[str, Presence]) -> _Judged:
        name = (reading.table, reading.column, reading.kind, reading.by)
        hosts = {cell.host for cell in reading.cells}
        facts = {host: _facts(heard[host], reading.table) for host in hosts}
        kept = self._judged.get(name)
        if kept is None or kept.reading is not reading or kept.presences != facts:
            usual = usual_of(reading, heard)
            kept = self._judged[name] = _judged(reading, facts, usual)
        return kept


def _judged(reading: Reading, facts: Mapping[str, object], usual: Usual) -> _Judged:
    of_process = groups(usual)
    return _Judged(reading, facts, usual, scales(usual, of_process), [*of_process])


def _facts(presence: Presence, table: str) -> object:
    """Return all that a reading of the table depends on."""
    return presence.heard, presence.earlier, presence.lost.get(table)


def _findings(judged: _Judged, loads: Loads) -> list[Finding]:
    # Those that say their own load need no other.
    mine = {group: loads.of(group) for group in judged.groups if group not in judged.own}
    if judged.found is None or judged.loads != mine:
        judged.loads, judged.found = mine, _of_reading(judged.usual, judged.own, loads)
    return judged.found


def _of_reading(usual: Usual, own: Scales, loads: Loads) -> list[Finding]:
    beyond = excess(usual, own, loads)
    judge = Judge(usual, beyond)
    whole = wholes(usual, own)
    # Where all events are longer, it is not that each threshold has changed.
    taken = [at for each in whole if each.kind == "lengths" for at in each.cells]
    places = explained(usual, beyond, taken)
    return [*map(judge.whole, whole), *map(judge.place, places)]
