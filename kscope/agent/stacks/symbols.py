"""Frames become text: kernel addresses, places in files, code of JIT compilers."""

import functools
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kscope.agent.host import processes
from kscope.agent.host.ksyms import kernel_names
from kscope.agent.rows.interval import Fault, LossCounts
from kscope.agent.stacks.binaries import Binary, shared
from kscope.agent.stacks.process import Process
from kscope.agent.stacks.python_names import PythonFrame, PythonNames
from kscope.agent.stacks.python_stack import loops, merged
from kscope.agent.stacks.walk import BROKEN, FILE_BIT, NAMELESS, OFFSET, PYTHON, End, Walk
from kscope.client.frames import KERNEL_SUFFIX, TRUNCATED_FRAME, UNKNOWN, without_own

ANONYMOUS = "[anonymous]"  # memory of no file, which JIT compilers write
BROKEN_FRAME = "[broken]"
# Functions of Go's runtime that begin on an empty stack: what follows is another one's.
_GO_STARTS = re.compile(r"runtime\.(goexit|mstart|mcall|morestack|rt0_go)(\.abi0)?( \[.*\])?")
# At the start of a thread: the kernel does not tell whether its walk got there.
_START = re.compile(r"(_start|__libc_start(_call)?_main|start_thread|_*clone3?)( \[.*\])?")
MAX_PROCESSES = 256
MAX_KERNEL_NAMES = 100_000


@dataclass(frozen=True, slots=True)
class _Text:
    """A frame's text; `binary` is the file that it is in, '' if it has a name."""

    text: str
    nameless_in: str = ""


@dataclass(frozen=True, slots=True)
class PythonSource:
    """The Python functions in stacks; `has_tail_calls` says whether native frames are those of an
    interpreter with a C function for each instruction.
    """

    names: PythonNames
    has_tail_calls: Callable[[Iterable[int]], bool]


class Symbols:
    """Texts of frames. `file` returns a file by the number that BPF gave it."""

    def __init__(
        self, file: Callable[[int], Binary | None], python: PythonSource | None = None
    ) -> None:
        self._file = file
        self._python = python
        self._kernel_name = functools.lru_cache(MAX_KERNEL_NAMES)(self._kernel_function)
        self._processes: OrderedDict[int, Process] = OrderedDict()
        self._looked_at: set[int] = set()
        self._faults: Counter[Fault] = Counter()

    def look_again(self) -> None:
        """Read the processes again when they are next needed. Call this at each drain."""
        self._looked_at.clear()
        self._kernel_name.cache_clear()  # a module can have taken the place of another

    def kernel_frames(self, walk: Walk) -> list[str]:
        """Return the names, leaf first, without the frames that called the probe itself."""
        names = [self._kernel_name(address) for address in _calls(walk.frames)]
        if walk.end is End.TRUNCATED:
            names.append(TRUNCATED_FRAME)
        return [name + KERNEL_SUFFIX for name in without_own(names)]

    def user_frames(self, pid: int, walk: Walk, loss: LossCounts) -> list[str]:
        """Return the texts, leaf first; a walk that did not reach the root ends in the reason."""
        frames = _calls(walk.frames) if walk.end is End.BY_KERNEL else walk.frames
        native = [frame for frame in frames if frame >> FILE_BIT != PYTHON]
        found = [text for frame in native if (text := self._text(pid, frame))]
        loss.frames += len(found)
        for binary in (each.nameless_in for each in found if each.nameless_in):
            loss.frames_unknown += 1
            self._faults[binary, NAMELESS] += 1
        texts = [each.text for each in found]
        if self._python and len(native) < len(walk.frames):
            texts = self._with_python(texts, walk, native, loss)
        start = next((i for i, text in enumerate(texts) if _is_go_start(text)), None)
        if start is not None:
            return texts[: start + 1]
        end = walk.end
        if end is End.BY_KERNEL and texts and not _START.fullmatch(texts[-1]):
            end = End.NO_POINTER
        return texts + self._missing_root(end, native)

    def _missing_root(self, end: End, native: Sequence[int]) -> list[str]:
        """Return the frame in place of the callers that a walk did not reach; none if it did."""
        if end in BROKEN:
            self._faults[self._binary_of(native[-1:]), BROKEN[end]] += 1
            return [BROKEN_FRAME]
        return [TRUNCATED_FRAME] if end is End.TRUNCATED else []

    def _with_python(
        self, texts: list[str], walk: Walk, native: Sequence[int], loss: LossCounts
    ) -> list[str]:
        assert self._python
        python = self._python.names.frames(walk.frames[len(native) :])
        functions = [frame for frame in python if frame.is_function]
        loss.frames += len(functions)
        loss.frames_unknown += sum(not frame.text for frame in functions)
        if walk.end is End.PYTHON_CUT:
            python.append(PythonFrame(TRUNCATED_FRAME, entered=False))
        spans = loops(texts, tail_calls=self._python.has_tail_calls(native))
        return merged(texts, spans, python, whole=walk.end in {End.ROOTED, End.PYTHON_CUT})

    def take_faults(self) -> Counter[Fault]:
        """Return the faults since the last call: by binary and reason, how many."""
        faults, self._faults = self._faults, Counter()
        return faults

    def prime(self, pid: int) -> Process:
        """Read a process's memory maps now, because they are gone when it exits."""
        process = self._processes.get(pid)
        if process is None or pid not in self._looked_at:
            process = self._up_to_date(pid, process)
            self._looked_at.add(pid)
        self._processes.move_to_end(pid)
        return process

    def close(self) -> None:
        for pid in list(self._processes):
            self._drop(pid)

    def _text(self, pid: int, frame: int) -> _Text | None:
        number, offset = frame >> FILE_BIT, frame & OFFSET
        if number:
            binary = self._file(number)
            return _in_file(binary, offset) if binary else _Text(UNKNOWN, UNKNOWN)
        process = self.prime(pid)
        if place := process.place(offset):
            return _in_file(*place)
        if name := process.compiled(offset):
            return _Text(name)
        return _Text(UNKNOWN, ANONYMOUS) if process.is_code(offset) else None

    def _binary_of(self, frames: Sequence[int]) -> str:
        number = frames[0] >> FILE_BIT if frames else 0
        binary = self._file(number) if number else None
        return binary.name if binary else ANONYMOUS

    def _up_to_date(self, pid: int, process: Process | None) -> Process:
        image = processes.image(pid)
        if process and image is not None and process.image != image:
            self._drop(pid)
            process = None
        if process is None:
            process = self._processes[pid] = Process(pid, shared())
            if len(self._processes) > MAX_PROCESSES:
                self._drop(next(iter(self._processes)))
        process.read()
        return process

    def _drop(self, pid: int) -> None:
        self._processes.pop(pid).close()

    def _kernel_function(self, address: int) -> str:
        return kernel_names().function(address) or UNKNOWN


def _is_go_start(text: str) -> bool:
    return text.startswith("runtime.") and _GO_STARTS.fullmatch(text) is not None


def _calls(frames: Sequence[int]) -> list[int]:
    """Return the addresses of the calls: a walk by the kernel has those behind the calls, where the
    next function can begin.
    """
    return [frame - bool(n) for n, frame in enumerate(frames)]


def _in_file(binary: Binary, offset: int) -> _Text:
    text, named = binary.frame(offset)
    return _Text(text, "" if named else binary.name)
