"""pprof's profile.proto, compressed as its readers expect.

The messages and their field numbers are those of
https://github.com/google/pprof/blob/main/proto/profile.proto; nine fields of them are written,
for which a protobuf library and its generated code would be a large dependency.
"""

import gzip
import math
from collections.abc import Iterable

from kscope.declare.types.base import INT64_MAX
from kscope.query.answers.stacks import FoldedStacks
from kscope.query.export.base import StackFormat

# pprof scales what is in its own units.
_UNITS = {"us": "microseconds", "bytes": "bytes", "rows": "count"}
_NANOSECONDS = 1000


def _pprof(stacks: FoldedStacks) -> bytes:
    """Encode each frame's name as a function; samples have their frames leaf first."""
    value_column, span = stacks.question.value, stacks.question.scope.range
    texts: dict[str, int] = {"": 0}
    functions: dict[str, int] = {}
    samples = []
    for path, value, _ in sorted(stacks.values):
        places = [functions.setdefault(frame, len(functions) + 1) for frame in path]
        samples.append(_bytes(2, _packed(1, reversed(places)) + _packed(2, [_int64(value)])))
    kind = _number(1, _text(texts, value_column.name))
    kind += _number(2, _text(texts, _UNITS.get(value_column.unit(), "count")))
    named = [
        # A function, and the one location in it.
        _bytes(5, _number(1, place) + _number(2, _text(texts, frame)))
        + _bytes(4, _number(1, place) + _bytes(4, _number(1, place)))
        for frame, place in functions.items()
    ]
    times = _number(9, _int64(span.start * _NANOSECONDS))
    times += _number(10, _int64((span.end - span.start) * _NANOSECONDS))
    table = [_bytes(6, text.encode()) for text in texts]
    body = b"".join([_bytes(1, kind), *samples, *named, *table, times])
    return gzip.compress(body, compresslevel=6, mtime=0)


def _text(texts: dict[str, int], text: str) -> int:
    return texts.setdefault(text, len(texts))


def _int64(value: float) -> int:
    """Values beyond 64 bits stay at the end of the scale."""
    if not math.isfinite(value):
        return 0
    return max(-INT64_MAX, min(round(value), INT64_MAX))


def _varint(number: int) -> bytes:
    # Negative ones are written as their 64-bit complement.
    number &= 2**64 - 1
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _bytes(field, b"".join(map(_varint, values)))


FORMATS = (
    StackFormat(
        name="pprof",
        media_type="application/octet-stream",
        ending="pb.gz",
        help="a profile for pprof",
        encode=_pprof,
        title="pprof",
    ),
)
