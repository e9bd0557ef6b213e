"""One process: the code in its memory that is in no file, and mappings that BPF does not know."""

import bisect

from kscope.agent.host import processes
from kscope.agent.stacks.binaries import Binaries, Binary
from kscope.agent.stacks.mappings import Mapping, executable
from kscope.agent.stacks.perf_map import PerfMap, shared_budget


class Process:
    """Raises nothing if the process ends: it then keeps what it read before."""

    def __init__(self, pid: int, binaries: Binaries) -> None:
        self.pid = pid
        self.image = processes.image(pid)
        self._binaries = binaries
        self._perf_map = PerfMap(pid, shared_budget())
        self._mappings: list[Mapping] = []
        self._files: dict[Mapping, Binary | None] = {}

    def read(self) -> None:
        """Read the mappings and the perf map again; forget files that are no longer mapped."""
        self._perf_map.read()
        found = executable(self.pid)
        if not found:
            return
        for mapping in self._files.keys() - set(found):
            self._give_back(mapping)
        self._mappings = found

    def close(self) -> None:
        self._perf_map.close()
        for mapping in list(self._files):
            self._give_back(mapping)

    def is_code(self, address: int) -> bool:
        """Return whether the process maps the address as code; True if that is not known."""
        return not self._mappings or self._mapping(address) is not None

    def compiled(self, address: int) -> str:
        """Return the name of code that is in no file; '' if it has none."""
        return self._perf_map.name(address)

    def place(self, address: int) -> tuple[Binary, int] | None:
        """Return the file and the offset in it, for an address in a file."""
        mapping = self._mapping(address)
        if mapping is None or not mapping.in_file:
            return None
        if mapping not in self._files:
            opened = self._binaries.of(self.pid, mapping.start, mapping.end)
            self._files[mapping] = opened
        binary = self._files[mapping]
        return (binary, address - mapping.start + mapping.offset) if binary else None

    def _mapping(self, address: int) -> Mapping | None:
        at = bisect.bisect_right(self._mappings, address, key=lambda each: each.start) - 1
        found = self._mappings[at] if at >= 0 else None
        return found if found and address < found.end else None

    def _give_back(self, mapping: Mapping) -> None:
        if binary := self._files.pop(mapping):
            self._binaries.release(binary)
