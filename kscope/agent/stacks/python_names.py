"""Names of the Python functions that the BPF program of python.h saw in stacks."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kscope.client.frames import frame_text

# As in python.h.
_ENTERED = 1
_NONE = 0xFFFF << 48 | 2
MAX_NAMES = 1 << 16
_CUT = "..."
# The names of strings by the size of their characters.
_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}


@dataclass(frozen=True, slots=True)
class PythonFrame:
    """A Python function in a stack, `""` without a name.

    `entered` tells that C code called it: its caller in Python, if there is one, runs in another
    C frame. `is_function` is false for a C frame of the interpreter that runs none.
    """

    text: str
    entered: bool
    is_function: bool = True


class PythonNames:
    """Names by frame, those of processes that have ended too.

    `table` is the map `ks_python_codes`. A frame tells functions of different processes, and
    those that were at one address one after the other, so that a name is never another's.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        # None: no function.
        self._names: OrderedDict[int, str | None] = OrderedDict()

    def frames(self, frames: Sequence[int]) -> list[PythonFrame]:
        """Return the Python functions of a walk, without code of the interpreter itself."""
        keys = [frame & ~_ENTERED for frame in frames]
        if not all(key in self._names or key == _NONE for key in keys):
            self._collect()
        found: list[PythonFrame] = []
        for frame, key in zip(frames, keys, strict=True):
            entered = bool(frame & _ENTERED)
            text = None if key == _NONE else self._names.get(key, "")
            if text is not None:
                found.append(PythonFrame(text, entered))
            elif entered and found and not found[-1].entered:
                found[-1] = replace(found[-1], entered=True)
            elif entered:
                found.append(PythonFrame("", entered=True, is_function=False))
        return found

    def _collect(self) -> None:
        """Take over the functions seen since the last time, which makes room for others."""
        for key, code in list(self._table.items()):
            self._names[key.value] = None if code.is_shim else _name(code)
            self._names.move_to_end(key.value)
            del self._table[key]
        while len(self._names) > MAX_NAMES:
            self._names.popitem(last=False)


def _name(code: Any) -> str:
    """Return `function file.py:line`, '' if the strings are not what they should be."""
    function, _ = _text(code.name)
    path, is_whole = _text(code.file)
    *folders, file = path.split("/")
    if not function or not file:
        return ""
    if not is_whole and not folders:
        file = _CUT + file
    return frame_text(f"{function} {file}:{code.line}")


def _text(text: Any) -> tuple[str, bool]:
    """Return the characters, dots for a missing end, and whether they are all."""
    kind = text.state >> 2 & 7
    encoding = _ENCODINGS.get(kind)
    if encoding is None:
        return "", True
    found = bytes(text.bytes[: text.size]).decode(encoding, "replace")
    end = text.start + text.size
    is_whole = text.size == text.length * kind
    return found + _CUT * (end < text.length * kind), is_whole
