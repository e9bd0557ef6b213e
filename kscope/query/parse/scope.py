"""The scope of a question: one category, a range of time, filters."""

from dataclasses import dataclass, field

from kscope.declare.model import Catalog, Category
from kscope.query.parse.errors import Complaint, UnknownTable, one_of
from kscope.query.parse.timerange import TimeRange
from kscope.query.sql.conditions import Group


@dataclass(frozen=True, slots=True)
class Applied:
    """A preset's name and its filters."""

    name: str
    where: Group


@dataclass(frozen=True, slots=True)
class Scope:
    """`where` has the filters of the request; those of `presets` must hold, too."""

    category: Category
    range: TimeRange
    where: Group = field(default_factory=Group)
    presets: tuple[Applied, ...] = ()


def category_of(catalog: Catalog, table: str, parameter: str = "table") -> Category:
    found = catalog.get(table)
    if found is None:
        names = [category.table for category in catalog]
        raise UnknownTable(Complaint(parameter, one_of("table", table, names)))
    return found
