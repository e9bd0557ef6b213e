"""Numbers: those that identify, those that add up, measured ones, and true or false."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from kscope.declare.types.base import INT64_MAX, ColumnType, Role, Storage, whole
from kscope.declare.types.kernel import KernelField, Kind, whole_number
from kscope.declare.types.wire import Meta

COUNT = Annotated[int, Meta(ge=0, le=INT64_MAX)]
_WHOLE = KernelField(frozenset({Kind.NUMBER}), "a whole number", whole_number, takes="a number")


def _real(raw: Any) -> float:
    return raw if isinstance(raw, float) else float(whole_number(raw))


def _truth(raw: Any) -> bool:
    return bool(whole_number(raw))


def _number(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return read(text)
        except ValueError:
            raise ValueError(f"'{text}' is not a number") from None

    return parse


def _true_or_false(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"'{text}' is neither true nor false")
    return text == "true"


def _summed(name: str, text: str, **more: Any) -> ColumnType:
    """Return a type of whole numbers that add up."""
    return ColumnType(
        name=name,
        help=text,
        storage=Storage.INTEGER,
        role=Role.VALUE,
        wire=COUNT,
        kernel=_WHOLE,
        encode=whole,
        parse=_number(int),
        **more,
    )


INT = ColumnType(
    name="int",
    help="a whole number that identifies, such as a pid; never summed, not kept in rollups",
    storage=Storage.INTEGER,
    role=Role.IDENTITY,
    wire=Annotated[int, Meta(ge=-INT64_MAX - 1, le=INT64_MAX)],
    example=1234,
    kernel=replace(_WHOLE, refuses_u64=True),
    encode=whole,
    parse=_number(int),
    unknown=0,
)
COUNTED = _summed("count", "a whole number that adds up", example=1, counts_events=True)
ELAPSED = _summed("elapsed", "a duration in microseconds", example=5123, unit="us", heatmap=True)
BYTES = _summed("bytes", "an amount of data", example=4096, unit="bytes", heatmap=True)
FLOAT = ColumnType(
    name="float",
    help="a measured value such as a load or a share; averaged",
    storage=Storage.REAL,
    role=Role.VALUE,
    wire=Annotated[float, Meta(ge=-1.7e308, le=1.7e308)],
    example=0.5,
    kernel=KernelField(
        frozenset({Kind.NUMBER, Kind.REAL}), "a number", read=_real, takes="a number"
    ),
    encode=float,
    parse=_number(float),
    aggregate="avg",
    signed=True,
)
BOOL = ColumnType(
    name="bool",
    help="true or false",
    storage=Storage.BOOLEAN,
    role=Role.DIMENSION,
    wire=bool,
    example=True,
    kernel=KernelField(frozenset({Kind.NUMBER}), "a whole number (0 is false)", read=_truth),
    encode=int,
    decode=bool,
    parse=_true_or_false,
)
TYPES = (INT, COUNTED, ELAPSED, BYTES, FLOAT, BOOL)
