"""Addresses of the kernel to symbol names, from /proc/kallsyms."""

import bisect
import functools
import math
import re
import threading
import time
from array import array
from pathlib import Path

from kscope.errors import KscopeError

KALLSYMS = Path("/proc/kallsyms")
MODULES = Path("/proc/modules")
# The kernel's half of the address space starts here, on x86 and on arm64.
_KERNEL = 1 << 63
_ALL = (1 << 64) - 1
_LARGEST = 1 << 24  # bytes of one symbol; what is further away is not inside it
_MOST_SYMBOLS = 2_000_000
# Programs come and go beside each other, and no file of the kernel says when.
_OF_BPF = re.compile(r"bpf_prog_[0-9a-f]{16}|bpf_trampoline_\d")


class Ksyms:
    """A sorted table of addresses, and a name for each: a hundred thousand, so they are packed."""

    def __init__(self, path: Path) -> None:
        addresses, ends, self._names = _read(path)
        order = sorted(range(len(addresses)), key=addresses.__getitem__)
        self._addresses = array("Q", (addresses[at] for at in order))
        # Each name is in front of the next one, in the order of the file.
        self._starts = array("I", (ends[at - 1] if at else 0 for at in order))
        self._ends = array("I", (ends[at] for at in order))
        if not order:
            raise KscopeError(
                f"{path} does not show addresses; run as root or with CAP_SYSLOG, or use as: hex"
            )

    def name(self, address: int) -> str:
        """Return `schedule+0x1a`, `schedule` at its first byte, or hex outside every symbol."""
        function, offset = self.function(address)
        if not function:
            return f"{address & _ALL:#x}"
        return f"{function}+{offset:#x}" if offset else function

    def function(self, address: int) -> tuple[str, int]:
        """Return the symbol in front of an address and how far; '' outside every symbol."""
        address &= _ALL
        at = bisect.bisect_right(self._addresses, address) - 1
        offset = address - self._addresses[at] if at >= 0 else _LARGEST
        if offset >= _LARGEST:
            return "", 0
        return self._names[self._starts[at] : self._ends[at]].decode("ascii", "replace"), offset


def _read(path: Path) -> tuple["array[int]", "array[int]", bytes]:
    """Return the addresses, where each name ends, and the names one behind the other."""
    addresses, ends, names = array("Q"), array("I"), bytearray()
    try:
        with path.open("rb") as lines:
            for line in lines:
                address, _, name, *_ = line.split(None, 3)
                if (number := int(address, 16)) >= _KERNEL and len(addresses) < _MOST_SYMBOLS:
                    addresses.append(number)
                    names += name
                    ends.append(len(names))
    except OSError as error:
        raise KscopeError(
            f"{path} cannot be read ({error.strerror}); run as root, or use as: hex"
        ) from None
    return addresses, ends, bytes(names)


class KernelNames:
    """Names of addresses. At most once a minute, the table is read again: if a module was loaded,
    or if an address is near a BPF program.
    """

    _REREAD = 60.0  # seconds

    def __init__(self) -> None:
        self._table: Ksyms | None = None
        self._read = 0.0
        self._failed = -math.inf
        self._looked = 0.0
        self._modules = 0
        self._reading = threading.Lock()

    def load(self) -> Ksyms:
        """Return the table; KscopeError if the kernel does not show it."""
        return self._table or self._newer(0.0)

    def __call__(self, address: int) -> str:
        """Return the name of an address. Thread-safe: no thread finds the table missing."""
        return self._table_for(address).name(address)

    def function(self, address: int) -> str:
        """Return the function that an address is in; '' outside every symbol. Thread-safe.

        '' also if the kernel does not show its addresses: a stack is of use without these names.
        """
        if self._table is None and time.monotonic() - self._failed <= self._REREAD:
            return ""
        try:
            return self._table_for(address).function(address)[0]
        except KscopeError:
            self._failed = time.monotonic()
            return ""

    def _table_for(self, address: int) -> Ksyms:
        read, table = self._read, self.load()
        if time.monotonic() - read <= self._REREAD:
            return table
        name = table.function(address)[0]
        if name and not _OF_BPF.match(name) and not self._has_changed():
            return table
        return self._newer(read)

    def _has_changed(self) -> bool:
        """Return whether modules were loaded since the table was read: they may be anywhere."""
        if time.monotonic() - self._looked <= self._REREAD:
            return False
        self._looked = time.monotonic()
        return _modules() != self._modules

    def _newer(self, read: float) -> Ksyms:
        """Return a table that was read after `read`, which one thread reads for all.

        The last one stays if the kernel has stopped to show its addresses.
        """
        with self._reading:
            if self._table is None or self._read <= read:
                modules = _modules()
                try:
                    self._table = Ksyms(KALLSYMS)
                except KscopeError:
                    if self._table is None:
                        raise
                self._modules, self._read = modules, time.monotonic()
            return self._table


def _modules() -> int:
    """Return a hash of the modules that are loaded, by name, size and address."""
    try:
        lines = [line.split() for line in MODULES.read_bytes().splitlines()]
    except OSError:
        return 0
    return hash(tuple((*fields[:2], *fields[5:6]) for fields in lines))


@functools.cache
def kernel_names() -> KernelNames:
    """Return the names that all of this process's probes share."""
    return KernelNames()
