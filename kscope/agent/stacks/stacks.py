"""All that turns the stack ids of one loaded program into text."""

from collections import Counter
from typing import Any

from kscope.agent.host import heap
from kscope.agent.rows.interval import Fault
from kscope.agent.stacks.python_names import PythonNames
from kscope.agent.stacks.stack_maps import StackMaps
from kscope.agent.stacks.symbols import PythonSource, Symbols
from kscope.agent.stacks.unwinder import Unwinder


class Stacks:
    """The stacks of one loaded program. `budget` is in bytes; 0 if the kernel walks user stacks."""

    def __init__(self, bpf: Any, depth: int, budget: int) -> None:
        self._unwinder = Unwinder(bpf, budget) if budget else None
        self.symbols = _symbols(bpf, self._unwinder)
        self.maps = StackMaps(bpf, self.symbols, depth)

    def prepare(self, pid: int) -> None:
        """Read what the first stacks of a process need, before it is traced."""
        self.symbols.prime(pid)
        if self._unwinder:
            self._unwinder.prepare(pid)

    def drained(self) -> Counter[Fault]:
        """End an interval: return its faults, and look at processes again in the next one."""
        self.symbols.look_again()
        if self._unwinder:
            self._unwinder.drained()
        heap.give_back()
        return self.symbols.take_faults()

    def close(self) -> None:
        if self._unwinder:
            self._unwinder.close()
        self.symbols.close()


def _symbols(bpf: Any, unwinder: Unwinder | None) -> Symbols:
    if unwinder is None:
        return Symbols(lambda _number: None)
    names = PythonNames(bpf["ks_python_codes"])
    return Symbols(unwinder.file, PythonSource(names, unwinder.has_tail_calls))
