"""The kernel's figures of a process: its switches, CPU time, memory and BPF programs."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIGURE = re.compile(r"^(\w+):\s+(\w+)$", re.MULTILINE)
_SWITCHES = re.compile(r"ctxt_switches:\s+(\d+)")
_ARRAY, _MMAPABLE_INNER = "2", 0x1400
_STACK_TRACE = "7"
_STACK_SIZES = {8 + 8 + 8 * frames for frames in (32, 128, 512)}  # the structs of stacks.h


def switches(pid: int) -> int:
    """Return how often the process's threads have left the CPU; those that ended do not count."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with suppress(OSError):
            total += sum(map(int, _SWITCHES.findall(status.read_text())))
    return total


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def bpf_ns(pid: int) -> tuple[int, int]:
    """Return the nanoseconds of the programs that a process holds, and how many those are."""
    # A link names its program too, without the time.
    programs = {each["prog_id"]: each for each in _infos(pid) if "run_time_ns" in each}
    return sum(int(each["run_time_ns"]) for each in programs.values()), len(programs)


@dataclass(frozen=True)
class Maps:
    """Bytes of the BPF maps that a process holds."""

    unwind_tables: int
    stacks: int
    others: int

    @property
    def total(self) -> int:
        return self.unwind_tables + self.stacks + self.others


def maps(pid: int) -> Maps:
    found = {fields["map_id"]: fields for fields in _infos(pid) if "map_type" in fields}
    sums: Counter[str] = Counter()
    for fields in found.values():
        sums[_kind(fields)] += int(fields.get("memlock", 0))
    return Maps(sums["unwind_tables"], sums["stacks"], sums["others"])


def _kind(fields: dict[str, str]) -> str:
    flags = int(fields["map_flags"], 16)
    if fields["map_type"] == _ARRAY and flags & _MMAPABLE_INNER == _MMAPABLE_INNER:
        return "unwind_tables"
    is_stacks = fields["map_type"] == _STACK_TRACE or int(fields["value_size"]) in _STACK_SIZES
    return "stacks" if is_stacks else "others"


def _infos(pid: int) -> Iterator[dict[str, str]]:
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(OSError):
            yield dict(_FIGURE.findall(info.read_text()))


def mapped(pid: int) -> Counter[str]:
    """Return the resident bytes of a process: of libraries by name, and of its heap."""
    sums: Counter[str] = Counter()
    name = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            name = Path(words[5]).name.partition(".so")[0] if len(words) > 5 else "heap"
            name = "heap" if name.startswith("[") else name
        elif words[0] == "Rss:":
            sums[name] += int(words[1]) * 1024
    return sums
