"""Frames without a name: `libx.so.6+0x1a30@BUILDID`, as they are stored, sent and hashed.

They are shown as `function [libx.so.6]` if the symbol table has the build id and the address is in
a function, else as `libx.so.6+0x1a30`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kscope.store.schema.interning import Known

# The end of such a frame, in a frame or in a folded stack. A build id has up to 64 bytes.
_END = r"\+0x([0-9a-f]{1,16})@((?:[0-9a-f]{2}){1,64})"
_IN_STACK = re.compile(rf"{_END}(?=;|\Z)")
_FRAME = re.compile(rf"([^;]+){_END}")
_LAST_ADDRESS = 2**63 - 1
# Every frame without a name contains these two, which databases look for quickly.
ADDRESS, BUILD = "+0x", "@"

_FRAME_BYTES = 16 << 20
_STACK_BYTES = 64 << 20
_BYTES_PER_FRAME = 8
_MOST_WANTED = 1000
_MOST_PLAIN = 400_000

# A stack's, root first.
Frames = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nameless:
    """One such frame. `address` is in the file's own address space; `build` is hexadecimal."""

    file: str
    address: int
    build: str

    def shown(self, function: str) -> str:
        """Return the text of the frame; `function` may be empty."""
        return f"{function} [{self.file}]" if function else f"{self.file}+0x{self.address:x}"


def has_nameless(stack: str) -> bool:
    """Return whether a folded stack has a frame without a name."""
    return _IN_STACK.search(stack) is not None


def nameless(frame: str) -> Nameless | None:
    """Return the parts of a frame without a name; None for any other frame."""
    found = _FRAME.fullmatch(frame)
    if found is None or int(found[2], 16) > _LAST_ADDRESS:
        return None
    return Nameless(found[1], int(found[2], 16), found[3])


class ShownFrames:
    """Results of look-ups in one state of the symbol table. They are not valid for another."""

    def __init__(self, state: str) -> None:
        self.state = state
        # Stored frame -> its shown text.
        self.frames: Known[str, str] = Known(_FRAME_BYTES, len)
        # Id of a stack that has nameless frames -> its shown frames.
        self.stacks: Known[int, Frames] = Known(_STACK_BYTES, size_of)


@dataclass(eq=False)
class Names:
    """The names that readers know. `wanted` are build ids that the symbol table does not have.

    `plain` has ids of stacks without such frames: an id is the hash of its text, so that stays so.
    """

    plain: Known[int, bool] = field(default_factory=lambda: Known(_MOST_PLAIN))
    _shown: ShownFrames = field(default_factory=lambda: ShownFrames(""))
    _wanted: dict[str, str] = field(default_factory=dict)

    def at(self, state: str) -> ShownFrames:
        """Return what is known for this state; questions keep the one that they began with."""
        if self._shown.state != state:
            self._shown = ShownFrames(state)
        return self._shown

    def want(self, frames: Iterable[Nameless]) -> None:
        """Note that the table has no file of these frames; the oldest are forgotten first."""
        for each in frames:
            self._wanted.setdefault(each.build, each.file)
        while len(self._wanted) > _MOST_WANTED:
            del self._wanted[next(iter(self._wanted))]

    def wanted(self) -> dict[str, str]:
        """Return build id -> file, and forget them."""
        found, self._wanted = self._wanted, {}
        return found


def size_of(frames: Frames) -> int:
    return sum(map(len, frames)) + _BYTES_PER_FRAME * len(frames)
