"""The kernel's own account of the cost of BPF programs."""

import ctypes
import errno
import operator
import os
import platform
import re
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

# bpf(2) has no libc wrapper; the number is per architecture.
_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_BPF_PROG_LOAD = 5
_BPF_ENABLE_STATS = 32
_FIGURE = re.compile(r"^(run_cnt|run_time_ns|recursion_misses):\s+(\d+)$", re.MULTILINE)
# An administrator can switch them on for the whole host.
_SYSCTL = Path("/proc/sys/kernel/bpf_stats_enabled")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a probe's programs since they were loaded, with times in nanoseconds.

    `runs` and `run_ns` are 0 if the statistics are off. `missed` are the runs that the kernel left
    out because another BPF program was running on that CPU. `helper_ns` is the CPU time of a
    process that the agent started for the probe.
    """

    runs: int = 0
    run_ns: int = 0
    missed: int = 0
    helper_ns: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(operator.add, astuple(self), astuple(other)))


def program_cost(infos: Iterable[Path], helper_ns: int = 0) -> Cost:
    """Return the sum over the programs among these files of /proc/PID/fdinfo."""
    total = dict.fromkeys(("run_cnt", "run_time_ns", "recursion_misses"), 0)
    for info in infos:
        with suppress(OSError):  # closed in the meantime
            for name, number in _FIGURE.findall(info.read_text(encoding="ascii")):
                total[name] += int(number)
    runs, run_ns, missed = total.values()
    return Cost(runs, run_ns, missed, helper_ns)


def bpf(command: int, attributes: bytes) -> int:
    """Return the file descriptor that bpf(2) opens. Raises OSError."""
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOTSUP, f"unknown machine {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(number, command, attributes, len(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()).lower())
    return fd


class BpfStatistics:
    """The kernel counts runs and their time while this is open. `on` is False if it refuses."""

    def __init__(self) -> None:
        self._fd = -1
        with suppress(OSError):
            self._fd = bpf(_BPF_ENABLE_STATS, bytes(128))  # type 0: run time

    @property
    def on(self) -> bool:
        return self._fd >= 0 or (_SYSCTL.exists() and _SYSCTL.read_text().strip() == "1")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def load_trivial_program() -> None:
    """Load `return 0` and remove it again. Raises OSError if the kernel refuses it."""
    # mov r0, 0; exit - as a tracepoint program, which needs no version and no licence.
    code = ctypes.create_string_buffer(struct.pack("<QQ", 0xB7, 0x95), 16)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("<IIQQ", 5, 2, ctypes.addressof(code), ctypes.addressof(licence))
    os.close(bpf(_BPF_PROG_LOAD, attributes.ljust(128, b"\0")))
