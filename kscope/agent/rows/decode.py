"""A field of a program's struct becomes a column's value, or a word for it."""

import errno
import functools
import os
import pwd
import re
import shlex
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from kscope.agent.host import kernel
from kscope.agent.host.btf import enum_words
from kscope.agent.host.ksyms import kernel_names
from kscope.agent.host.syscalls import syscall_name
from kscope.agent.rows.convert import field_reader
from kscope.declare.model import Column, Source
from kscope.declare.types.kernel import FieldType, text_of, whole_number


def reader(
    column: Column, source: Source, found: FieldType | None = None
) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that reads `column` from {"key": ..., "value": ...} or {"event": ...}.

    `found` is the field's type, if it is known. Raises KscopeError if the kernel does not show
    what `as` or `enum` needs; the reader itself raises UnfitError.
    """
    read = field_reader(source.fields[0])
    size = found.size if found and found.size else 8
    if source.names or source.enum:
        stated = {int(number): word for number, word in source.names.items()}
        words = enum_words(source.enum) if source.enum else stated
        return lambda entry: _word(words, whole_number(read(entry)), size)
    if source.decode == "hex":
        return lambda entry: hex(whole_number(read(entry)) % (1 << 8 * size))
    if source.decode == "ksym":
        kernel_names().load()
    if source.decode == "arguments":
        return lambda entry: _arguments(read(entry))
    if source.decode:
        decode = DECODERS[source.decode]
        return lambda entry: decode(whole_number(read(entry)))
    convert = column.type.kernel.read
    return lambda entry: convert(read(entry))


def _word(words: Mapping[int, str], number: int, size: int) -> str:
    """Return the number's word, or the number; an unsigned field can contain a negative one."""
    return words.get(number) or words.get(number - (1 << 8 * size)) or str(number)


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
    except (KeyError, OverflowError):
        return str(number)


@functools.lru_cache(4096)
def _device(number: int) -> str:
    """Return the name for the kernel's dev_t: 12 bits of major, 20 of minor."""
    name = f"{number >> 20}:{number & 0xFFFFF}"
    try:
        return os.path.basename(os.readlink(f"/sys/dev/block/{name}"))  # noqa: PTH115, PTH119
    except OSError:
        return name


class _Cgroups:
    """Cgroup ids become paths below the root; that of a container becomes its short name."""

    _REREAD = 5.0  # seconds; there can be thousands of cgroups

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._read = -self._REREAD

    def __call__(self, number: int) -> str:
        if not number:
            return ""
        if number not in self._names and time.monotonic() - self._read >= self._REREAD:
            root = str(kernel.cgroup_root() or "")
            self._names = {
                os.stat(folder).st_ino: container_name(folder.removeprefix(root) or "/")  # noqa: PTH116
                for folder, _, _ in os.walk(root)
            }
            self._read = time.monotonic()
        return self._names.get(number, str(number))


_CONTAINER = re.compile(
    r"(?:^|/)(?:(docker|cri-containerd|crio|libpod|podman|nspawn|lxc)[-/.])?([0-9a-f]{64})(?:\.scope)?$"
)


def container_name(path: str) -> str:
    """`/system.slice/docker-<64 digits>.scope` -> `docker:<12 digits>`; other paths stay."""
    found = _CONTAINER.search(path)
    return f"{found[1] or 'container'}:{found[2][:12]}" if found else path


def _arguments(raw: Any) -> str:
    """Return a command line for a shell; in the kernel, the unit separator is between words."""
    text = text_of(raw)
    words = text.removesuffix("\x1f").split("\x1f")
    return shlex.join(words) if text else ""


def _nanoseconds(number: int) -> int:
    """Return microseconds. Programs sum in nanoseconds if their events are very short."""
    return int(number) // 1000


DECODERS: dict[str, Callable[[Any], Any]] = {
    "arguments": _arguments,
    "cgroup": _Cgroups(),
    "device": _device,
    "errno": _errno,
    "hex": hex,
    "ksym": kernel_names(),
    "nanoseconds": _nanoseconds,
    "signal": _signal,
    "syscall": syscall_name,
    "user": _user,
}
