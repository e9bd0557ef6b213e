"""How many new stacks and strings each host may bring in an hour; the rest is one text."""

import operator
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from kscope.declare.types.base import Storage
from kscope.store.backends.coded import distinct
from kscope.store.schema.interning import STACKS, STRINGS, TextKind, text_hash
from kscope.store.write.batch import Batch, TableRows

OVER_STACKS = "[over the stack limit]"
OVER_STRINGS = "[over the string limit]"
# The value that rows beyond the limit have in their column.
OVER: Mapping[TextKind, Any] = {STACKS: text_hash(OVER_STACKS), STRINGS: OVER_STRINGS}
PER_HOUR = 50_000
_HOUR = 3600
# Hosts that are counted one by one; all others share one count, so that made-up names of hosts take
# neither memory nor more texts than one host does.
MAX_HOSTS = 100_000
_OTHERS = "all other hosts"


@dataclass
class NewTexts:
    """New texts of the present hour, by the hash of their host. A limit of 0 bounds nothing."""

    limit: int = PER_HOUR
    counts: Counter[int] = field(default_factory=Counter)
    _hour: int = 0

    def start(self) -> "Grant":
        hour = int(time.time() // _HOUR)
        if hour != self._hour:
            self._hour, self.counts = hour, Counter()
        return Grant(self)

    def __len__(self) -> int:
        return len(self.counts)


@dataclass
class NewTextLimits:
    stacks: NewTexts = field(default_factory=NewTexts)
    strings: NewTexts = field(default_factory=NewTexts)


@dataclass
class Grant:
    """The share of one transaction. It counts once its texts are committed."""

    of: NewTexts
    _taken: Counter[int] = field(default_factory=Counter)
    rows: int = 0

    def room(self, host: str) -> int:
        """Return how many more the host may bring."""
        return max(0, self.of.limit - self._counted(self._key(host)))

    def take(self, host: str, wanted: Sequence[Any]) -> Sequence[Any]:
        """Return those that the host may bring."""
        granted = wanted[: self.room(host)]
        if granted:
            self._taken[self._key(host)] += len(granted)
        return granted

    def _key(self, host: str) -> int:
        counts, key = self.of.counts, hash(host)
        is_new = key not in counts and key not in self._taken
        if is_new and len(counts) + len(self._taken) >= MAX_HOSTS:
            return hash(_OTHERS)
        return key

    def _counted(self, key: int) -> int:
        return self.of.counts[key] + self._taken[key]

    def commit(self) -> None:
        self.of.counts.update(self._taken)
        self._taken.clear()


def bounded(
    batches: list[Batch], new: AbstractSet[Any], kind: TextKind, grant: Grant
) -> list[Batch]:
    """Return the batches, with the limit's text in place of new texts beyond it.

    It is the same sequence if there are none.
    """
    admitted: set[Any] = set()
    done = []
    for batch in batches:
        brought = new & _limited_texts(batch, kind)
        wanted: Collection[Any] = brought - admitted
        if len(wanted) > grant.room(batch.host):
            wanted = [text for text in _in_order(batch, kind) if text in wanted]
        admitted.update(grant.take(batch.host, [*wanted]))
        over = brought - admitted
        if not over:
            done.append(batch)
            continue
        grant.rows += _rows_with(batch, kind, over)
        bits = "".join("01"[text in over] for text in _in_order(batch, kind))
        done.append(without_texts(batch, kind, f"{int(bits, 2):x}"))
    return batches if all(map(operator.is_, done, batches)) else done


def without_texts(batch: Batch, kind: TextKind, which: str) -> Batch:
    """Return the batch with the limit's text in place of some of its texts.

    `which` has a bit for each text of the kind, in the order of the rows, as a hexadecimal number.
    """
    texts = _in_order(batch, kind)
    bits = f"{int(which, 16):0{len(texts)}b}"
    over = {text for text, bit in zip(texts, bits, strict=False) if bit == "1"}
    tables = []
    for rows in batch.tables:
        columns = list(rows.columns)
        for index in _places(rows, kind):
            columns[index] = [OVER[kind] if value in over else value for value in columns[index]]
        tables.append(replace(rows, columns=columns))
    return replace(batch, tables=tables, over={**batch.over, kind.table: which})


def _limited_texts(batch: Batch, kind: TextKind) -> set[Any]:
    """Return the texts of a kind that the limit is for."""
    found: set[Any] = set()
    for rows in batch.tables:
        found.update(*(distinct(rows.columns[index]) for index in _places(rows, kind)))
    return found


def _in_order(batch: Batch, kind: TextKind) -> list[Any]:
    """Return these texts, each once, in the order of the rows."""
    found: dict[Any, None] = {}
    for rows in batch.tables:
        for index in _places(rows, kind):
            found.update(dict.fromkeys(rows.columns[index]))
    return list(found)


def _rows_with(batch: Batch, kind: TextKind, over: AbstractSet[Any]) -> int:
    """Return how many rows have one of the texts."""
    count = 0
    for rows in batch.tables:
        columns = [rows.columns[index] for index in _places(rows, kind)]
        count += sum(any(each in over for each in texts) for texts in zip(*columns, strict=True))
    return count


def _places(rows: TableRows, kind: TextKind) -> Iterator[int]:
    """Return the columns of the kind. The name of the host is never replaced."""
    names = rows.names
    for index in rows.places(kind.storage):
        if len(rows) and names[index] != "hostname":
            yield index


def uncounted(batches: Sequence[Batch]) -> set[str]:
    """Return the strings that no limit is for: names of hosts, and what columns hold by default."""
    tables = [rows for batch in batches for rows in batch.tables]
    columns = {column for rows in tables for column in rows.category.columns if column.optional}
    defaults = {each.default for each in columns if each.type.storage is Storage.STRING_ID}
    return defaults | {batch.host for batch in batches}
