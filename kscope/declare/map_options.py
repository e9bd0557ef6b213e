"""The options of every probe: how much its maps hold."""

from kscope.declare.model import Option
from kscope.declare.types import TYPES

_NUMBER = TYPES["int"]
KEYS = Option(
    "keys", _NUMBER, 16384, "KS_KEYS", "how many keys each of the probe's maps holds",
    least=64, most=1 << 22,
)  # fmt: skip
STACKS = Option(
    "stacks", _NUMBER, 16384, "KS_STACKS", "how many stacks an interval may have",
    least=64, most=1 << 20,
)  # fmt: skip
# The most is the kernel's own default limit; maps are as large as the depth says.
DEPTH = Option(
    "depth", _NUMBER, 127, "KS_DEPTH", "how many frames of a stack are kept, leaf first",
    least=1, most=127,
)  # fmt: skip
NAMES = frozenset(option.name for option in (KEYS, STACKS, DEPTH))
