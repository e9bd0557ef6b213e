"""The frames of a sample: a line each, with an address, a name and a map."""

import re
from dataclasses import dataclass

from kscope.profiles.frames import KERNEL, UNKNOWN
from kscope.readers.perf.maps import file_name, is_compiled, is_kernel

_HEX = re.compile(r"[0-9a-f]{1,16}")
_OFFSET = re.compile(r"\+0x[0-9a-f]+$")
_INLINED = "inlined"
# The beginning of a map, where the line was cut off.
_CUT_OFF = re.compile(r" \([/\[][^()]{0,4096}$")
# perf-map-agent writes the functions that were inlined behind the one that they are in.
_INTO = re.compile(r"(?<!operator)->")
# As in Lorg/example/Server;::run; long ones are cut off.
_JAVA_CLASS = re.compile(r"^L(?=[\w$]+/)")
_MOST_BRACKETS = 8
_LONGEST_COMM = 15
# Characters of the lines that are kept, with something for each.
_MOST_KEPT = 2**25
_OVERHEAD = 200


@dataclass(frozen=True, slots=True)
class Frame:
    """An address, its name, and the map that it is in.

    The name is None if perf printed none; the map is empty if it is not known.
    """

    address: int
    name: str | None
    place: str


def frame_of(line: str) -> Frame | None:
    """Return the frame of a line such as `  7f2c3b1d poll+0x1c (/usr/lib/libc.so.6)`, or None."""
    address, _, rest = line.strip().partition(" ")
    if not _HEX.fullmatch(address):
        return None
    name, place = _split(rest)
    return Frame(int(address, 16), name, place)


def _split(rest: str) -> tuple[str | None, str]:
    """Return the name without its offset, and the map, which ends the line in brackets."""
    if not rest:
        return None, ""
    start = _map_start(rest) if rest.endswith(")") else -1
    place = _OFFSET.sub("", rest[start + 1 : -1]) if start >= 0 else ""
    if start == 0:
        return None, place
    name = rest[:start] if start > 0 else _CUT_OFF.sub("", rest)
    return _OFFSET.sub("", name.strip()) or UNKNOWN, place


def _map_start(rest: str) -> int:
    """Return where the bracket opens that the line's end closes; -1 if none does."""
    end = len(rest)
    for _ in range(_MOST_BRACKETS):
        end = rest.rfind("(", 0, end)
        if end < 0 or (rest[end - 1 : end] in ("", " ") and _balanced(rest, end)):
            return end
    return -1


def _balanced(rest: str, start: int) -> bool:
    return rest.count("(", start) == rest.count(")", start)


class FrameNames:
    """The names of frames, as our probes write them. Lines repeat, so their names are kept.

    `known` has the names of those lines that mean the same in every process.
    """

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, ...]] = {}
        self._of_process: dict[tuple[str, str], tuple[str, ...]] = {}
        self._kept = 0
        self.process = ""

    def of(self, line: str) -> tuple[str, ...]:
        """Return the names of the line's functions, the innermost first; () if it is no frame."""
        process = self.process[:_LONGEST_COMM]
        names = self.known.get(line) or self._of_process.get((process, line))
        if names is not None:
            return names
        frame = frame_of(line)
        names = _names(frame) if frame else ()
        if names is not None:
            self._make_room(line)
            self.known[line] = names
        elif frame:
            self._make_room(line)
            names = (
                _named(frame, own=bool(process) and file_name(frame.place).startswith(process)),
            )
            self._of_process[process, line] = names
        return names or ()

    def _make_room(self, line: str) -> None:
        self._kept += len(line) + _OVERHEAD
        if self._kept > _MOST_KEPT:
            self.known.clear()
            self._of_process.clear()
            self._kept = len(line) + _OVERHEAD


def _names(frame: Frame) -> tuple[str, ...] | None:
    """Return the names that a frame has in every process; None if they depend on it."""
    if frame.place == _INLINED:
        return (_text(frame),)
    if is_kernel(frame.address, frame.place):
        return (f"{_text(frame)}{KERNEL}",)
    if is_compiled(frame.place):
        parts = _INTO.split(_text(frame))
        return tuple(_JAVA_CLASS.sub("", part, count=1) for part in reversed(parts))
    file = file_name(frame.place)
    if file.startswith("[") or ".so" in file or "." not in file:
        return (_named(frame, own="." not in file and not file.startswith("[")),)
    return None


def _named(frame: Frame, *, own: bool) -> str:
    """Return the name with its file, unless that is the program's own: libraries have a suffix."""
    name = _text(frame)
    return name if own and name != UNKNOWN else f"{name} [{file_name(frame.place).strip('[]')}]"


def _text(frame: Frame) -> str:
    return f"0x{frame.address:x}" if frame.name is None else frame.name
