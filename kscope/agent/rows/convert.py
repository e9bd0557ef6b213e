"""The contents of a BPF map become rows of a category: pure, the same for every engine."""

import itertools
import logging
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kscope.agent.rows.interval import LossCounts, Row
from kscope.declare.model import Category
from kscope.declare.types.base import INT64_MAX, Role

log = logging.getLogger(__name__)


def adds_up(category: Category) -> bool:
    """Return whether two rows of one group can be added: every value is a sum."""
    values = category.with_role(Role.VALUE)
    return all(c.type.aggregate == "sum" for c in values) and bool(
        values or category.with_role(Role.HISTOGRAM)
    )


class Merged:
    """Add up rows that differ only in their values; the order is that of the first rows.

    Two addresses in one function, or two threads of one process, are two keys in the kernel but
    one row.
    """

    def __init__(self, category: Category) -> None:
        self._values = [c.name for c in category.with_role(Role.VALUE, Role.HISTOGRAM)]
        self._rows: dict[tuple[Any, ...], Row] = {}

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            identity = tuple(value for name, value in row.items() if name not in self._values)
            first = self._rows.setdefault(identity, row)
            if first is not row:
                _add(first, row, self._values)

    def rows(self) -> list[Row]:
        return list(self._rows.values())


def merge(category: Category, rows: Iterable[Row]) -> list[Row]:
    if not adds_up(category):
        return list(rows)
    merged = Merged(category)
    merged.add(rows)
    return merged.rows()


def _add(total: Row, row: Row, values: Iterable[str]) -> None:
    for name in values:
        if name not in row:
            continue
        if isinstance(row[name], list):
            pairs = itertools.zip_longest(total[name], row[name], fillvalue=0)
            total[name] = list(itertools.starmap(operator.add, pairs))
        else:
            total[name] += row[name]


def field_reader(path: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return a reader of `key.comm` from {"key": struct, "value": struct}, or of all of `value`."""
    part, _, rest = path.partition(".")
    if not rest:
        return lambda entry: getattr(entry[part], "value", entry[part])
    field: Callable[[Any], Any] = operator.attrgetter(rest)
    return lambda entry: field(entry[part])


class Fitting:
    """Leave out rows that no server accepts, such as one with a number above 2^63-1.

    The first one of each column is logged; each counts in `LossCounts.values`.
    """

    def __init__(self, category: Category) -> None:
        self._table = category.table
        limits = [(c.name, c.type.json) for c in category.columns]
        self._bounds = [(n, of["minimum"], of["maximum"]) for n, of in limits if "minimum" in of]
        self._texts = [(n, of["maxLength"]) for n, of in limits if "maxLength" in of]
        self._slots = [c.name for c in category.with_role(Role.HISTOGRAM)]
        self._logged: set[str] = set()

    def keep(self, rows: list[Row], loss: LossCounts) -> list[Row]:
        kept = [row for row in rows if self._fits(row)]
        loss.values += len(rows) - len(kept)
        return kept

    def _fits(self, row: Row) -> bool:
        for name, least, most in self._bounds:
            if not least <= row.get(name, least) <= most:
                return self._unfit(name, f"{row[name]} is not from {least} to {most}")
        for name in self._slots:
            slots = row.get(name) or [0]
            if not 0 <= min(slots) <= max(slots) <= INT64_MAX:
                return self._unfit(name, "a count of the histogram is not from 0 to 2^63-1")
        for name, longest in self._texts:
            if len(row.get(name) or "") > longest:
                return self._unfit(name, f"text of more than {longest} characters")
        return True

    def _unfit(self, column: str, why: str) -> bool:
        if column not in self._logged:
            self._logged.add(column)
            log.warning(
                "%s: %s: %s; rows like this one are left out and counted as lost; for an address "
                "use as: hex or as: ksym",
                self._table,
                column,
                why,
            )
        return False
