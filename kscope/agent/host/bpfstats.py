"""The kernel's own account of what BPF programs cost."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

# bpf(2) has no libc wrapper; the number is per architecture.
_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_BPF_PROG_LOAD = 5
_BPF_ENABLE_STATS = 32
# Whoever administers the host may have switched them on for all.
_SYSCTL = Path("/proc/sys/kernel/bpf_stats_enabled")


class BpfStatistics:
    """`run_time_ns` and `run_cnt` are counted while this is open. `on` is False where the kernel
    or our rights do not allow it.
    """

    def __init__(self) -> None:
        self._fd = -1
        number = _BPF_SYSCALL.get(platform.machine())
        if number is not None:
            libc = ctypes.CDLL(None, use_errno=True)
            attributes = (ctypes.c_uint32 * 32)()  # type 0: run time
            self._fd = libc.syscall(
                number, _BPF_ENABLE_STATS, ctypes.byref(attributes), ctypes.sizeof(attributes)
            )

    @property
    def on(self) -> bool:
        return self._fd >= 0 or (_SYSCTL.exists() and _SYSCTL.read_text().strip() == "1")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def load_trivial_program() -> None:
    """Load `return 0` and remove it again. Raises OSError if the kernel refuses it."""
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOTSUP, f"unknown machine {platform.machine()}")
    # mov r0, 0; exit - as a tracepoint program, which needs no version and no licence.
    code = ctypes.create_string_buffer(struct.pack("<QQ", 0xB7, 0x95), 16)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "<IIQQ", 5, 2, ctypes.addressof(code), ctypes.addressof(licence)
    ).ljust(128, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(number, _BPF_PROG_LOAD, attributes, len(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()).lower())
    os.close(fd)
