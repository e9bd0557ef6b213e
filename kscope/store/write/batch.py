"""The rows of one request, and the answer once they are stored."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kscope.declare.model import Category
from kscope.declare.types.base import Storage
from kscope.store.backends.coded import Coded, distinct
from kscope.store.sums.grouping import summed_names

# The keys of a batch's memo and of its form in the answer that is stored. Tables have other names.
MEMO = "kscope memo"
FORM = "kscope form"


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
class Old:
    """Rows of one table that are older than retention keeps them, which is for `kept` seconds."""

    rows: int
    kept: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request, of one host; stored whole or not at all. An empty key is no key.

    `memo` is stored with the key, for a sender that has to know later which rows these were.

    `arrived` is the time in microseconds that is given to rows without one: another one if the
    sender comes again. It is 0 if the body says all times. `over` has, by the table of their texts,
    which texts are replaced, see cardinality. `old` has, by table, rows that will soon be removed.
    """

    key: bytes
    tables: Sequence[TableRows]
    stacks: Mapping[int, str] = field(default_factory=dict)
    memo: str = ""
    arrived: int = 0
    over: Mapping[str, str] = field(default_factory=dict)
    old: Mapping[str, Old] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return next((rows.columns[1][0] for rows in self.tables if len(rows)), "")

    @property
    def newest(self) -> float:
        """Return the time of the newest row, in seconds since 1970; 0 without rows."""
        newest = (max(distinct(rows.columns[0])) for rows in self.tables if len(rows))
        return max(newest, default=0) / 1_000_000

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
