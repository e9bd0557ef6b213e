"""Run the bpftrace script of a category, and turn its maps into rows.

bpftrace prints its maps on SIGUSR1 and does not clear them; an interval is the difference between
two prints. So no event is lost between a print and a clear.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from kscope.agent.engines.base import TraceFilter
from kscope.agent.engines.bpftrace_maps import difference, key_pattern, stack_frames, with_constants
from kscope.agent.engines.bpftrace_process import Bpftrace
from kscope.agent.engines.kernel_engine import KernelEngine, Reader
from kscope.agent.engines.layout import argument_types
from kscope.agent.host import kernel
from kscope.agent.host.bpfstats import Cost
from kscope.agent.rows.convert import field_reader, merge
from kscope.agent.rows.interval import Drained, Row
from kscope.client.frames import KERNEL_SUFFIX, UNKNOWN, folded
from kscope.declare.engines.base import KEYS
from kscope.declare.files.bpftrace_script import attach_points, names, script_map
from kscope.declare.model import Category, Source
from kscope.declare.types.kernel import Kind, UnfitError
from kscope.errors import KscopeError, UsageError

log = logging.getLogger(__name__)

_PID = "KS_PID"
_ALWAYS = ("BEGIN", "END")


class BpftraceEngine(KernelEngine):
    """The option `keys` limits each map. Another bpftrace starts when one is half full."""

    def __init__(
        self, category: Category, options: Mapping[str, Any], trace_filter: TraceFilter
    ) -> None:
        super().__init__(category, options, trace_filter)
        self._keys = int(self._options[KEYS.name])
        self._before: dict[str, Any] = {}
        self._spent = Cost()

    def start(self) -> None:
        kernel.mount_tracefs()
        self._check_filter()
        program = kernel.program("bpftrace")
        if program is None:
            raise KscopeError("the bpftrace engine needs bpftrace: apt install bpftrace")
        script = self._probe.script
        self._map = script_map(script, self._probe.collect.name, argument_types(script))
        self._read_columns(self._map.parts)
        self._pattern = key_pattern(self._map.types)
        self._program = program
        self._launch()
        try:
            self._check_attached()
        except BaseException:
            self.close()
            raise

    def _check_filter(self) -> None:
        if self._filter.cgroup or self._filter.tid or self._filter.children:
            raise UsageError(f"{self._category.table}: a bpftrace script filters by --pid alone")
        if self._filter.pid and _PID not in names(self._probe.script):
            raise self._mistake(
                "script",
                f"--pid would not limit the script, which does not use {_PID}: it would record the "
                f"whole host; add /{_PID} == 0 || pid == {_PID}/ to its probes",
            )

    def _launch(self) -> None:
        # The text of a block starts on the line after its key.
        line = self._probe.line + ("\n" in self._probe.script)
        file = self._category.file
        self._bpftrace = Bpftrace(self._program, self._script(), self._keys, file, line)

    def _check_attached(self) -> None:
        """At least one probe must attach, not counting BEGIN and END, which always do."""
        points = attach_points(self._probe.script)
        others = [point for point in points if point not in _ALWAYS]
        attached = self._bpftrace.attached - (len(points) - len(others))
        if others and attached <= 0:
            raise self._mistake(
                "script",
                f"the script is attached to nothing: this host does not have {', '.join(others)}",
            )
        if attached < len(others) and not any("*" in point for point in others):
            log.warning(
                "%s: bpftrace attached %d of %s; the rest does not exist on this host",
                self._category.table,
                attached,
                ", ".join(others),
            )

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)
        self._bpftrace.check()

    def drain(self) -> Drained:
        current = self._bpftrace.maps(self._loss).get(self._map.name, {})
        rows = merge(self._category, self._rows(current))
        self._before = current
        # A full map does not show the number of keys that it left out.
        self._loss.keys_full += len(current) >= self._keys
        if len(current) > self._keys // 2:
            rows += self._restarted()
        return self._drained(rows)

    def cost(self) -> Cost:
        return self._spent + self._bpftrace.cost()

    def close(self) -> None:
        self._bpftrace.close()

    def _restarted(self) -> list[Row]:
        """Start another bpftrace, because a full map loses keys silently.

        Return the rows that the old one added until it ended.
        """
        self._spent = self.cost()
        last = self._bpftrace.close().get(self._map.name, {})
        rows = merge(self._category, self._rows(last)) if self._map.sums else []
        self._before = {}
        self._launch()
        return rows

    def _script(self) -> str:
        constants: dict[str, Any] = {_PID: self._filter.pid}
        for option in self._probe.options:
            value = self._options[option.name]
            constants[option.define] = option.choices[value] if option.choices else value
        return with_constants(self._probe.script, constants, self._category.table)

    def _rows(self, current: dict[str, Any]) -> Iterator[Row]:
        for key, value in current.items():
            added = difference(value, self._before.get(key)) if self._map.sums else value
            if self._map.sums and not added:
                continue
            parts = self._pattern.fullmatch(key)
            if parts is None:
                self._loss.values += 1
                continue
            entry = {
                "key": _entry(parts.groups()),
                "value": SimpleNamespace(**added) if isinstance(added, dict) else added,
            }
            yield self._row(entry)

    def _row(self, entry: dict[str, Any]) -> Row:
        row: Row = {}
        for name, read in self._readers.items():
            try:
                row[name] = read(entry)
            except UnfitError as error:
                source = self._probe.collect.columns[name]
                fault = f"'{source.fields[0]}' is {error}; the column or the script is wrong"
                raise self._mistake(f"collect.columns.{name}", fault, source.line) from None
        return row

    def _stack_reader(self, source: Source) -> Reader:
        halves = [
            (field_reader(path), self._type_at(path).kind is Kind.KERNEL_STACK)
            for path in source.fields
        ]
        return lambda entry: self._folded((read(entry), inside) for read, inside in halves)

    def _folded(self, halves: Iterable[tuple[str, bool]]) -> str:
        """Return the folded stack of these halves, innermost first; True marks a kernel half."""
        frames: list[str] = []
        for printed, inside in halves:
            half = stack_frames(printed, KERNEL_SUFFIX * inside)
            if not inside:
                self._loss.frames += len(half)
                self._loss.frames_unknown += half.count(UNKNOWN)
            frames += half
        frames.reverse()
        return folded(frames)


def _entry(parts: Sequence[str]) -> SimpleNamespace:
    """Return a key with its parts by number; a single part is also its value."""
    entry = SimpleNamespace(**{str(n): part for n, part in enumerate(parts)})
    if len(parts) == 1:
        entry.value = parts[0]
    return entry
