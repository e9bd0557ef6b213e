"""One pass over what bpftrace printed: its maps, and the rows that its script printed."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from kscope.errors import KscopeError
from kscope.readers.reading.base import Line, ReadError, Reading, Skipped, Survey
from kscope.readers.reading.jsontext import NotJsonError, decoded
from kscope.readers.tools.clock import Clock
from kscope.readers.tools.map_rows import MapRows, fitness, misfit
from kscope.readers.tools.maps import LONGEST_MAP, Entry, Exit, Item, Moment, Printed
from kscope.readers.tools.printings import Printings
from kscope.readers.tools.tables import Table

# Words of a survey: the script printed rows; a map was cleared between two printings.
_ROWS, _SURVEYED, _CLEARED = "rows", "surveyed", "cleared "
_MOST_MAPS = 1000
# A script may print a time before each row.
_OBJECT = re.compile(r"\s*(?:\d\d:\d\d:\d\d\s+)?(\{.*)", re.DOTALL)
_MOST_REASONS = 20


class Lines(Protocol):
    """A parser of bpftrace's output."""

    def read(self, number: int, line: str) -> Iterator[Item]: ...

    def end(self) -> Iterator[Item]: ...


Parser = Callable[[Skipped], Lines]


@dataclass(slots=True)
class _Seen:
    """A map: its best fitness, and why its first entry does not fit."""

    fitness: int
    reason: str


@dataclass(slots=True)
class MapReading:
    """Reads with one of the parsers. `event` is the map to read, once it is known."""

    reading: Reading
    parser: Parser
    clock: Clock = field(default_factory=Clock)
    rows: MapRows = field(init=False)
    table: Table = field(init=False)
    printings: Printings = field(init=False)
    event: str = ""
    objects: int = 0

    def __post_init__(self) -> None:
        facts = self.reading.survey.facts
        cleared = {each.removeprefix(_CLEARED) for each in facts if each.startswith(_CLEARED)}
        self.rows = MapRows(self.reading)
        self.table = Table(self.reading, self.clock)
        self.printings = Printings(self.reading.options.printed, cleared)
        asked = self.reading.options.event
        self.event = f"@{asked.removeprefix('@')}" if asked else self.reading.survey.event

    def items(self) -> Iterator[Item]:
        """Yield the items of the recording; the clock has the time of the last one."""
        parser = self.parser(self.reading.skipped)
        for number, line in self.reading.lines(LONGEST_MAP):
            for item in parser.read(number, line):
                if isinstance(item, Moment):
                    self.clock.read(item.text)
                elif isinstance(item, Exit):
                    self.printings.exit()
                else:
                    yield item
        yield from parser.end()

    def lines(self) -> Iterator[Line]:
        """Yield rows: those that the script printed, else those of the chosen map."""
        facts = self.reading.survey.facts
        # Without a survey, as in a pipe, rows may still come.
        printed = not self.reading.options.event and (_ROWS in facts or _SURVEYED not in facts)
        for item in self.items():
            try:
                yield from self._rows(item, printed=printed)
            except ReadError as error:
                # A new reading would not know what was printed of the maps before.
                self.reading.leave_out(error)

    def _rows(self, item: Item, *, printed: bool) -> Iterator[Line]:
        if isinstance(item, Entry):
            if not (self.table.layout or self.objects) or not printed:
                yield from self._entry(item)
        elif isinstance(item, Printed) and printed:
            yield from self._printed(item)

    def _entry(self, entry: Entry) -> Iterator[Line]:
        if not self.event and _SURVEYED not in self.reading.survey.facts:
            self.event = entry.name if fitness(entry, self.rows) else ""
        if entry.name == self.event:
            line = self.rows.line(entry, self.printings.new(entry), self.clock.at)
            if line:
                yield line

    def _printed(self, item: Printed) -> Iterator[Line]:
        found = _OBJECT.match(item.text)
        if found:
            self.objects += 1
            yield Line(item.number, _object(item.number, found[1]), self.clock.at)
        else:
            yield from self.table.read(item.number, item.text)

    def survey(self) -> Survey:
        """Return the map to read, and what is known of the printings. Raises ReadError."""
        seen: dict[str, _Seen] = {}
        printed = 0
        for item in self.items():
            if isinstance(item, Printed):
                printed += sum(1 for _ in self._printed(item))
                continue
            assert isinstance(item, Entry)
            self._note(seen, item)
        totals = self.printings.end()
        rows = bool(printed) and not self.event
        event = "" if rows else self.event or self._chosen(seen)
        self._say(seen, event, totals)
        facts = {_SURVEYED, *(f"{_CLEARED}{name}" for name in self.printings.cleared)}
        return Survey(self.clock.at, event, facts=frozenset(facts | ({_ROWS} if rows else set())))

    def _note(self, seen: dict[str, _Seen], entry: Entry) -> None:
        self.printings.new(entry)
        fits = fitness(entry, self.rows)
        if entry.name not in seen:
            seen[entry.name] = _Seen(fits, "" if fits else misfit(entry, self.rows))
        seen[entry.name].fitness = max(seen[entry.name].fitness, fits)
        if len(seen) > _MOST_MAPS:
            raise ReadError(entry.number, f"{entry.name} is behind more than {_MOST_MAPS} maps")

    def _chosen(self, seen: dict[str, _Seen]) -> str:
        best = max((each.fitness for each in seen.values()), default=0)
        if best:
            return next(name for name, each in seen.items() if each.fitness == best)
        reasons = [each.reason for each in seen.values()][:_MOST_REASONS]
        table = self.reading.category.table
        raise KscopeError(
            f"no map and no printed line fits {table}: {'; '.join(reasons) or 'there is no map'}. "
            "--event @NAME chooses a map, --keys names the columns of its keys"
        )

    def _say(self, seen: dict[str, _Seen], event: str, totals: list[str]) -> None:
        reading = self.reading
        if event and event not in seen:
            names = ", ".join(seen) or "none"
            raise KscopeError(f"--event {event}: the recording has no such map; it has {names}")
        others = [name for name, each in seen.items() if name != event and each.fitness]
        if others and not reading.options.event:
            read = f"{event} is read" if event else "the printed rows are read"
            reading.notice(f"{read}, not {', '.join(others)}; choose a map with --event")
        if event in totals and not reading.options.printed:
            reading.notice(
                f"{event} is printed several times and never falls, so its numbers are taken as "
                "totals since the start; if the script clears it, say --printed increases"
            )


def _object(number: int, text: str) -> dict[str, object]:
    try:
        row = decoded(text)
    except NotJsonError as error:
        raise ReadError(number, f"prints a text that is not JSON: {error}") from None
    assert isinstance(row, dict)
    return row
