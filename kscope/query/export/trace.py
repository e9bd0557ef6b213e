"""Rows as a trace for https://ui.perfetto.dev and chrome://tracing.

The format is Chrome's Trace Event Format, as https://perfetto.dev/docs/getting-started/other-formats
describes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from kscope.declare.charts.base import grouping
from kscope.declare.model import HOSTNAME, TIME, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.question import TableColumn
from kscope.query.export.base import TableFormat
from kscope.query.export.trace_tracks import Track, Tracks

# A viewer needs some seconds for so many. They are sorted, so all of them are held.
_MOST = 100_000
_MOST_BYTES = 64 * 1024 * 1024
# Characters of a text beside a slice.
_LONGEST = 1000
_NAME_PARTS = 2
_LONGEST_NAME = 200


class TraceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A slice (`X`) with its length, an instant (`i`), or the name of a process or thread (`M`).

    Times are in microseconds since 1970.
    """

    name: str
    ph: Literal["X", "i", "M"]
    pid: int
    tid: int
    ts: int = 0
    dur: int | None = None
    s: Literal["t"] | None = None
    args: dict[str, Any] = {}


class Trace(msgspec.Struct, frozen=True):
    """A file for Perfetto. `otherData` has a note if rows are left out."""

    traceEvents: list[TraceEvent]  # noqa: N815 - the format's names
    displayTimeUnit: Literal["ms"]  # noqa: N815
    otherData: dict[str, str]  # noqa: N815


@dataclass(frozen=True, slots=True)
class _Event:
    """A row with its arguments as JSON; `length` is None if it is a moment."""

    start: int
    length: int | None
    track: Track
    name: str
    arguments: bytes

    @property
    def order(self) -> tuple[int, int]:
        """A slice comes before those within it."""
        return self.start, -(self.length or 0)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The places of columns with a meaning here; None where a category has no such column."""

    names: tuple[str, ...]
    time: int
    host: int | None
    process: int | None
    pid: int | None
    tid: int | None
    length: int | None
    text: int | None
    stack: int | None
    labels: tuple[int, ...]
    others: tuple[int, ...]

    @classmethod
    def of(cls, columns: Sequence[TableColumn]) -> "_Columns":
        names = [each.name for each in columns]
        declared = [each.of for each in columns if each.of]
        process = _place(names, "process") or _place(names, _name(grouping(declared)))
        host, time = _place(names, HOSTNAME.name), names.index(TIME.name)
        pid, tid = _place(names, "pid"), _place(names, "tid")
        tracks = (time, host, process, pid, tid)
        labels = _with_role(declared, Role.DIMENSION)
        return cls(
            tuple(names),
            *tracks,
            length=_place(names, _name(_lasting(declared))),
            text=_place(names, _name(next((c for c in declared if _tells(c)), None))),
            stack=_place(names, _name(next(iter(_with_role(declared, Role.STACK)), None))),
            labels=tuple(i for each in labels if (i := names.index(each.name)) not in tracks),
            others=tuple(i for i in range(len(names)) if i not in tracks),
        )

    def event(self, row: Sequence[Any]) -> _Event:
        """Return a row as an event: its time is that of its end."""
        end = row[self.time]
        length = None if self.length is None else max(0, round(row[self.length] or 0))
        host, process, pid, tid = (
            None if place is None else row[place]
            for place in (self.host, self.process, self.pid, self.tid)
        )
        track = Track(str(host or ""), str(process or ""), pid or 0, tid or 0)
        told = {self.names[i]: _shortened(row[i]) for i in self.others}
        start = end - (length or 0)
        return _Event(start, length, track, self._title(row), msgspec.json.encode(told))

    def _title(self, row: Sequence[Any]) -> str:
        """Return its path, the function that it was in, or its first labels, such as `sda read`."""
        parts = [str(row[i]) for i in self.labels if row[i]][:_NAME_PARTS]
        if self.text is not None and row[self.text]:
            parts = [str(row[self.text])]
        elif self.stack is not None and row[self.stack]:
            parts = [str(row[self.stack]).rpartition(";")[2]]
        return " ".join(parts)[:_LONGEST_NAME] or "row"


def _place(names: Sequence[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _name(column: Column | None) -> str:
    return column.name if column else ""


def _with_role(columns: Iterable[Column], role: Role) -> list[Column]:
    return [each for each in columns if each.type.role is role]


def _tells(column: Column) -> bool:
    """Return whether it is a text that few rows share, such as a path."""
    return column.type.role is Role.IDENTITY and column.type.storage is Storage.TEXT


def _lasting(columns: Iterable[Column]) -> Column | None:
    """Return the length of an event: one that every row has comes first."""
    lengths = [each for each in _with_role(columns, Role.VALUE) if each.unit == "us"]
    return min(lengths, key=lambda each: each.optional, default=None)


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}…"
    return value


@dataclass(slots=True)
class _Encoder:
    """Collects events until the end, when they are sorted."""

    columns: _Columns
    events: list[_Event] = field(default_factory=list)
    size: int = 0
    left_out: bool = False

    def rows(self, rows: Iterable[Sequence[Any]]) -> bytes:
        for row in rows:
            event = self.columns.event(row)
            self.size += len(event.arguments)
            if self.size > _MOST_BYTES:
                self.left_out = True
                break
            self.events.append(event)
        return b""

    def end(self) -> bytes:
        self.events.sort(key=lambda each: each.order)
        tracks = Tracks()
        lines = [
            _line(each, *tracks.place(each.track, each.start, each.length)) for each in self.events
        ]
        named = [msgspec.json.encode(TraceEvent(ph="M", **each)) for each in tracks.named()]
        whole = b",\n".join([*named, *lines])
        note = msgspec.json.encode(self._note())
        return b'{"traceEvents":[\n%b\n],"displayTimeUnit":"ms","otherData":%b}\n' % (whole, note)

    def _note(self) -> dict[str, str]:
        count = len(self.events)
        if not self.left_out and count < _MOST:
            return {}
        return {"note": f"only {count:,} rows are here, the first in the order that was asked for"}

    def close(self) -> None:
        self.events = []


def _line(event: _Event, pid: int, tid: int) -> bytes:
    name = msgspec.json.encode(event.name)
    kind = b'"i","s":"t"' if event.length is None else b'"X","dur":%d' % event.length
    form = b'{"name":%b,"ph":%b,"ts":%d,"pid":%d,"tid":%d,"args":%b}'
    return form % (name, kind, event.start, pid, tid, event.arguments)


FORMATS = (
    TableFormat(
        name="trace",
        media_type="application/json",
        ending="trace.json",
        help="rows as slices and moments of processes, for ui.perfetto.dev and chrome://tracing",
        encoder=lambda columns: _Encoder(_Columns.of(columns)),
        most=_MOST,
        answer=Trace,
        title="Trace for Perfetto",
    ),
)
