"""Text: names that repeat, words, and everything else."""

from kscope.declare.types.base import ColumnType, Role, Storage, text_type
from kscope.declare.types.kernel import KernelField, Kind, text_of

_FIELD = KernelField(
    kinds=frozenset((Kind.NUMBER, Kind.REAL, Kind.TEXT, Kind.OCTETS, Kind.ADDRESS)),
    expected="text or a number",
    read=text_of,
    takes="text",
)

STRING = ColumnType(
    name="string",
    help="a name that repeats: a process, a device, a function",
    storage=Storage.STRING_ID,
    role=Role.DIMENSION,
    wire=text_type(1024),
    example="nginx",
    kernel=_FIELD,
    group_rank=2,
    unknown="",
    widens_to=frozenset({"label"}),
)
LABEL = ColumnType(
    name="label",
    help="one of a few words, such as a state or a reason; charts group by it first",
    storage=Storage.STRING_ID,
    role=Role.DIMENSION,
    wire=text_type(256),
    example="blocked",
    kernel=_FIELD,
    group_rank=1,
    unknown="",
    widens_to=frozenset({"string"}),
)
TEXT = ColumnType(
    name="text",
    help="text that rarely repeats, such as a path or a command line; not kept in rollups",
    storage=Storage.TEXT,
    role=Role.IDENTITY,
    wire=text_type(8192),
    example="/etc/hosts",
    kernel=_FIELD,
    unknown="",
)
TYPES = (STRING, LABEL, TEXT)
