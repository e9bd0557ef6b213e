"""Points in time: ISO 8601 in requests, microseconds since 1970 in the database."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from kscope.declare.types.base import ColumnType, Role, Storage, text_type
from kscope.declare.types.kernel import KernelField, Kind, whole_number

# ISO 8601, the offset optional. It refuses what cannot be a time; `microseconds` decides.
_PATTERN = "^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(:\\d\\d([.,]\\d{1,9})?)?(Z|[+-]\\d\\d:?\\d\\d)?$"
# Unlike JSON Schema's, Python's $ also matches before a line's end.
_TIME = re.compile(_PATTERN.removesuffix("$") + r"\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(text: str) -> int:
    """Return microseconds since 1970 of ISO 8601, UTC if it has no offset. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text if _TIME.match(text) else "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not a time such as 2026-11-23T02:46:15Z") from None


def _moment(raw: Any) -> str:
    """Return the wall clock's time of a value of bpf_ktime_get_ns()."""
    seconds = (time.time_ns() - time.monotonic_ns() + whole_number(raw)) / 1e9
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


TIMESTAMP = ColumnType(
    name="timestamp",
    help="a point in time: ISO 8601, UTC if it has no offset",
    storage=Storage.TIME,
    role=Role.IDENTITY,
    wire=text_type(40, _PATTERN),
    example="2026-11-23T02:46:15Z",
    kernel=KernelField(
        frozenset({Kind.NUMBER}), "nanoseconds of bpf_ktime_get_ns() in a u64", read=_moment
    ),
    encode=microseconds,
    nullable=True,
    option=False,
)
TYPES = (TIMESTAMP,)
