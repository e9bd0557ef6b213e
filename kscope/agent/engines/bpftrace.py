"""Runs a bpftrace script that stands in the category itself, and turns its maps into rows.

bpftrace never clears what it counts for us: it prints its maps on SIGUSR1, and what was added since
the last time is the interval's. So nothing falls between a print and a clear.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kscope.agent.engines.bpftrace_maps import difference, key_pattern, stack_frames, with_constants
from kscope.agent.engines.bpftrace_process import Bpftrace
from kscope.agent.engines.sources import mistake, readers
from kscope.agent.engines.symbols import KERNEL_SUFFIX, UNKNOWN
from kscope.agent.engines.tracepoint_fields import field_types
from kscope.agent.host import kernel
from kscope.agent.rows.convert import Fitting, field_reader, folded, merge
from kscope.agent.rows.decode import reader
from kscope.agent.rows.interval import Cost, Drained, LossCounts
from kscope.declare.files.bpftrace_script import attach_points, names, script_map
from kscope.declare.map_options import KEYS
from kscope.declare.types.base import Role
from kscope.declare.types.kernel import Kind, UnfitError
from kscope.errors import KscopeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from kscope.agent.engines.base import TraceFilter
    from kscope.agent.rows.interval import Row
    from kscope.declare.model import Category, Column, Source
    from kscope.declare.types.kernel import FieldType

log = logging.getLogger(__name__)

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
_PID = "KS_PID"
_ALWAYS = ("BEGIN", "END")

Key = str
Value = Any


class BpftraceEngine:
    """The option `keys` bounds each map; when one is half full, a new bpftrace begins anew."""

    def __init__(self, category: Category, options: Mapping[str, Any], target: TraceFilter) -> None:
        assert category.probe
        self._category = category
        self._probe = category.probe
        defaults = {option.name: option.default for option in self._probe.options}
        self._options = defaults | dict(options)
        self._target = target
        self._keys = int(self._options[KEYS.name])
        self._loss = LossCounts()
        self._fitting = Fitting(category)
        self._before: dict[Key, Value] = {}
        self._spent = Cost()

    def start(self) -> None:
        kernel.mount_tracefs()
        self._check_target()
        program = shutil.which("bpftrace", path=_PATH)
        if program is None:
            raise KscopeError("the bpftrace engine needs bpftrace: apt install bpftrace")
        script = self._probe.script
        self._map = script_map(script, self._probe.collect.name, field_types(script))
        self._readers = readers(self._category, self._map.parts, self._reader)
        self._pattern = key_pattern(self._map.types)
        self._program = program
        self._launch()
        try:
            self._check_attached()
        except BaseException:
            self.close()
            raise

    def _check_target(self) -> None:
        if self._target.cgroup or self._target.tid or self._target.children:
            raise UsageError(f"{self._category.table}: a bpftrace script filters by --pid alone")
        if self._target.pid and _PID not in names(self._probe.script):
            raise mistake(
                self._category,
                self._probe.line,
                "script",
                f"--pid would not limit the script, which does not use {_PID}: it would record the "
                f"whole host; add /{_PID} == 0 || pid == {_PID}/ to its probes",
            )

    def _launch(self) -> None:
        self._bpftrace = Bpftrace(self._program, self._script(), self._keys)

    def _check_attached(self) -> None:
        """BEGIN and END always attach; of the others at least one must."""
        points = attach_points(self._probe.script)
        others = [point for point in points if point not in _ALWAYS]
        attached = self._bpftrace.attached - (len(points) - len(others))
        if others and attached <= 0:
            raise mistake(
                self._category,
                self._probe.line,
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

    def full(self) -> bool:
        return False

    def drain(self) -> Drained:
        current = self._bpftrace.maps(self._loss).get(self._map.name, {})
        rows = merge(self._category, self._rows(current))
        rows = self._fitting.keep(rows, self._loss)
        self._before = current
        # How much more would have come into a full map nobody knows.
        self._loss.keys_full += len(current) >= self._keys
        if len(current) > self._keys // 2:
            self._begin_anew(rows)
        loss, self._loss = self._loss, LossCounts()
        return Drained(rows, loss)

    def cost(self) -> Cost:
        return self._spent.plus(self._bpftrace.cost())

    def raise_threshold(self, by: int) -> bool:  # noqa: ARG002
        return False

    def close(self) -> None:
        self._bpftrace.close()

    def _begin_anew(self, rows: list[Row]) -> None:
        """A full map would lose in silence. What is added while the old one ends is counted."""
        self._spent = self.cost()
        last = self._bpftrace.close().get(self._map.name, {})
        if self._map.sums:
            added = merge(self._category, self._rows(last))
            rows += self._fitting.keep(added, self._loss)
        self._before = {}
        self._launch()

    def _script(self) -> str:
        constants: dict[str, Any] = {_PID: self._target.pid}
        for option in self._probe.options:
            value = self._options[option.name]
            constants[option.define] = option.choices[value] if option.choices else value
        return with_constants(self._probe.script, constants, self._category.table)

    def _rows(self, current: dict[Key, Value]) -> Iterator[Row]:
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
                raise mistake(
                    self._category,
                    source.line,
                    f"collect.columns.{name}",
                    f"'{source.fields[0]}' is {error}; the column's type is wrong, or the script's",
                ) from None
        return row

    def _reader(
        self, column: Column, source: Source, found: FieldType
    ) -> Callable[[Mapping[str, Any]], Any]:
        if column.type.role is not Role.STACK:
            return reader(column, source, found)
        halves = [(field_reader(path), self._is_kernel(path)) for path in source.fields]
        return lambda entry: self._folded((read(entry), inside) for read, inside in halves)

    def _is_kernel(self, path: str) -> bool:
        part, _, rest = path.partition(".")
        found = self._map.parts[part].at(rest) or self._map.value
        return found.kind is Kind.KERNEL_STACK

    def _folded(self, halves: Iterable[tuple[str, bool]]) -> str:
        """Root first, from halves innermost first; True is beside a half of the kernel."""
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
    """A key: its parts by number, and of a single one the value as well."""
    entry = SimpleNamespace(**{str(n): part for n, part in enumerate(parts)})
    if len(parts) == 1:
        entry.value = parts[0]
    return entry
