"""Aggregates: how the values of many events become one number."""

from collections.abc import Mapping
from types import MappingProxyType

from kscope.declare.model import Column
from kscope.declare.types.base import Role

# Those that a database computes by itself, and what each is.
SIMPLE: Mapping[str, str] = MappingProxyType(
    {
        "sum": "the total",
        "count": "the number of events",
        "avg": "the mean per event",
        "min": "the least, of rows' means",
        "max": "the greatest, of rows' means",
    }
)
# The value of the newest row: the mean of its events, as of a gauge.
LAST = "last"
# Those of a total that is the sum of its parts.
ADDING = ("sum", "count")
# Name -> the share of events that are smaller.
QUANTILES: Mapping[str, float] = MappingProxyType({"p50": 0.5, "p90": 0.9, "p99": 0.99})
NAMES = (*SIMPLE, LAST, *QUANTILES)


def allowed(value: Column | None) -> tuple[str, ...]:
    """Return the aggregates of a value column, or of the number of rows (None)."""
    if value is None:
        return ADDING
    return tuple(QUANTILES) if value.type.role is Role.HISTOGRAM else NAMES


def suggested(value: Column | None) -> str:
    """Return the aggregate of a value if none is selected."""
    usual = value.type.aggregate if value else "sum"
    return usual if usual in allowed(value) else allowed(value)[0]
