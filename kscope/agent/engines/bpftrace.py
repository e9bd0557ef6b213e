"""Runs a bpftrace script that stands in the category itself, and turns its maps into rows.

bpftrace never clears what it counts for us: it prints its maps on SIGUSR1, and what was added since
the last time is the interval's. So nothing falls between a print and a clear.
"""

from __future__ import annotations

import os
import shutil
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kscope.agent import kernel
from kscope.agent.decode import reader
from kscope.agent.engines.base import Cost, Drained, Loss, Target
from kscope.agent.engines.bpftracemap import (
    difference,
    key_fields,
    stack_frames,
    with_constants,
)
from kscope.agent.engines.bpftraceprocess import Bpftrace
from kscope.agent.engines.symbols import KERNEL_SUFFIX, UNKNOWN
from kscope.agent.rows import folded, merge
from kscope.declare.script import script_map
from kscope.declare.sizes import KEYS
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kscope.agent.engines.base import Row
    from kscope.declare.model import Category, Column, Source

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])

Key = str
Value = Any


class BpftraceEngine:
    """The option `keys` bounds each map; when one is half full, a new bpftrace begins anew."""

    def __init__(self, category: Category, options: Mapping[str, Any], target: Target) -> None:
        assert category.probe
        self._category = category
        self._probe = category.probe
        defaults = {option.name: option.default for option in self._probe.options}
        self._options = defaults | dict(options)
        self._target = target
        self._keys = int(self._options[KEYS.name])
        self._map = script_map(self._probe.script, self._probe.collect.name)
        self._columns = [
            (column, source)
            for name, source in self._probe.collect.columns.items()
            if (column := category.column(name))
        ]
        self._loss = Loss()
        self._before: dict[Key, Value] = {}
        self._spent = Cost()

    def start(self) -> None:
        kernel.mount_tracefs()
        if self._target.cgroup or self._target.tid or self._target.children:
            raise KscopeError(f"{self._category.table}: a bpftrace script filters by --pid alone")
        program = shutil.which("bpftrace", path=_PATH)
        if program is None:
            raise KscopeError("the bpftrace engine needs bpftrace: apt install bpftrace")
        self._bpftrace = Bpftrace(program, self._script(), self._keys)

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)
        self._bpftrace.check()

    def full(self) -> bool:
        return False

    def drain(self) -> Drained:
        current = self._bpftrace.maps(self._loss).get(self._map.name, {})
        rows = merge(self._category, self._rows(current))
        self._before = current
        # How much more would have come into a full map nobody knows.
        self._loss.keys_full += len(current) >= self._keys
        if len(current) > self._keys // 2:
            self._begin_anew(rows)
        loss, self._loss = self._loss, Loss()
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
            rows += merge(self._category, self._rows(last))
        self._before = {}
        self.start()

    def _script(self) -> str:
        constants: dict[str, Any] = {"KS_PID": self._target.pid}
        for option in self._probe.options:
            value = self._options[option.name]
            constants[option.define] = option.choices[value] if option.choices else value
        return with_constants(self._probe.script, constants, self._category.table)

    def _rows(self, current: dict[Key, Value]) -> Iterator[Row]:
        for key, value in current.items():
            added = difference(value, self._before.get(key)) if self._map.sums else value
            if self._map.sums and not added:
                continue
            parts = key_fields(key, len(self._map.key))
            entry = {
                "key": SimpleNamespace(**{str(n): part for n, part in enumerate(parts)}),
                "value": SimpleNamespace(**added) if isinstance(added, dict) else added,
            }
            yield {
                column.name: self._value(column, source, entry) for column, source in self._columns
            }

    def _value(self, column: Column, source: Source, entry: dict[str, Any]) -> Any:
        if column.type.name != "stack":
            return reader(column, source)(entry)
        frames: list[str] = []
        for path in source.fields:
            number = path.partition(".")[2]
            kernel_half = self._map.is_kernel_stack(int(number))
            half = stack_frames(getattr(entry["key"], number), KERNEL_SUFFIX * kernel_half)
            if not kernel_half:
                self._loss.frames += len(half)
                self._loss.frames_unknown += half.count(UNKNOWN)
            frames += half
        frames.reverse()
        return folded(frames)
