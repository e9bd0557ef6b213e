"""Call stacks, folded into one text."""

from kscope.declare.types.base import ColumnType, Defaults, Role, Storage, text_type, whole
from kscope.declare.types.kernel import KernelField, Kind, text_of
from kscope.declare.types.numbers import COUNT

MAX_CHARACTERS = 65536
FOLDED = text_type(MAX_CHARACTERS)
STACK = ColumnType(
    name="stack",
    help="a folded stack, root first, ';' between frames; or an index into the body's `stacks`",
    storage=Storage.STACK_ID,
    role=Role.STACK,
    wire=FOLDED | COUNT,
    example="main;work;wait",
    kernel=KernelField(
        kinds=frozenset({Kind.STACK_ID, Kind.KERNEL_STACK, Kind.USER_STACK}),
        expected="stack ids of ks_stack() in fields named kstack and ustack, or of bpftrace's "
        "kstack or ustack",
        # An engine reads the frames of its ids from other maps.
        read=text_of,
    ),
    encode=whole,
    defaults=Defaults(
        {"type": "string"},
        "{} is not a folded stack: an index says nothing without a request",
    ),
    option=False,
)
TYPES = (STACK,)
