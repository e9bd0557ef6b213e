"""A stack as BPF stores it: its frames, and why the walk ended; see stacks.h."""

from dataclasses import dataclass
from enum import IntEnum

# Where a user frame is: a file's number, then the offset in it. File 0: an address in no file.
FILE_BIT = 48
OFFSET = (1 << FILE_BIT) - 1
VDSO = 1
PYTHON = 0xFFFF


class End(IntEnum):
    """Why a walk ended, as `enum ks_end`."""

    CONTINUES = 0
    ROOTED = 1
    TRUNCATED = 2
    NO_CODE = 3
    NO_MEMORY = 4
    NO_RULE = 5
    NO_TABLE = 6
    NO_POINTER = 7
    BY_KERNEL = 8
    PYTHON_CUT = 9


# The walks that broke, and how the rows of the agent call that.
BROKEN = {
    End.NO_CODE: "return address outside code",
    End.NO_MEMORY: "stack not in memory",
    End.NO_RULE: "rule of a kind that is not supported",
    End.NO_TABLE: "table not loaded",
    End.NO_POINTER: "no rules and no frame pointer",
}
NAMELESS = "no name"


@dataclass(frozen=True, slots=True)
class Walk:
    """The frames of one stack, leaf first."""

    frames: tuple[int, ...]
    end: End
