"""Hold a stack that the agent shows against what is true of the thread."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Self

from tests.stacks.oracle import plain

_FRAME = re.compile(r"(?P<name>.*?)(?: \[(?!clone )(?P<file>[^\[\]]+)\])?")
_NAMELESS = re.compile(r"(?P<file>.+)\+0x(?P<address>[0-9a-f]+)(@[0-9a-f]+)?")
_MARK = re.compile(r"\[(truncated|broken|lost stack)\b.*")
_MANGLED = re.compile(r"_Z[NLTSK0-9]|_R[NICMYXV]|.*\$(u[0-9a-f]{2}|[A-Z]{2})\$")
_KERNEL = "_[k]"
# The kernel's first instruction in a thread, or the code that glibc has there, which nothing calls;
# and the functions of Go's runtime that begin on an empty stack.
_STARTS = {"start", "libc_start_call_main", "clone", "clone3", "start_thread"}
_GO_STARTS = ("goexit", "mstart", "mcall", "morestack", "rt0_go")
_STARTS |= {f"runtime.{name}" for name in _GO_STARTS}
# Each process of Erlang returns to it.
_STARTS.add("$erts_beamasm:normal_exit/0-CodeInfoPrologue")


@dataclass(frozen=True)
class Truth:
    """The frames of a thread's stacks.

    `calls`: its own functions, root first; each is a pattern of the name, with ` [file]` if the
    function is not in the program's own file. `wait` is the pattern of the library functions that
    may stand beside them while it waits. Without one, any function that its file has may.
    Without `calls` nothing is known but that.
    """

    calls: tuple[str, ...] = ()
    wait: str = ""

    def position(self, frame: Frame, after: int) -> int:
        """Return which call of the chain a frame is, not before `after`; -1 if nowhere."""
        places = range(after, len(self.calls))
        return next((i for i in places if frame.is_like(self.calls[i])), -1)

    def is_own(self, frame: Frame) -> bool:
        return any(frame.is_like(call) for call in set(self.calls))


@dataclass
class Sums:
    """Of a kind: waits and their stacks, frames, and the frames that have a wrong name.

    `known` are the waits whose calls are known; `complete` are those that show all, in order.
    `time` is that of the waits, in microseconds, and `rooted_time` the part that is `rooted`.
    """

    waits: int = 0
    known: int = 0
    complete: int = 0
    rooted: int = 0
    time: int = 0
    rooted_time: int = 0
    frames: int = 0
    named: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Sums) -> Self:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


@dataclass(frozen=True)
class Frame:
    """`name` is what the agent says, empty without a name; `true` is what it stands for, plain."""

    text: str
    name: str
    file: str
    true: str

    def is_like(self, call: str) -> bool:
        file = f" [{self.file}]" if self.file else ""
        return any(re.fullmatch(call, name + file) for name in (self.true, self.name))


# Of a file and a function as the agent says it: whether there is such a function.
Known = Callable[[str, str], bool]
# Of a file and an address: the function that starts there, "" if that is not known, None if none.
Starts = Callable[[str, int], str | None]


class Judge:
    """Of one process: what it has said of a frame holds for the next one."""

    def __init__(self, known: Known, starts: Starts) -> None:
        self._known = cache(known)
        self._starts = starts
        self._frame = cache(self._parsed)
        self._is_own = cache(Truth.is_own)

    def judged(self, stack: str, truths: Sequence[Truth], waits: int, *, whole: bool) -> Sums:
        """Judge one row by the truth that fits best.

        `whole`: the thread was in the innermost call when it left the CPU.
        """
        texts = [text for text in stack.split(";") if not text.endswith(_KERNEL)]
        frames = [self._frame(text) for text in texts if not _MARK.fullmatch(text)]
        if not frames and not whole:
            return Sums()
        all_sums = (self._sums(frames, truth, waits, whole=whole) for truth in truths)
        sums = min(all_sums, key=lambda one: (one.wrong.total(), -one.complete))
        if frames and frames[0].true in _STARTS and not any(map(_MARK.fullmatch, texts)):
            sums.rooted = waits
        if sums.complete < sums.known or sums.rooted < waits or sums.wrong:
            sums.examples[";".join(texts)] += waits
        return sums

    def _sums(self, frames: Sequence[Frame], truth: Truth, waits: int, *, whole: bool) -> Sums:
        sums = Sums(waits, frames=waits * len(frames))
        sums.named = waits * sum(bool(frame.name) for frame in frames)
        own = self._place(frames, truth, sums, whole=whole)
        if truth.calls:
            # A thread that was interrupted may have been in any of its calls.
            expected = len(truth.calls) if whole else max(own, default=0) + 1
            sums.known = waits
            sums.complete = waits * (own == list(range(expected)))
        return sums

    def _place(
        self, frames: Sequence[Frame], truth: Truth, sums: Sums, *, whole: bool
    ) -> list[int]:
        """Return which calls of the chain the frames are; count the names that cannot be true."""
        own: list[int] = []
        for frame in frames:
            if self._is_own(truth, frame):
                place = truth.position(frame, own[-1] + 1 if own else 0)
                if place >= 0:
                    own.append(place)
                    continue
            elif not frame.true or self._possible(frame, truth, whole=whole):
                continue
            sums.wrong[frame.text] += sums.waits
        return own

    def _possible(self, frame: Frame, truth: Truth, *, whole: bool) -> bool:
        if truth.wait and whole:
            return re.fullmatch(truth.wait, frame.true) is not None
        return self._known(frame.file, frame.name or frame.true)

    def _parsed(self, text: str) -> Frame:
        found = _FRAME.fullmatch(text)
        assert found
        file, name = found["file"] or "", found["name"]
        nameless = _NAMELESS.fullmatch(name)
        if nameless:
            true = self._starts(nameless["file"], int(nameless["address"], 16))
            return Frame(text, "", file, "no function" if true is None else true)
        if not name or text.startswith("[unknown]") or _MANGLED.match(name):
            return Frame(text, "", file, "")
        return Frame(text, name, file, plain(name))
