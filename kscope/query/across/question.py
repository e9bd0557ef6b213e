"""A question of all categories: its parameters, its answer, and the filters of each category."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kscope.declare.model import HOSTNAME, Catalog, Category
from kscope.declare.types.base import Role
from kscope.query.parse.errors import MOST_COMPLAINTS, Complaint, QueryError, complain, one_of
from kscope.query.parse.filters import MAX_CONDITIONS, TOO_MANY, filtered_column, parse_filter
from kscope.query.parse.parameters import FROM, TO, Parameter, check_count
from kscope.query.parse.presets import applied
from kscope.query.parse.scope import Scope
from kscope.query.parse.timerange import TimeRange, now, parse_range
from kscope.query.sql.conditions import Condition, Group, conditions
from kscope.store.reader import Reader

_DEFAULTS, _NONE = "default", "none"
PRESETS = Parameter(
    "presets",
    "apply the presets that each data type has by default, or none",
    _DEFAULTS,
    choices=(_DEFAULTS, _NONE),
)


@dataclass(frozen=True, slots=True)
class TableScope:
    """The question as one category has it; `inactive` are the filters that it does not take."""

    scope: Scope
    inactive: tuple[Complaint, ...] = ()

    @property
    def category(self) -> Category:
        return self.scope.category

    @property
    def has_stacks(self) -> bool:
        return bool(self.category.with_role(Role.STACK))

    @property
    def has_histograms(self) -> bool:
        return bool(self.category.with_role(Role.HISTOGRAM))


@dataclass(frozen=True, slots=True)
class AskedOfAll:
    """A checked request. `filters` are its filters as they were given; `moment` is now (us)."""

    range: TimeRange
    tables: tuple[TableScope, ...]
    values: Mapping[str, Any]
    filters: tuple[tuple[str, str], ...]
    moment: int

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def of_hosts(self) -> Group:
        """The filters on hosts, which every table takes."""
        where = self.tables[0].scope.where if self.tables else Group()
        named = (each for each in conditions(where) if each.column.name == HOSTNAME.name)
        return Group(tuple(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionOfAll:
    """`ask` yields answers, each better than the one before; `answer` is their type."""

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    ask: Callable[[Reader, AskedOfAll], AsyncIterator[msgspec.Struct]]
    answer: type[msgspec.Struct]

    @property
    def path(self) -> str:
        return f"/{self.name}"

    def read(self, catalog: Catalog, request: Sequence[tuple[str, str]]) -> AskedOfAll:
        """Check a request; QueryError has all of its mistakes."""
        check_count(len(request))
        checking = _Checking(
            catalog, {each.name: each for each in (FROM, TO, PRESETS, *self.parameters)}
        )
        for name, given in request:
            if len(checking.complaints) >= MOST_COMPLAINTS:
                break
            checking.add(name, given)
        return checking.asked(now())


@dataclass
class _Checking:
    """A request while it is read."""

    catalog: Catalog
    parameters: Mapping[str, Parameter]
    values: dict[str, Any] = field(default_factory=dict)
    filters: list[tuple[str, str]] = field(default_factory=list)
    active: dict[str, list[Condition]] = field(default_factory=dict)
    inactive: dict[str, list[Complaint]] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)

    def add(self, name: str, given: str) -> None:
        try:
            if name not in self.parameters:
                self._filter(name, given)
            elif name in self.values:
                self.complaints.append(Complaint(name, "is given more than once"))
            else:
                self.values[name] = self.parameters[name].parse(given)
        except QueryError as error:
            self.complaints += error.complaints

    def asked(self, moment: int) -> AskedOfAll:
        """Return the request; raise QueryError with all mistakes."""
        defaults = {
            name: each.parse(each.default) if each.default else ""
            for name, each in self.parameters.items()
        }
        values = defaults | self.values
        try:
            span = parse_range(values["from"], values["to"], moment)
        except QueryError as error:
            raise QueryError(*self.complaints, *error.complaints) from None
        if self.complaints:
            raise QueryError(*self.complaints)
        defaults_apply = values[PRESETS.name] == _DEFAULTS
        tables = tuple(
            self._table(category, span, with_presets=defaults_apply) for category in self.catalog
        )
        return AskedOfAll(span, tables, values, tuple(self.filters), moment)

    def _table(self, category: Category, span: TimeRange, *, with_presets: bool) -> TableScope:
        where = Group(tuple(self.active.get(category.table, ())))
        inactive = tuple(self.inactive.get(category.table, ()))
        names = [each.name for each in category.presets if each.default and with_presets]
        return TableScope(Scope(category, span, where, applied(category, names)), inactive)

    def _filter(self, name: str, given: str) -> None:
        """Add the filter to each category that takes it; raise QueryError if none does."""
        if len(self.filters) == MAX_CONDITIONS:
            raise complain(name, TOO_MANY)
        self.filters.append((name, given))
        refused: QueryError | None = None
        taken = False
        for category in self.catalog:
            if filtered_column(category, name) is None:
                self._leave_out(category, Complaint(name, f"{category.table} has no such column"))
                continue
            try:
                condition = parse_filter(category, name, given)
            except QueryError as error:
                refused = refused or error
                self._leave_out(category, *error.complaints)
            else:
                taken = True
                self.active.setdefault(category.table, []).append(condition)
        if not taken:
            raise refused or self._unknown(name)

    def _leave_out(self, category: Category, *why: Complaint) -> None:
        self.inactive.setdefault(category.table, []).extend(why)

    def _unknown(self, name: str) -> QueryError:
        columns = {column.name for category in self.catalog for column in category.all_columns}
        names = [*self.parameters, *sorted(columns)]
        column, _, _ = name.rpartition("__")
        return complain(name[:80], one_of("parameter or column", column or name, names))
