"""The rows of one request, and the answer once they are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kscope.declare.model import Category


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one category as columns, in the order of its `all_columns`, all of one length.

    Values are ready to be stored: times in microseconds, defaults filled in, booleans as 0 and 1,
    histograms as `slot:count` text, and a stack as its id, a key of the batch's `stacks`. Strings
    are still text: the writer alone knows their numbers.
    """

    category: Category
    columns: Sequence[Sequence[Any]]

    def __len__(self) -> int:
        return len(self.columns[0])


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request, of one host; stored whole or not at all. An empty key is no key."""

    key: bytes
    tables: Sequence[TableRows]
    stacks: Mapping[int, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return next((rows.columns[1][0] for rows in self.tables if len(rows)), "")

    def __len__(self) -> int:
        return sum(map(len, self.tables))


@dataclass(frozen=True, slots=True)
class Stored:
    """The number of rows of each table in a batch; `duplicate` if it was stored already."""

    rows: Mapping[str, int]
    duplicate: bool = False
