"""Runs a bpftrace script that stands in the category itself, and turns its maps into rows.

bpftrace never clears what it counts for us: it prints its maps on SIGUSR1, and what was added since
the last time is the interval's. So nothing falls between a print and a clear.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from kscope.agent import kernel
from kscope.agent.decode import reader
from kscope.agent.engines.base import Cost, Drained, Loss, Target
from kscope.agent.engines.symbols import KERNEL_SUFFIX, without_own
from kscope.agent.rows import folded, frame_text, merge
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kscope.agent.engines.base import Row
    from kscope.declare.model import Category, Column, Source

# Maps are printed in the order of their names: once this one comes, all the others have.
_LAST = "@zz_kscope"
_PATIENCE = 20.0
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
_STACK = re.compile(r"\n(?:[ \t]+.*\n)*")
_OFFSET = re.compile(r"\+(0x)?[0-9a-f]+$")

Key = str
Value = Any


class BpftraceEngine:
    """`keys` bounds each map; a map that is half full is begun anew with a new bpftrace."""

    def __init__(
        self, category: Category, options: Mapping[str, Any], target: Target, keys: int = 16384
    ) -> None:
        assert category.probe
        self._category = category
        self._probe = category.probe
        self._options = options
        self._target = target
        self._keys = keys
        self._loss = Loss()
        self._before: dict[Key, Value] = {}

    def start(self) -> None:
        kernel.mount_tracefs()
        if self._target.cgroup or self._target.tid or self._target.children:
            raise KscopeError(f"{self._category.table}: a bpftrace script filters by --pid alone")
        program = shutil.which("bpftrace", path=_PATH)
        if program is None:
            raise KscopeError("the bpftrace engine needs bpftrace: apt install bpftrace")
        self._bpftrace = _Bpftrace(program, self._script(), self._keys)
        self._kernel_fields = _kernel_fields(self._probe.script, self._probe.collect.name)

    def poll(self, seconds: float) -> None:
        time.sleep(seconds)
        self._bpftrace.check()

    def drain(self) -> Drained:
        maps = self._bpftrace.maps(self._loss)
        current = maps.get(f"@{self._probe.collect.name.removeprefix('@')}", {})
        rows = merge(self._category, self._rows(current))
        self._before = current
        if len(current) > self._keys // 2:
            self._begin_anew(rows)
        loss, self._loss = self._loss, Loss()
        return Drained(rows, loss)

    def cost(self) -> Cost:
        return self._bpftrace.cost()

    def raise_threshold(self, by: int) -> bool:  # noqa: ARG002
        return False

    def close(self) -> None:
        self._bpftrace.close()

    def _begin_anew(self, rows: list[Row]) -> None:
        """A full map would lose in silence. What is added while the old one ends is counted."""
        last = self._bpftrace.close()
        rows += merge(self._category, self._rows(last.get(f"@{self._probe.collect.name}", {})))
        self._before = {}
        self.start()

    def _script(self) -> str:
        """Constants are put in by name; bpftrace's own parameters are only numbered."""
        script = self._probe.script
        constants: dict[str, Any] = {"KS_PID": self._target.pid}
        for option in self._probe.options:
            value = self._options.get(option.name, option.default)
            constants[option.define] = option.choices[value] if option.choices else value
        for name, value in constants.items():
            text = json.dumps(value) if isinstance(value, str) else str(int(value))
            script = re.sub(rf"\b{name}\b", text, script)
        return f"{script}\ninterval:ms:200 {{ {_LAST} = 1; }}\n"

    def _rows(self, current: dict[Key, Value]) -> Iterator[Row]:
        columns = [
            (self._category.column(name), source)
            for name, source in self._probe.collect.columns.items()
        ]
        fields = 1 + max(
            (int(path[4:]) for _, s in columns for path in s.fields if path[:4] == "key."),
            default=-1,
        )
        for key, value in current.items():
            added = difference(value, self._before.get(key))
            if not added:
                continue
            entry = {
                "key": SimpleNamespace(
                    **{str(n): part for n, part in enumerate(key_fields(key, fields))}
                ),
                "value": SimpleNamespace(**added) if isinstance(added, dict) else added,
            }
            yield {column.name: self._value(column, source, entry) for column, source in columns
                   if column}  # fmt: skip

    def _value(self, column: Column, source: Source, entry: dict[str, Any]) -> Any:
        if column.type.name != "stack":
            return reader(column, source)(entry)
        frames: list[str] = []
        for path in source.fields:
            number = path.partition(".")[2]
            suffix = KERNEL_SUFFIX if int(number) in self._kernel_fields else ""
            frames += stack_frames(getattr(entry["key"], number), suffix)
        frames.reverse()
        return folded(frames)


class _Bpftrace:
    """One bpftrace process."""

    def __init__(self, program: str, script: str, keys: int) -> None:
        environment = os.environ | {"BPFTRACE_MAP_KEYS_MAX": str(keys)}
        # -B line: through a pipe it would otherwise keep what it prints to itself.
        self._process = subprocess.Popen(  # noqa: S603
            [program, "-B", "line", "-f", "json", "-e", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,  # Ctrl-C is for the agent, which then drains it
        )
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._complaints: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()
        self._complaining = threading.Thread(target=self._hear, daemon=True)
        self._complaining.start()
        while self._next("to attach")["type"] != "attached_probes":
            pass
        time.sleep(0.3)

    def check(self) -> None:
        if self._process.poll() is not None:
            self._complaining.join(1)
            said = "".join(line for line in self._complaints if "RLIMIT_MEMLOCK" not in line)
            raise KscopeError(f"bpftrace ended: {said.strip() or self._process.returncode}")

    def maps(self, loss: Loss) -> dict[str, dict[Key, Value]]:
        """All maps as they are now: name -> key -> value."""
        self.check()
        self._process.send_signal(signal.SIGUSR1)
        found: dict[str, dict[Key, Value]] = {}
        while _LAST not in found:
            self._take(self._next("to print its maps"), found, loss)
        return found

    def close(self) -> dict[str, dict[Key, Value]]:
        """End it, and give what it prints at its end."""
        found: dict[str, dict[Key, Value]] = {}
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        with contextlib.suppress(queue.Empty):
            while message := self._said.get(timeout=1):
                self._take(message, found, Loss())
        return found

    def cost(self) -> Cost:
        runs = run_ns = 0
        for info in Path(f"/proc/{self._process.pid}/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                figures = dict(re.findall(r"^(run_\w+):\s+(\d+)$", info.read_text(), re.MULTILINE))
                runs += int(figures.get("run_cnt", 0))
                run_ns += int(figures.get("run_time_ns", 0))
        return Cost(runs, run_ns, known=runs > 0)

    def _take(
        self, message: dict[str, Any], found: dict[str, dict[Key, Value]], loss: Loss
    ) -> None:
        kind, data = message["type"], message.get("data", {})
        if kind == "lost_events":
            loss.events += int(data.get("events", 0))
        elif kind in {"map", "hist", "stats"}:
            for name, content in data.items():
                # A map without a key is its value; a histogram's is a list.
                whole = not isinstance(content, dict) or (kind == "stats" and "count" in content)
                found[name] = {"": content} if whole else content

    def _next(self, what: str) -> dict[str, Any]:
        try:
            message = self._said.get(timeout=_PATIENCE)
        except queue.Empty:
            raise KscopeError(f"bpftrace took more than {_PATIENCE:.0f} s {what}") from None
        if message is None:
            self._process.wait(_PATIENCE)
            self.check()
        assert message is not None
        return message

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self._said.put(json.loads(line))
        self._said.put(None)

    def _hear(self) -> None:
        assert self._process.stderr
        self._complaints.extend(self._process.stderr)


def key_fields(key: str, count: int) -> list[str]:
    """Take a printed key apart: parts are joined by commas, a stack is lines in line feeds.

    A name may hold commas too; what is too many is taken to be the first part's.
    """
    parts: list[str] = []
    at = 0
    while at <= len(key):
        stack = _STACK.match(key, at)
        end = stack.end() if stack else (key.find(",", at) if "," in key[at:] else len(key))
        parts.append(key[at:end])
        at = end + 1
    surplus = len(parts) - count
    if surplus > 0 and count:
        parts[: surplus + 1] = [",".join(parts[: surplus + 1])]
    return parts


def stack_frames(printed: str, suffix: str) -> list[str]:
    """Leaf first, without offsets; an address that has no name is unknown."""
    names = [_OFFSET.sub("", line.strip()) for line in printed.splitlines() if line.strip()]
    if suffix:
        names = without_own(names)
    return [("[unknown]" if name.startswith("0x") else frame_text(name)) + suffix for name in names]


def difference(now: Value, before: Value | None) -> Value:
    """What was added to a count, to statistics or to a histogram; falsy if nothing was.

    A histogram becomes counts by power of two, {"slots": [...]}; its slots below 1 join slot 0.
    """
    if isinstance(now, list):
        slots = [a - b for a, b in zip(_slots(now), _slots(before or []), strict=True)]
        return {"slots": slots} if any(slots) else None
    if isinstance(now, dict):
        old = before or {}
        added = {name: now[name] - old.get(name, 0) for name in ("count", "total") if name in now}
        return added if added.get("count") else None
    return now - (before or 0)


def _slots(buckets: list[dict[str, int]]) -> list[int]:
    slots = [0] * 64
    for bucket in buckets:
        slots[max(0, int(bucket.get("min", 0)).bit_length() - 1)] += bucket["count"]
    return slots


def _kernel_fields(script: str, name: str) -> frozenset[int]:
    """Which parts of the map's key are kernel stacks, as the script says."""
    found = re.search(rf"@{re.escape(name.removeprefix('@'))}\[([^\]]*)\]", script)
    parts = found[1].split(",") if found else []
    return frozenset(n for n, part in enumerate(parts) if part.strip().startswith("kstack"))
