"""pprof's profile.proto, compressed as its readers expect.

The messages and their field numbers are those of
https://github.com/google/pprof/blob/main/proto/profile.proto. Parca wants ids that count from 1,
and a type of the period; Pyroscope and Parca know times in nanoseconds only.
"""

import gzip
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kscope.declare.types.base import INT64_MAX
from kscope.declare.units import readable
from kscope.profiles.wire import packed, written
from kscope.query.answers.compare import Comparison
from kscope.query.answers.stacks import FoldedStacks
from kscope.query.answers.tree import Path
from kscope.query.export.base import StackFormat
from kscope.query.export.frames import EMPTY, UNNAMED, paths

_NANOSECONDS = 1000
_COUNT = "count"
# The unit of a column -> pprof's, which it scales, and how many of them are one of ours.
_UNITS = {"us": ("nanoseconds", _NANOSECONDS), "bytes": ("bytes", 1)}
# The mark of samples that `pprof -diff_base` puts into a profile: percentages are of their sum.
_BASE = ("pprof::base", "true")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of values: its name and its unit in pprof; values are multiplied by `factor`."""

    name: str
    unit: str = _COUNT
    factor: int = 1

    @classmethod
    def of(cls, name: str, unit: str) -> "_Kind":
        return cls(name, *_UNITS.get(unit, (_COUNT, 1)))

    def value(self, value: float) -> int:
        """Values beyond 64 bits stay at the end of the scale."""
        if not math.isfinite(value):
            return 0
        return max(-INT64_MAX, min(round(value * self.factor), INT64_MAX))


@dataclass(frozen=True, slots=True)
class _Sample:
    path: Path
    values: tuple[int, ...]
    base: bool = False


@dataclass(frozen=True, slots=True)
class _Period:
    """So many of its unit lie between two samples; 1 of a count where each event is a sample."""

    kind: _Kind
    length: int = 1


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables of a profile: texts, and functions by their names, each with its location."""

    texts: dict[str, int] = field(default_factory=lambda: {"": 0})
    functions: dict[str, int] = field(default_factory=dict)

    def text(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def kind(self, kind: _Kind) -> bytes:
        unit = written(2, self.text(kind.unit))
        return written(1, self.text(kind.name)) + unit

    def sample(self, sample: _Sample) -> bytes:
        """Encode a sample: its locations, leaf first, its values, and the mark of a base."""
        path = [name or UNNAMED for name in sample.path] or [EMPTY]
        places = [self.functions.setdefault(name, len(self.functions) + 1) for name in path]
        made = packed(1, reversed(places)) + packed(2, sample.values)
        if sample.base:
            key, text = map(self.text, _BASE)
            made += written(3, written(1, key) + written(2, text))
        return made

    def described(self) -> list[bytes]:
        """Encode each function, and the one location in it."""
        return [
            written(5, written(1, place) + written(2, self.text(name)))
            + written(4, written(1, place) + written(4, _line(place)))
            for name, place in self.functions.items()
        ]


def _line(function: int) -> bytes:
    return written(1, function)


def _pprof(stacks: FoldedStacks) -> bytes:
    """Encode the value of each stack and, if the category counts them, its events.

    The value is the first type and the default.
    """
    value, category = stacks.question.value, stacks.question.scope.category
    kinds = [_Kind.of(value.name, value.unit())]
    if category.count and value.column not in (None, category.count):
        kinds.append(_Kind(category.count.name))
    sums: defaultdict[Path, list[Any]] = defaultdict([0, 0].copy)
    for path, amount, events in stacks.values:
        found = sums[path]
        found[0] += amount
        found[1] += events
    samples = [
        _Sample(path, tuple(kind.value(each) for kind, each in zip(kinds, found, strict=False)))
        for path, found in sorted(sums.items())
    ]
    span = stacks.question.scope.range
    sampled = value.column is not None and bool(value.column.sampled_by)
    period = _period(kinds, samples, sampled=sampled)
    return _written(kinds, period, samples, (span.start, span.end), [stacks.title])


def _period(kinds: Sequence[_Kind], samples: Sequence[_Sample], *, sampled: bool) -> _Period:
    """Return the mean time between two samples of a clock; one event where each is traced."""
    if len(kinds) < 2:
        return _Period(kinds[0])
    total, events = (sum(each.values[i] for each in samples) for i in (0, 1))
    return _Period(kinds[0], round(total / events)) if sampled and events else _Period(kinds[1])


def _differences(answer: Comparison) -> bytes:
    """Encode what `pprof -diff_base` makes of two profiles: the base's samples count negative."""
    kind = _Kind.of(answer.value_column, answer.unit)
    samples = []
    for path, i in paths(answer):
        now, base = kind.value(answer.own[i]), kind.value(answer.base_own[i] * answer.scale)
        samples += [_Sample(path, (now,)), _Sample(path, (-base,), base=True)]
    comments = [
        f"{answer.table}: {answer.value_column}, compared",
        f"total: {readable(answer.total, answer.unit)}",
        f"total of the base: {readable(answer.base_total, answer.unit)}",
    ]
    if answer.mode == "normalised":
        comments.append(f"the base is multiplied by {answer.scale:.6g}")
    span = (answer.meta.start, answer.meta.end)
    return _written([kind], _Period(kind), samples, span, comments)


def _written(
    kinds: Sequence[_Kind],
    period: _Period,
    samples: Iterable[_Sample],
    span: tuple[int, int],
    comments: Sequence[str],
) -> bytes:
    """Return a Profile, without the samples whose values are all 0; its span is microseconds."""
    tables = _Tables()
    start, end = span
    parts = [written(1, tables.kind(kind)) for kind in kinds]
    parts += [written(2, tables.sample(each)) for each in samples if any(each.values)]
    parts += tables.described()
    rest = [
        written(9, start * _NANOSECONDS),
        written(10, (end - start) * _NANOSECONDS),
        written(11, tables.kind(period.kind)),
        written(12, period.length),
        packed(13, [tables.text(each) for each in comments]),
        written(14, tables.text(kinds[0].name)),
    ]
    texts = [written(6, text.encode()) for text in tables.texts]
    return gzip.compress(b"".join([*parts, *texts, *rest]), compresslevel=6, mtime=0)


FORMATS = (
    StackFormat(
        name="pprof",
        media_type="application/octet-stream",
        ending="pb.gz",
        help="a profile for pprof; of a comparison as `pprof -diff_base` makes it",
        encode=_pprof,
        compared=_differences,
        title="pprof",
    ),
)
