"""Rows as batches of typed columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, count, islice
from types import MappingProxyType
from typing import Any

from arro3.core import Array, DataType, Field, RecordBatch, Schema, list_array

from kscope.declare.types.base import INT64_MAX, Storage
from kscope.declare.types.time import microseconds
from kscope.query.answers.question import TableColumn

# A batch of so many is made and written in a few milliseconds, in which no other thread may run.
_ROWS = 1000
_COUNTS = DataType.list(Field("item", DataType.int64()))
_TYPES: Mapping[Storage, DataType] = MappingProxyType(
    {
        Storage.TIME: DataType.timestamp("us", tz="UTC"),
        Storage.INTEGER: DataType.int64(),
        Storage.REAL: DataType.float64(),
        Storage.BOOLEAN: DataType.bool(),
        Storage.TEXT: DataType.utf8(),
        Storage.STRING_ID: DataType.utf8(),
        Storage.STACK_ID: DataType.utf8(),
        Storage.HISTOGRAM: _COUNTS,
    }
)
# Of values that are written as texts: the names of groups.
_READ: Mapping[Storage, Callable[[str], Any]] = MappingProxyType(
    {
        Storage.TIME: lambda text: microseconds(text) if text else None,
        Storage.INTEGER: int,
        Storage.REAL: float,
        Storage.BOOLEAN: lambda text: text == "true",
    }
)


@dataclass(frozen=True, slots=True)
class _Typed:
    """A column with the kind of its values; `read` turns texts into them."""

    name: str
    kind: Storage
    read: Callable[[str], Any] | None = None

    def array(self, values: Sequence[Any]) -> Array:
        if self.read:
            values = [None if value is None else self.read(value) for value in values]
        match self.kind:
            case Storage.HISTOGRAM:
                return _lists(values)
            case Storage.TIME:
                return Array(values, DataType.int64()).cast(_TYPES[self.kind])
            case Storage.INTEGER if any(isinstance(value, float) for value in values):
                # Earlier versions stored a sender's 1.0 as it came.
                values = [None if value is None else int(value) for value in values]
        return Array(values, _TYPES[self.kind])


@dataclass(frozen=True, slots=True)
class Batches:
    """Makes batches of the rows of one table, whose columns have these types."""

    columns: tuple[_Typed, ...]

    @classmethod
    def of(cls, columns: Sequence[TableColumn], rows: Sequence[Sequence[Any]]) -> "Batches":
        """Return those of a table that begins with these rows, and has no others if a column's
        kind is unknown.
        """
        names = _distinct([each.name for each in columns])
        return cls(
            tuple(
                _typed(name, each, [row[place] for row in rows])
                for place, (name, each) in enumerate(zip(names, columns, strict=True))
            )
        )

    @property
    def schema(self) -> Schema:
        return Schema([Field(each.name, _TYPES[each.kind]) for each in self.columns])

    def made(self, rows: Iterable[Sequence[Any]]) -> Iterator[RecordBatch]:
        """Yield batches that a writer can take in a few milliseconds."""
        left = iter(rows)
        while piece := list(islice(left, _ROWS)):
            columns = zip(self.columns, zip(*piece, strict=True), strict=True)
            arrays = [each.array(values) for each, values in columns]
            yield RecordBatch.from_arrays(arrays, schema=self.schema)


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names that are all different, as readers want them: `rows` and `rows_2`."""
    found: list[str] = []
    for name in names:
        others = (f"{name}_{number}" for number in count(2))
        found.append(next(each for each in chain([name], others) if each not in found))
    return found


def _typed(name: str, column: TableColumn, values: Sequence[Any]) -> _Typed:
    if column.kind is None:
        whole = values and all(value is None or _is_whole(value) for value in values)
        return _Typed(name, Storage.INTEGER if whole else Storage.REAL)
    as_texts = column.kind is Storage.TEXT and column.of and not column.mixed
    if as_texts and column.of and (read := _READ.get(column.of.type.storage)):
        return _Typed(name, column.of.type.storage, read)
    return _Typed(name, column.kind)


def _is_whole(value: Any) -> bool:
    """Return whether a number fits into 64 bits; sums of sums may not."""
    return isinstance(value, int) and -INT64_MAX <= value <= INT64_MAX


def _lists(values: Sequence[Any]) -> Array:
    """Return counts by slot; a histogram is never null."""
    ends = [0, *accumulate(len(value or ()) for value in values)]
    counts = list(chain.from_iterable(value or () for value in values))
    offsets = Array(ends, DataType.int32())
    return list_array(offsets, Array(counts, DataType.int64()), type=_COUNTS)
