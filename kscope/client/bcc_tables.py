"""Stacks, histograms, addresses and times of bcc's tables become values of columns."""

import ctypes
import ipaddress
import operator
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from kscope.client.frames import (
    KERNEL_SUFFIX,
    LOST,
    NO_STACK,
    TRUNCATED_FRAME,
    folded,
    frame_text,
    without_own,
)
from kscope.errors import KscopeError

# The tools have this in the place of an id if an option leaves that half out.
_NOT_TAKEN = -1
# BPF_STACK_TRACE keeps so many frames of a stack.
_DEEPEST = 127
_SLOTS = 64
# Files of JIT compilers' names: a function of such a file needs no file behind it.
_PERF_MAP = re.compile(r"perf-\d+\.map")


def stack(bpf: Any, table: Any, kernel_id: Any = None, user_id: Any = None, pid: Any = None) -> str:
    """Return a folded stack, root first, from a BPF_STACK_TRACE table or the name of one.

    `kernel_id` and `user_id` are results of get_stackid. None, -1 and -EFAULT are no stack, other
    errors the frame `[lost stack]`. `pid` is the process of the user half, which the kernel calls
    tgid. Functions of the kernel end in `_[k]`, those of libraries in the file's name.
    Raises KscopeError if there is no such table, or no `pid` with a `user_id`.
    """
    if user_id is not None and pid is None:
        raise KscopeError("the stack of a process needs its pid, to find its functions' names")
    table = _table(bpf, table)
    process = -1 if pid is None else _whole(pid)
    own = _program(process)
    user = _frames(table, user_id, lambda each: _user_frame(bpf.sym(each, process, True), own))  # noqa: FBT003
    kernel = without_own(_frames(table, kernel_id, lambda each: _decoded(bpf.ksym(each))))
    return folded([*reversed(user), *(each + KERNEL_SUFFIX for each in reversed(kernel))])


def histogram(table: Any, *, linear: bool = False) -> list[int]:
    """Return the counts of a BPF_HISTOGRAM by power of two, as a histogram column takes them.

    Counts of all keys are added up. `linear`: the slots are numbers, not `bpf_log2l` of them.
    """
    sums: list[int] = []
    for slots in histograms(table, linear=linear).values():
        sums += [0] * (len(slots) - len(sums))
        for slot, count in enumerate(slots):
            sums[slot] += count
    return sums


def histograms(table: Any, *, linear: bool = False) -> dict[Any, list[int]]:
    """Return the same of each section, for keys that are a struct.

    The slot is its member `slot`, else the last one. A section is the value of the other member,
    such as a disk's name (bytes); a tuple if there are more. Keys that are numbers have one
    section, None.
    """
    found: dict[Any, list[int]] = {}
    for key, value in table.items():
        section, slot = _section(key)
        slots = found.setdefault(section, [])
        # An array has all slots, also empty ones.
        if count := _count(value):
            at = _power(slot, linear=linear)
            slots += [0] * (at + 1 - len(slots))
            slots[at] += count
    return found


def address(value: Any) -> str:
    """Return the text of an IP address that a BPF program copied from the kernel: a u32 for IPv4,
    16 bytes or an `unsigned __int128` for IPv6. IPv4 inside IPv6 is written as IPv4.

    Raises KscopeError for other values.
    """
    try:
        is_bytes = isinstance(value, (bytes, bytearray, ctypes.Array))
        raw = bytes(value) if is_bytes else _whole(value).to_bytes(4, sys.byteorder)
        found = ipaddress.ip_address(raw)
    except (TypeError, ValueError, OverflowError):
        raise KscopeError("an IP address is a number of 32 bits, or has 4 or 16 bytes") from None
    return str(getattr(found, "ipv4_mapped", None) or found)


def kernel_time(nanoseconds: Any) -> float:
    """Return a result of bpf_ktime_get_ns as seconds since 1970, for a row's `time`."""
    return time.time() - (time.monotonic_ns() - _whole(nanoseconds)) / 1e9


def _table(bpf: Any, table: Any) -> Any:
    if not isinstance(table, (str, bytes)):
        return table
    try:
        return bpf[table.encode() if isinstance(table, str) else table]
    except KeyError:
        raise KscopeError(f"the BPF program has no table {table!r}") from None


def _frames(table: Any, stack_id: Any, name: Callable[[Any], str]) -> list[str]:
    """Return the names of a stack's frames, leaf first."""
    number = _NOT_TAKEN if stack_id is None else _whole(stack_id)
    if number in {_NOT_TAKEN, NO_STACK}:
        return []
    try:
        addresses = list(islice(table.walk(number), _DEEPEST)) if number >= 0 else []
    except KeyError:
        addresses = []
    names = [name(each) for each in _calls(addresses)] or [LOST]
    return [*names, TRUNCATED_FRAME] if len(addresses) == _DEEPEST else names


def _calls(addresses: Iterable[Any]) -> list[Any]:
    """Return the addresses of the calls: the stack has those behind them, where the next function
    can begin. A table by build id has no addresses.
    """
    return [each - (n > 0) if isinstance(each, int) else each for n, each in enumerate(addresses)]


def _user_frame(found: bytes, own: str) -> str:
    """Return a frame from `name [file]`, without the file if it is the program itself."""
    text = _decoded(found)
    name, has_file, file = text.removesuffix("]").rpartition(" [")
    if not has_file or not text.endswith("]"):
        return text
    return name if file == own or _PERF_MAP.fullmatch(file) else f"{name} [{file.strip('[]')}]"


def _decoded(found: bytes) -> str:
    return frame_text(found.decode("utf-8", "replace"))


def _program(pid: int) -> str:
    """Return the name of the file that the process runs; empty if it has ended."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")  # noqa: PTH115, PTH119
    except OSError:
        return ""


def _section(key: Any) -> tuple[Any, int]:
    """Return the section and the slot of a histogram's key."""
    if not isinstance(key, ctypes.Structure):
        return None, _whole(key)
    fields = _members(key)
    slot = "slot" if "slot" in fields else fields[-1]
    values = tuple(_hashable(getattr(key, name)) for name in fields if name != slot)
    return values[0] if len(values) == 1 else values, _whole(getattr(key, slot))


def _members(struct: Any) -> list[str]:
    """Return the names of a struct's members, without the padding that bcc adds."""
    return [each[0] for each in struct._fields_ if not each[0].startswith("__pad")]


def _hashable(value: Any) -> Any:
    """Return a member's value with tuples in place of structs and arrays: those have no value."""
    if isinstance(value, (ctypes.Structure, ctypes.Union)):
        return tuple(_hashable(getattr(value, name)) for name in _members(value))
    return tuple(map(_hashable, value)) if isinstance(value, ctypes.Array) else value


def _power(slot: int, *, linear: bool) -> int:
    """Return the power of two below the values of a slot; bcc's slot 1 has the values 0 and 1."""
    power = slot.bit_length() - 1 if linear else slot - 1
    if slot < 0 or power >= _SLOTS:
        raise KscopeError(f"slot {slot} is not one of bpf_log2l; is the histogram linear?")
    return max(power, 0)


def _count(value: Any) -> int:
    """Return a map's number; the sum over all CPUs if each has one."""
    return sum(map(_whole, value)) if isinstance(value, ctypes.Array) else _whole(value)


def _whole(value: Any) -> int:
    return operator.index(getattr(value, "value", value))
