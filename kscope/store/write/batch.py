"""The rows of one request, and the answer once they are stored."""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, overload

from kscope.declare.model import Category
from kscope.declare.types.base import Storage
from kscope.store.sums.grouping import summed_names

# The keys of a batch's memo and of its form in the answer that is stored. Tables have other names.
MEMO = "kscope memo"
FORM = "kscope form"


@dataclass(frozen=True, slots=True)
class Coded(Sequence[Any]):
    """A column of values that repeat: `places` has the place of each row's value in `values`.

    `used` has the places that rows have, each once; the other `values` belong to no row. So work on
    texts is done once for each text instead of once for each row.
    """

    places: Sequence[int]
    values: Sequence[Any]
    used: Collection[int]

    @classmethod
    def constant(cls, value: Any, count: int) -> "Coded":
        """Return a column that has the value in each row."""
        return cls(bytes(count), [value], range(min(count, 1)))

    @property
    def distinct(self) -> list[Any]:
        """Return the values that rows have; one that `values` has twice may be there twice."""
        return [self.values[place] for place in self.used]

    def holding(self, distinct: Iterable[Any]) -> "Coded":
        """Return the column that has these values in place of the distinct ones."""
        values: list[Any] = [None] * len(self.values)
        for place, value in zip(self.used, distinct, strict=True):
            values[place] = value
        return Coded(self.places, values, self.used)

    def in_full(self) -> Sequence[Any]:
        """Return the value of each row."""
        if len(self.values) == 1:
            return [*self.values] * len(self.places)
        return picked(self.places, self.values)

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.in_full())

    @overload
    def __getitem__(self, row: int) -> Any: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Any]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return picked(self.places[row], self.values)
        return self.values[self.places[row]]


def distinct(column: Sequence[Any]) -> Sequence[Any]:
    """Return each value of a column, some perhaps more than once."""
    return column.distinct if isinstance(column, Coded) else column


def picked(places: Sequence[int], values: Sequence[Any]) -> Sequence[Any]:
    """Return the value at each place; `itemgetter` is three times as fast as a loop."""
    if len(places) < 2:
        return [values[place] for place in places]
    found: tuple[Any, ...] = itemgetter(*places)(values)
    return found


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one category as columns, in the order of its `all_columns`, all of one length.

    With a `bucket` in seconds they are sums of that level instead, in the order of `time` and
    `summed_names`: those of another database, whose rows no longer exist.

    Values are ready to be stored: times in microseconds, defaults filled in, booleans as 0 and 1,
    histograms as `slot:count` text, and a stack as its id, a key of the batch's `stacks`. Strings
    are still text: the writer alone knows their numbers.
    """

    category: Category
    columns: Sequence[Sequence[Any]]
    bucket: int = 0

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def names(self) -> list[str]:
        if self.bucket:
            return ["time", *summed_names(self.category)]
        return [column.name for column in self.category.all_columns]

    def places(self, storage: Storage) -> list[int]:
        """Return the indexes of the columns that are stored so."""
        kinds = {column.name: column.type.storage for column in self.category.all_columns}
        return [place for place, name in enumerate(self.names) if kinds.get(name) is storage]


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request, of one host; stored whole or not at all. An empty key is no key.

    `memo` is stored with the key, for a sender that has to know later which rows these were.

    `arrived` is the time in microseconds that is given to rows without one: another one if the
    sender comes again. It is 0 if the body says all times. `over` has, by the table of their texts,
    which texts are replaced, see cardinality.
    """

    key: bytes
    tables: Sequence[TableRows]
    stacks: Mapping[int, str] = field(default_factory=dict)
    memo: str = ""
    arrived: int = 0
    over: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return next((rows.columns[1][0] for rows in self.tables if len(rows)), "")

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    def compact(self) -> "Batch":
        """Return the same batch in less memory: a fourth, if it has many rows."""
        tables = [
            replace(rows, columns=[_compact(column) for column in rows.columns])
            for rows in self.tables
        ]
        return replace(self, tables=tables)


def _compact(column: Sequence[Any]) -> Sequence[Any]:
    if isinstance(column, Coded):
        code = next(c for c in "BHIQ" if len(column.values) <= 1 << 8 * array(c).itemsize)
        return replace(column, places=array(code, column.places))
    try:
        return array("q", column)
    except TypeError:
        return column  # of texts, or of numbers that are not whole


@dataclass(frozen=True, slots=True)
class Stored:
    """The number of rows of each table in a batch; `duplicate` if it was stored already, with this
    `memo`.
    """

    rows: Mapping[str, int]
    duplicate: bool = False
    memo: str = ""
