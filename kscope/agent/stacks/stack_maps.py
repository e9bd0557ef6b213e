"""Stack ids become folded text, from the stack maps of `stacks.h`."""

import ctypes
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kscope.agent.rows.interval import LossCounts
from kscope.agent.stacks.symbols import Symbols
from kscope.agent.stacks.walk import End, Walk
from kscope.client.frames import KERNEL_SUFFIX, LOST, NO_STACK, folded

# As in stacks.h: the maps by length of stack, and what an id holds above its hash.
GENERATION_BIT, LENGTH_BIT = 30, 28
_LENGTHS = {"ks_short_stacks": 0, "ks_middle_stacks": 32, "ks_long_stacks": 128}
WAKER = "--"
WAKER_KSTACK = "waker_kstack"
INTERRUPT = b"[interrupt]"
# The kernel's entry code for interrupts, on x86 and on arm64.
_INTERRUPT_ENTRY = re.compile(r"(asm_sysvec_\w+|asm_common_interrupt|el[01][ht]_64_irq)_\[k\]")


class StackMaps:
    """`bpf` is a loaded bcc.BPF whose program uses `ks_stack`, which keeps `depth` frames."""

    def __init__(self, bpf: Any, symbols: Symbols, depth: int) -> None:
        self._maps = [bpf[name] for name, least in _LENGTHS.items() if depth > least]
        self._symbols = symbols
        self._walked: dict[int, Walk] = {}

    def disown(self, holder: Any) -> None:
        """If an interrupt ended a sleep, remove the interrupted thread as the waker.

        `holder` is a key. Nothing changes if it does not have the fields `waker_kstack`,
        `waker_ustack`, `waker_tgid` and `waker_comm`.
        """
        stack_id = getattr(holder, WAKER_KSTACK, NO_STACK)
        if stack_id < 0:
            return
        walk = self._walk(stack_id)
        if walk and ends_in_interrupt(self._symbols.kernel_frames(walk)) is not None:
            holder.waker_tgid = 0
            holder.waker_ustack = NO_STACK
            holder.waker_comm = INTERRUPT

    def text(self, holder: Any, fields: Sequence[str], loss: LossCounts) -> str:
        """Return the folded stack, root first.

        `fields` are innermost first, as `kstack, ustack`; the process of a user half is in the
        field `tgid` next to it. The stack of a waker (`waker_kstack`) follows behind `--`, leaf
        to root; alone, it is an ordinary stack.
        """
        own: list[str] = []
        waker: list[str] = []
        for field in fields:
            prefix = field.removesuffix("kstack").removesuffix("ustack")
            frames = self._frames(holder, field, prefix, loss)
            (waker if prefix else own).extend(frames)
        if len({field.startswith("waker_") for field in fields}) == 1:
            own, waker = own + waker, []
        own.reverse()
        return folded([*own, WAKER, *waker] if waker else own)

    def _frames(self, holder: Any, field: str, prefix: str, loss: LossCounts) -> list[str]:
        stack_id = getattr(holder, field)
        kernel = field.endswith("kstack")
        lost = [LOST + KERNEL_SUFFIX * kernel]
        if stack_id < 0:
            return [] if stack_id == NO_STACK else lost
        walk = self._walk(stack_id)
        if walk is None:
            loss.stacks_other += 1
            return lost
        loss.stacks_truncated += walk.end in {End.TRUNCATED, End.PYTHON_CUT}
        if kernel:
            frames = self._symbols.kernel_frames(walk)
            return frames[: ends_in_interrupt(frames)] if field == WAKER_KSTACK else frames
        return self._symbols.user_frames(getattr(holder, prefix + "tgid"), walk, loss)

    def _walk(self, stack_id: int) -> Walk | None:
        """Return the stack; None if the map has lost it."""
        if stack_id not in self._walked:
            try:
                stack = self._maps[stack_id >> LENGTH_BIT & 3][ctypes.c_uint(stack_id)]
            except KeyError:
                return None
            self._walked[stack_id] = Walk(tuple(stack.frames[: stack.n]), End(stack.end))
        return self._walked[stack_id]

    def forget(
        self, generation: int, waiting: Mapping[Any, Any], summed: Mapping[Any, Any]
    ) -> None:
        """Delete the stacks of a generation, except those of waiting threads and of new keys.

        A thread that stops waiting is added to `summed` before it leaves `waiting`. So, if they
        are read in this order, one of the two has it.
        """
        held = _stack_ids(waiting.values()) | _stack_ids(summed.keys())
        for table in self._maps:
            for key in list(table.keys()):
                if key.value >> GENERATION_BIT == generation and key.value not in held:
                    del table[key]
        self._walked.clear()


def ends_in_interrupt(frames: Sequence[str]) -> int | None:
    """Return the number of frames, leaf first, that belong to an interrupt; None without one."""
    entries = (i + 1 for i, name in enumerate(frames) if _INTERRUPT_ENTRY.fullmatch(name))
    return next(entries, None)


def _stack_ids(structs: Iterable[Any]) -> set[int]:
    """Return every stack id in the structs, or in their members `key`."""
    ids: set[int] = set()
    names: list[str] | None = None
    for struct in structs:
        holder = getattr(struct, "key", struct)
        if names is None:
            fields = (name for name, *_ in getattr(holder, "_fields_", ()))
            names = [name for name in fields if name.endswith(("kstack", "ustack"))]
        ids.update(getattr(holder, name) for name in names)
    return ids
