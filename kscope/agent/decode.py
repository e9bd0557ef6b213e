"""From a field of a program's struct to a column's value, by way of words where declared."""

from __future__ import annotations

import errno
import functools
import os
import pwd
import re
import shlex
import signal
import time
from typing import TYPE_CHECKING, Any

from kscope.agent import kernel
from kscope.agent.rows import column_value, field_reader
from kscope.agent.syscalls import syscall_name
from kscope.client.encoding import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kscope.declare.model import Column, Source


def reader(column: Column, source: Source) -> Callable[[Mapping[str, Any]], Any]:
    """What reads `column` out of {"key": struct, "value": struct} or {"event": struct}."""
    read = field_reader(source.fields[0])
    if source.names:
        words = {int(number): word for number, word in source.names.items()}
        return lambda entry: words.get(int(read(entry)), str(int(read(entry))))
    if source.decode:
        decode = DECODERS[source.decode]
        return lambda entry: decode(read(entry))
    if column.type.name == "timestamp":
        return lambda entry: _moment(read(entry))
    return lambda entry: column_value(column, read(entry))


def _moment(monotonic_ns: int) -> str:
    """When bpf_ktime_get_ns() said so, by the clock on the wall."""
    return timestamp((time.time_ns() - time.monotonic_ns() + monotonic_ns) / 1e9)


def _signal(number: int) -> str:
    if not number:
        return ""
    if number in signal.valid_signals():
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return str(number)


def _errno(number: int) -> str:
    return errno.errorcode.get(abs(number), str(abs(number))) if number else ""


@functools.lru_cache(4096)
def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@functools.lru_cache(4096)
def _device(number: int) -> str:
    """From the kernel's own dev_t: 12 bits of major, 20 of minor."""
    name = f"{number >> 20}:{number & 0xFFFFF}"
    try:
        return os.path.basename(os.readlink(f"/sys/dev/block/{name}"))  # noqa: PTH115, PTH119
    except OSError:
        return name


class _Cgroups:
    """Cgroup ids to paths below the root; one of a container becomes the container's short name."""

    _REREAD = 5.0  # seconds; a walk over thousands of cgroups is not for every unknown id

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._read = -self._REREAD

    def __call__(self, number: int) -> str:
        if not number:
            return ""
        if number not in self._names and time.monotonic() - self._read >= self._REREAD:
            self._names = dict(self._walk())
            self._read = time.monotonic()
        return self._names.get(number, str(number))

    def _walk(self) -> list[tuple[int, str]]:
        root = kernel.cgroup_root()
        if root is None:
            return []
        prefix = len(str(root))
        return [
            (os.stat(folder).st_ino, container_name(folder[prefix:] or "/"))  # noqa: PTH116
            for folder, _, _ in os.walk(root)
        ]


_CONTAINER = re.compile(
    r"(?:^|/)(?:(docker|cri-containerd|crio|libpod|podman|nspawn|lxc)[-/.])?([0-9a-f]{64})(?:\.scope)?$"
)


def container_name(path: str) -> str:
    """`/system.slice/docker-<64 digits>.scope` -> `docker:<12 digits>`; any other path as it is."""
    found = _CONTAINER.search(path)
    return f"{found[1] or 'container'}:{found[2][:12]}" if found else path


def _arguments(text: bytes) -> str:
    """A command line that a shell would read back; programs separate with the unit separator."""
    words = text.decode("utf-8", "replace").removesuffix("\x1f").split("\x1f")
    return shlex.join(words) if text else ""


def _nanoseconds(number: int) -> int:
    """Sums are kept in nanoseconds where one event is often shorter than a microsecond."""
    return int(number) // 1000


DECODERS: dict[str, Callable[[Any], Any]] = {
    "arguments": _arguments,
    "cgroup": _Cgroups(),
    "device": _device,
    "errno": _errno,
    "nanoseconds": _nanoseconds,
    "signal": _signal,
    "syscall": syscall_name,
    "user": _user,
}
