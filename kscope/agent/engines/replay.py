"""Recorded intervals, and the engine that plays them: for demos, and hosts without BPF.

A recording is newline-delimited JSON, compressed if its name ends in .gz. The first line is a
header: `{"recording": "offcputime", "hostname": "...", "interval": 10}`. Each further line is one
interval: `{"at": seconds since the first started, "stacks": [...], "rows": [...]}`, its rows as on
the wire, stacks by index.
"""

import gzip
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from kscope.agent.engines.base import Engine
from kscope.agent.rows.interval import Drained, Row
from kscope.agent.rows.packing import indexed
from kscope.client.encoding import timestamp
from kscope.declare.model import Category
from kscope.declare.types.base import Role
from kscope.errors import KscopeError

_PACKAGE = Path(__file__).resolve().parents[1]
_SUFFIX = ".ndjson.gz"
# The host name of replayed rows starts with this; the page marks these hosts.
HOSTNAME_PREFIX = "recording:"


# The end of each interval, in seconds from the start, and its rows.
Intervals = list[tuple[float, list[Row]]]


class Recorder:
    """Writes a recording, interval by interval; KscopeError if the file cannot be written."""

    def __init__(self, path: Path, category: Category, hostname: str, interval: float) -> None:
        self._path = path
        self._stacks = [c.name for c in category.with_role(Role.STACK)]
        header = {"recording": category.table, "hostname": hostname, "interval": interval}
        with self._writing():
            self._file = _open(path, "wt")
            self._file.write(json.dumps(header) + "\n")

    def add(self, at: float, rows: Sequence[Row]) -> None:
        named, stacks = indexed(rows, self._stacks)
        line = {"at": round(at, 3), "stacks": stacks, "rows": named}
        with self._writing():
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def close(self) -> None:
        with self._writing():
            self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise KscopeError(f"{self._path}: cannot be written: {error.strerror}") from None


def bundled(table: str) -> Path:
    """Return the package's recording of this category. Raises KscopeError if there is none."""
    path = _PACKAGE / "recordings" / f"{table}{_SUFFIX}"
    if not path.exists():
        raise KscopeError(f"the package does not contain a recording of {table}")
    return path


def read_recording(path: Path, category: Category) -> tuple[str, Intervals]:
    """Return the host's name and the intervals. Raises KscopeError."""
    try:
        with _open(path, "rt") as file:
            header = json.loads(file.readline())
            if header.get("recording") != category.table:
                raise KscopeError(f"{path}: is not a recording of {category.table}")
            intervals = list(_intervals(file, category))
    except (OSError, EOFError) as error:
        raise KscopeError(f"{path}: cannot be read: {error}") from None
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise KscopeError(f"{path}: is not a recording: {error}") from None
    if not intervals:
        raise KscopeError(f"{path}: contains no interval")
    return str(header.get("hostname") or "unknown"), intervals


def _intervals(file: TextIO, category: Category) -> Iterator[tuple[float, list[Row]]]:
    columns = [c.name for c in category.with_role(Role.STACK)]
    for line in file:
        entry: dict[str, Any] = json.loads(line)
        stacks = entry.get("stacks", [])
        for row in entry["rows"]:
            for name in columns:
                if isinstance(row.get(name), int):
                    row[name] = stacks[row[name]]
        yield float(entry["at"]), entry["rows"]


def _open(path: Path, mode: str) -> TextIO:
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, mode, encoding="utf-8"))
    return cast("TextIO", path.open(mode[0], encoding="utf-8"))


class ReplayEngine(Engine):
    """Plays a recording repeatedly with the present time.

    The first drain includes the `history` seconds before the start. Each row has a time.
    """

    def __init__(self, recording: Intervals, history: float = 0.0) -> None:
        self._recording = recording
        self._history = history

    def start(self) -> None:
        self._played = time.time() - self._history

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)

    def drain(self) -> Drained:
        now = time.time()
        rows = list(self._between(self._played, now))
        self._played = max(now, self._played)
        return Drained(rows)

    def close(self) -> None:
        pass

    def _between(self, after: float, until: float) -> Iterator[Row]:
        """Yield the rows of the intervals that end in this time; the recording repeats."""
        length, _ = self._recording[-1]
        repeat = int(after // length)
        while repeat * length < until:
            for at, rows in self._recording:
                ended = repeat * length + at
                if after < ended <= until:
                    stamp = {"time": timestamp(ended)}
                    yield from (row | stamp for row in rows)
            repeat += 1
