"""Addresses of the kernel to symbol names, from /proc/kallsyms."""

import bisect
import functools
import threading
import time
from array import array
from pathlib import Path

from kscope.errors import KscopeError

KALLSYMS = Path("/proc/kallsyms")
# The kernel's half of the address space starts here, on x86 and on arm64.
_KERNEL = 1 << 63
_ALL = (1 << 64) - 1
_LARGEST = 1 << 24  # bytes of one symbol; what is further away is not inside it
_MOST_SYMBOLS = 2_000_000


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
    """Names of addresses. The table is read again if a module was loaded."""

    _REREAD = 60.0  # seconds

    def __init__(self) -> None:
        self._table: Ksyms | None = None
        self._read = 0.0
        self._reading = threading.Lock()

    def load(self) -> Ksyms:
        """Return the table; KscopeError if the kernel does not show it."""
        return self._table or self._newer(0.0)

    def __call__(self, address: int) -> str:
        """Return the name of an address. Thread-safe: no thread finds the table missing."""
        return self._table_for(address).name(address)

    def function(self, address: int) -> str:
        """Return the function that an address is in; '' outside every symbol. Thread-safe."""
        return self._table_for(address).function(address)[0]

    def _table_for(self, address: int) -> Ksyms:
        read, table = self._read, self.load()
        if not table.function(address)[0] and time.monotonic() - read > self._REREAD:
            return self._newer(read)
        return table

    def _newer(self, read: float) -> Ksyms:
        """Return a table that was read after `read`, which one thread reads for all."""
        with self._reading:
            if self._table is None or self._read <= read:
                self._table, self._read = Ksyms(KALLSYMS), time.monotonic()
            return self._table


@functools.cache
def kernel_names() -> KernelNames:
    """Return the names that all of this process's probes share."""
    return KernelNames()
