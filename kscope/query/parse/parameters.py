"""The parameters of questions: one row each checks a request and describes the API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from kscope.declare.charts.base import ROWS as ROWS_NAME
from kscope.declare.model import TIME, Category
from kscope.declare.types.base import Role
from kscope.query.parse.columns import shared_out
from kscope.query.parse.errors import MOST_COMPLAINTS, Complaint, QueryError, complain, one_of
from kscope.query.parse.filters import MAX_CONDITIONS, TOO_MANY, parse_filter, takes_all
from kscope.query.parse.operands import text
from kscope.query.parse.presets import applied
from kscope.query.parse.scope import Applied, Scope
from kscope.query.parse.timerange import (
    DEFAULT_FROM,
    DEFAULT_TO,
    MOMENT_HELP,
    TimeRange,
    iso,
    parse_moment,
    parse_range,
)
from kscope.query.sql.conditions import Condition, Group, conditions
from kscope.query.sql.operators import HOLDS

# Filters on both sides of a comparison, and every other parameter.
MAX_PARAMETERS = 2 * MAX_CONDITIONS + 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """`choices` empty: any text. A whole number has `least` and `most`.

    `names` of a category are those that the parameter may choose from. One that takes `many` can
    be given several times, and has a tuple of values.
    """

    name: str
    help: str
    default: str = ""
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    names: Callable[[Category], list[str]] | None = None
    many: bool = False

    def parse(self, given: str) -> Any:
        if self.least is None or self.most is None:
            if self.choices and given not in self.choices:
                raise complain(self.name, one_of(self.name, given, self.choices))
            return text(self.name, given)
        # Python refuses to read very many digits.
        is_whole = given.isascii() and given.isdigit() and len(given) <= 18
        if not is_whole or not self.least <= int(given) <= self.most:
            allowed = f"a whole number from {self.least} to {self.most}"
            raise complain(self.name, f"{given[:80]!r} is not {allowed}")
        return int(given)


FROM = Parameter("from", f"start of the range: {MOMENT_HELP}", DEFAULT_FROM)
TO = Parameter("to", "end of the range, itself not in it; written as `from`", DEFAULT_TO)


PRESET = Parameter(
    "preset",
    "the name of filters that the category declares; can be given several times",
    names=lambda category: [preset.name for preset in category.presets],
    many=True,
)


def _columns(*roles: Role) -> Callable[[Category], list[str]]:
    return lambda category: [column.name for column in category.with_role(*roles)]


def _or_rows(names: Callable[[Category], list[str]]) -> Callable[[Category], list[str]]:
    return lambda category: [*names(category), ROWS_NAME]


_VALUE = "the value column, or `rows` to count rows; default: the chart's"
VALUE = Parameter("value", _VALUE, names=_or_rows(_columns(Role.VALUE)))
MEASURE = Parameter(
    "value",
    "the value or histogram column, or `rows` to count rows; default: the chart's",
    names=_or_rows(_columns(Role.VALUE, Role.HISTOGRAM)),
)
SHARE = Parameter("value", f"{_VALUE}; none of floats", names=_or_rows(shared_out))
SIZE = Parameter(
    "value",
    "the value or histogram column; default: the chart's",
    names=_columns(Role.VALUE, Role.HISTOGRAM),
)
STACK = Parameter("stack", "the stack column; default: the chart's", names=_columns(Role.STACK))
completable = _columns(Role.DIMENSION, Role.IDENTITY, Role.STACK)
COLUMN = Parameter("column", "whose values", names=completable)
_GROUPS = "any but histograms; default: the chart's"
BY = Parameter("by", f"columns to group by, with commas between: {_GROUPS}")
SERIES_BY = Parameter("by", f"the column to group by: {_GROUPS}; empty for one series of all")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with every parameter checked. `given` tells a default from an empty text.

    `base` is what a comparison compares with, and `base_seconds` its length.
    """

    scope: Scope
    values: Mapping[str, Any]
    given: frozenset[str]
    request: tuple[tuple[str, str], ...]
    base: Scope | None = None
    base_seconds: float = 0

    @property
    def category(self) -> Category:
        return self.scope.category

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def again(self, **changed: str) -> str:
        """The same request as a query string, its range made absolute, some parameters changed."""
        span = {"from": iso(self.scope.range.start), "to": iso(self.scope.range.end)}
        pinned = span | changed
        kept = [(name, given) for name, given in self.request if name not in pinned]
        return urlencode([*kept, *pinned.items()])


def check_count(parameters: int) -> None:
    """Raise QueryError if there are more parameters than any question can have."""
    if parameters > MAX_PARAMETERS:
        fault = f"the question has {parameters:,} parameters"
        raise complain("", f"{fault}; use at most {MAX_PARAMETERS}")


def read(
    category: Category,
    request: Sequence[tuple[str, str]],
    known: Sequence[Parameter],
    moment: int,
) -> Asked:
    """Check a request; any other name is a filter on a column. One QueryError has all mistakes.

    Relative times are seen from `moment`, in microseconds.
    """
    check_count(len(request))
    parameters = {parameter.name: parameter for parameter in (FROM, TO, PRESET, *known)}
    values, filters, complaints = _checked(category, request, parameters)
    if len(filters) > MAX_CONDITIONS:
        complaints.append(Complaint(filters[MAX_CONDITIONS].parameter, TOO_MANY))
    defaults: dict[str, Any] = {
        name: each.parse(each.default) if each.default else () if each.many else ""
        for name, each in parameters.items()
    }
    asked = defaults | values
    presets: tuple[Applied, ...] = ()
    try:
        presets = applied(category, asked[PRESET.name])
    except QueryError as error:
        complaints += error.complaints
    try:
        span = parse_range(asked["from"], asked["to"], moment)
    except QueryError as error:
        complaints += error.complaints
    if complaints:
        raise QueryError(*complaints)
    scope = Scope(category, span, Group(tuple(filters)), presets)
    return Asked(scope, asked, frozenset(values), tuple(request))


def _checked(
    category: Category, request: Sequence[tuple[str, str]], parameters: Mapping[str, Parameter]
) -> tuple[dict[str, Any], list[Condition], list[Complaint]]:
    """Read values and filters, up to as many mistakes as an answer names."""
    values: dict[str, Any] = {}
    filters: list[Condition] = []
    complaints: list[Complaint] = []
    for name, given in request:
        if len(complaints) == MOST_COMPLAINTS:
            break
        try:
            if name not in parameters and takes_all(category, name, given):
                continue
            if name not in parameters:
                filters.append(parse_filter(category, name, given, parameters))
            elif parameters[name].many:
                values[name] = (*values.get(name, ()), parameters[name].parse(given))
            elif name in values:
                complaints.append(Complaint(name, "is given more than once"))
            else:
                values[name] = parameters[name].parse(given)
        except QueryError as error:
            complaints += error.complaints
    return values, filters, complaints


BASE = "base."
ANY = Parameter("any", "columns whose filters the base does not share, with commas between")
REST = Parameter(
    "rest",
    "leave the side out of the base: `time` its time, `box` its sizes (`__holds`) in its time",
    choices=("time", "box"),
)


def read_sides(
    category: Category,
    request: Sequence[tuple[str, str]],
    known: Sequence[Parameter],
    moment: int,
) -> Asked:
    """Return both sides of a comparison. The base is by default the range just before.

    It is as long, and has the same filters.

    A `base.` filter takes the place of the side's filters on the same column, and `base.any` drops
    those on the columns it names: such a base has the side's range. `base.from` and `base.to`
    choose another. It has the side's presets, unless `base.preset` names others.
    """
    check_count(len(request))
    own = [(name, given) for name, given in request if not name.startswith(BASE)]
    based = [(name[len(BASE) :], given) for name, given in request if name.startswith(BASE)]
    side, complaints = None, list[Complaint]()
    try:
        side = read(category, own, known, moment)
    except QueryError as error:
        complaints += error.complaints
    try:
        base = read(category, _with_range(side, based, moment), (ANY, REST), moment)
        dropped = _dropped(category, base["any"])
    except QueryError as error:
        faults = (Complaint(f"{BASE}{each.parameter}", each.detail) for each in error.complaints)
        raise QueryError(*complaints, *faults) from None
    if side is None:
        raise QueryError(*complaints)
    replaced = dropped | {each.column.name for each in conditions(base.scope.where)}
    replaced |= {each.name for name, given in based if (each := takes_all(category, name, given))}
    kept = [each for each in conditions(side.scope.where) if each.column.name not in replaced]
    outside, seconds = Group(), base.scope.range.seconds
    if base["rest"]:
        boxes = [each for each in kept if base["rest"] == "box" and each.operator == HOLDS]
        kept = [each for each in kept if each not in boxes]
        outside = _outside(side.scope.range, boxes)
        seconds -= 0 if boxes else _common(side.scope.range, base.scope.range)
    where = Group((*kept, *base.scope.where.members, outside))
    presets = base.scope.presets or side.scope.presets
    based_on = replace(base.scope, where=where, presets=presets)
    return replace(side, base=based_on, base_seconds=seconds)


def _outside(span: TimeRange, boxes: Sequence[Condition]) -> Group:
    """Return the filter of what is not in the range, or not in one of the boxes of sizes."""
    name = f"{BASE}{REST.name}"
    times = (Condition(name, TIME, "lt", span.start), Condition(name, TIME, "gte", span.end))
    others = (replace(each, negated=not each.negated) for each in boxes)
    return Group((*times, *others), any_of=True)


def _common(one: TimeRange, other: TimeRange) -> float:
    """Return the seconds that two ranges have in common."""
    both = TimeRange(max(one.start, other.start), min(one.end, other.end))
    return max(0.0, both.seconds)


def _dropped(category: Category, given: str) -> set[str]:
    names = {name for name in given.split(",") if name}
    columns = [each.name for each in category.all_columns]
    for name in sorted(names.difference(columns)):
        raise complain(ANY.name, one_of("column", name, columns))
    return names


def _with_range(
    side: Asked | None, based: Sequence[tuple[str, str]], moment: int
) -> list[tuple[str, str]]:
    """Add the missing ends of the base's range, which is as long as the side's.

    A base with filters has the side's range; one without has the range before it.
    """
    given = dict(based)
    if side is None or {"from", "to"} <= given.keys():
        return list(based)
    span = side.scope.range
    length = span.end - span.start
    if "from" in given:
        start = parse_moment("from", given["from"], moment)
    elif "to" in given:
        start = parse_moment("to", given["to"], moment) - length
    else:
        start = span.start if based else span.start - length
    ends = {"from": iso(start), "to": iso(start + length)}
    return [*based, *((name, text) for name, text in ends.items() if name not in given)]
