"""Addresses become names of frames; user addresses only while their process exists."""

import functools
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kscope.agent.host import processes
from kscope.agent.host.libbcc import free_symbols, load_bcc
from kscope.agent.rows.convert import frame_text
from kscope.agent.rows.interval import LossCounts

KERNEL_SUFFIX = "_[k]"
UNKNOWN = "[unknown]"
MAX_PROCESSES = 256
Image = tuple[int, int, int]
MAX_KERNEL_NAMES = 100_000

# The frames that called the probe itself, which the thread did not call.
_OWN_FRAMES = re.compile(
    r"bpf_prog_|bpf_trace_run|__bpf_trace_|bpf_get_stack|__bpf_get_stack|perf_trace_|perf_call_bpf"
    r"|trace_event_raw_|trace_call_bpf|__traceiter_|kprobe_|kretprobe_|aggr_pre_handler"
    r"|ftrace_|arch_ftrace|optimized_callback|opt_pre_handler|__do_trace_|syscall_trace_enter$|perf_syscall_(enter|exit)$"
)


def without_own(names: list[str]) -> list[str]:
    """Return the kernel frames, leaf first, without those that called the probe itself."""
    start = 0
    while start < len(names) and _OWN_FRAMES.match(names[start]):
        start += 1
    return names[start:]


class Symbols:
    """Names of addresses. The SymbolCache of a process is kept while the process is among the most
    recent ones and runs the same program.
    """

    def __init__(self) -> None:
        self._new = load_bcc().SymbolCache
        self._kernel = self._new(-1)
        self._kernel_name = functools.lru_cache(MAX_KERNEL_NAMES)(self._resolved)
        self._processes: OrderedDict[int, _Process] = OrderedDict()
        self._looked_at: set[int] = set()

    def look_again(self) -> None:
        """Read the processes again when they are next needed. Call this at each drain."""
        self._looked_at.clear()

    def kernel_frames(self, addresses: Sequence[int]) -> list[str]:
        """Return the names, leaf first, without the frames that called the probe itself."""
        names = [self._kernel_name(address) for address in addresses]
        return [name + KERNEL_SUFFIX for name in without_own(names)]

    def user_frames(self, pid: int, addresses: Sequence[int], loss: LossCounts) -> list[str]:
        """Return the names, leaf first. Frames outside the main binary name their library."""
        process = self.prime(pid)
        names = [process.name(address) for address in addresses]
        loss.frames += len(names)
        loss.frames_unknown += sum(name.startswith(UNKNOWN) for name in names)
        return names

    def prime(self, pid: int) -> "_Process":
        """Read a process's memory maps now, because they are gone when it exits."""
        process = self._processes.get(pid)
        if process is None or pid not in self._looked_at:
            process = self._up_to_date(pid, process)
            self._looked_at.add(pid)
        self._processes.move_to_end(pid)
        return process

    def _up_to_date(self, pid: int, process: "_Process | None") -> "_Process":
        image = _image(pid)
        if process and image is not None and process.image != image:
            self._drop(pid)
            process = None
        if process:
            process.look_again()
        else:
            process = self._processes[pid] = _Process(self._new(pid), image, _main_binary(pid))
            if len(self._processes) > MAX_PROCESSES:
                self._drop(next(iter(self._processes)))
        return process

    def close(self) -> None:
        for pid in list(self._processes):
            self._drop(pid)
        free_symbols(self._kernel, -1)

    def _drop(self, pid: int) -> None:
        free_symbols(self._processes.pop(pid).resolver, pid)

    def _resolved(self, address: int) -> str:
        found, _, _ = self._kernel.resolve(address, False)  # noqa: FBT003 - bcc's signature
        return _decoded(found) or UNKNOWN


class _Process:
    def __init__(self, resolver: Any, image: Image | None, binary: str) -> None:
        self.resolver = resolver
        self.image = image
        self._binary = binary
        self._names: dict[int, str] = {}
        self._unknown: list[int] = []
        resolver.resolve(0, True)  # noqa: FBT003 - makes bcc read the process's maps

    def name(self, address: int) -> str:
        name = self._names.get(address)
        if name is None:
            found, _, module = self.resolver.resolve(address, True)  # noqa: FBT003
            name = self._text(_decoded(found) or UNKNOWN, _decoded(module))
            if len(self._names) >= MAX_KERNEL_NAMES:
                self._names.clear()
            self._names[address] = name
            if not found:
                self._unknown.append(address)
        return name

    def look_again(self) -> None:
        """Forget the addresses without a name: their code can have been mapped since."""
        for address in self._unknown:
            self._names.pop(address, None)
        self._unknown.clear()

    def _text(self, name: str, module: str) -> str:
        library = module.rpartition("/")[2]
        if not library or library == self._binary:
            return frame_text(name)
        return f"{frame_text(name)} [{frame_text(library)}]"


def _decoded(raw: bytes | None) -> str:
    return raw.decode("utf-8", "replace") if raw else ""


def _image(pid: int) -> Image | None:
    """Return the start time and the start of program and stack, which an execve changes."""
    fields = processes.stat(pid)
    return (int(fields[19]), int(fields[23]), int(fields[25])) if fields else None


def _main_binary(pid: int) -> str:
    try:
        path = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - a hot path
    except OSError:
        return ""
    return Path(path.removesuffix(" (deleted)")).name
