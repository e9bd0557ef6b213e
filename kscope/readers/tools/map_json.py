"""bpftrace -f json: a JSON object a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kscope.readers.reading.base import Skipped
from kscope.readers.reading.jsontext import NotJsonError, decoded
from kscope.readers.tools.clock import is_time
from kscope.readers.tools.maps import (
    LONGEST_TEXT,
    Entry,
    Exit,
    Item,
    Moment,
    Other,
    Printed,
    Stats,
    Value,
)
from kscope.readers.tools.slots import Bucket

_STATS = {"count", "average", "total"}
_MAPS = frozenset({"map", "hist", "stats", "tseries"})
# Printed with print(), or before and behind the maps.
_SILENT = frozenset(
    {"attached_probes", "lost_events", "value", "helper_error", "syscall", "error", "errorf"}
)


@dataclass(slots=True)
class JsonLines:
    """Reads lines; a line of text may come in several pieces."""

    skipped: Skipped
    _piece: str = ""

    def read(self, number: int, line: str) -> Iterator[Item]:
        """Yield what a line holds; count it if it is not bpftrace's."""
        if not line.strip():
            yield Exit()
            return
        kind, data = self._decoded(number, line)
        if kind in _MAPS and isinstance(data, dict):
            self._piece = "" if is_time(self._piece) else self._piece
            for name, value in data.items():
                yield from _entries(number, kind, name, value)
        elif kind == "printf" and isinstance(data, str):
            yield from self._printed(number, data)
        elif kind == "join" and isinstance(data, str):
            yield from self._printed(number, f"{data}\n")
        elif kind == "time" and isinstance(data, str):
            yield Moment(data)
            yield from self._printed(number, data)
        elif kind and kind not in _SILENT:
            self.skipped.add(number, "is of a type that is not known")

    def end(self) -> Iterator[Item]:
        """Yield the last line of text, if it has no end."""
        if self._piece:
            yield Printed(0, self._piece)

    def _decoded(self, number: int, line: str) -> tuple[str, Any]:
        try:
            found = decoded(line)
        except NotJsonError:
            found = None
        if not isinstance(found, dict):
            # Warnings come between the lines if both are in one file, and the last one may be cut.
            self.skipped.add(number, "is not a JSON object")
            return "", None
        return str(found.get("type")), found.get("data")

    def _printed(self, number: int, data: str) -> Iterator[Item]:
        *whole, self._piece = (self._piece + data).split("\n")
        for text in whole:
            yield Printed(number, text)
        if len(self._piece) > LONGEST_TEXT:
            self.skipped.add(number, f"ends a text of more than {LONGEST_TEXT >> 20} MiB")
            self._piece = ""


def _entries(number: int, kind: str, name: str, value: Any) -> Iterator[Entry]:
    if not _keyed(kind, value):
        yield Entry(number, name, None, _value(kind, value), ",", begins=True)
        return
    for place, (keys, each) in enumerate(value.items()):
        yield Entry(number, name, keys, _value(kind, each), ",", begins=place == 0)


def _keyed(kind: str, value: Any) -> bool:
    return isinstance(value, dict) and not (kind == "stats" and value.keys() == _STATS)


def _value(kind: str, value: Any) -> Value:
    if kind == "stats":
        return _stats(value)
    if kind == "tseries":
        return Other("time series")
    if isinstance(value, float):
        return Other("fractions")
    if kind == "hist" and isinstance(value, list):
        return tuple(map(_bucket, value)) if all(map(_is_bucket, value)) else Other("lists")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return Other("texts" if isinstance(value, str) else "lists")


def _stats(value: Any) -> Value:
    if isinstance(value, dict) and value.keys() == _STATS:
        count, total = value["count"], value["total"]
        if isinstance(count, int) and isinstance(total, int):
            return Stats(count, total)
    return Other("averages")


def _is_bucket(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(name, 0), int) for name in ("min", "max", "count")
    )


def _bucket(value: dict[str, int]) -> Bucket:
    return Bucket(value.get("min"), value.get("max"), value.get("count", 0))
