"""The statements of Grafana's panels over a category's rows and sums, of the chosen hosts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from kscope.declare.model import HOSTNAME, Category, Chart, Column
from kscope.declare.types.base import Storage
from kscope.generate.expressions import readable_time, whole_divide
from kscope.generate.grafana_measures import AMOUNT, EVENTS, Measure, measure_of
from kscope.generate.grafana_sums import Cover, Number, Range, Segment, cover
from kscope.generate.tables import Schema, Texts, texts_of

# Groups with a line each, rows of a ranking, and stacks of a flame graph.
SERIES, RANKED, STACKS = 10, 100, 1000
REST, ROOT = "other", "all"
# Stands for all hosts in place of their numbers: no host has it.
ALL_HOSTS = "0"
_HOSTS: Number = sa.literal_column("(${hostname:csv})")
# Names of columns that no category has.
_TIME, _PLACE, _SHOWN, _REST = "kscope_time", "kscope_place", "kscope_shown", "kscope_rest"


class Engine(Protocol):
    """A database's own part of the statements. `joins` is that of `cover`."""

    range: Range
    joins: bool

    def moment(self, time: Number) -> Number:
        """Return a time in microseconds as Grafana reads it."""
        ...

    def text(self, value: Number) -> Number:
        """Return the text of a number."""
        ...

    def texts(self, column: Column, found: Texts, wanted: sa.Select[Any]) -> Texts:
        """Return the column's texts, at least those of these numbers, for an outer join."""
        ...

    def frames(self, stacks: sa.CTE) -> sa.Select[Any]:
        """Return `label`, `level`, `value` and `self` of the tree of `path` and `value`.

        The nodes come depth first, as Grafana reads them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, and that of the ends that it refers to; see `grafana_sums.Cover`."""

    chosen: sa.Select[Any]
    ends: sa.Select[Any] | None


class Queries:
    """The statements of one category on one engine."""

    def __init__(self, category: Category, schema: Schema, engine: Engine) -> None:
        self.category = category
        self._tables = schema.categories[category.table]
        self._dictionaries = schema.dictionaries
        self._engine = engine

    def hosts(self) -> Statement:
        """Return the hosts of the range: `__value` is a host's number, `__text` its name.

        Numbers need no quotes, so no name can change the statement that it is put into.
        """
        asked = Range(self._engine.range.since, self._engine.range.until)
        covered = self._cover(asked, [HOSTNAME.name])
        parts = [
            each.select(each.table.c.hostname.label("host")).distinct() for each in covered.segments
        ]
        found = sa.union_all(*parts).cte("kscope_hosts")
        name, joined = self._named(HOSTNAME, found.c.host, found)
        value, text = self._engine.text(found.c.host).label("__value"), name.label("__text")
        chosen = sa.select(value, text).distinct().select_from(joined).order_by(text)
        return Statement(chosen, covered.ends)

    def series(self, chart: Chart) -> Statement:
        """Return `time`, the group's name `metric`, and `value`: the largest groups, and the rest.

        In the order of time, as Grafana needs it.
        """
        measure, by = measure_of(self.category, chart), self.category.column(chart.by)
        covered = self._cover_of(measure, [by] if by else [], self._engine.range)
        parts = _parts(covered, measure, [by] if by else [])
        if by is None:
            time = self._engine.moment(parts.c[_TIME]).label("time")
            value = measure.combined(parts).label("value")
            plain = sa.select(time, value).group_by(_at(1)).order_by(_at(1))
            return Statement(plain, covered.ends)
        ranked = _with_places(parts, measure, by)
        time = self._engine.moment(ranked.c[_TIME]).label("time")
        name, joined = self._named(by, ranked.c[_SHOWN], ranked)
        metric = sa.case((ranked.c[_PLACE] <= SERIES, name), else_=sa.literal(REST, sa.Text()))
        value = measure.combined(ranked).label("value")
        chosen = sa.select(time, metric.label("metric"), value).select_from(joined)
        chosen = chosen.group_by(_at(1), _at(2)).order_by(_at(1), _at(2))
        return Statement(chosen, covered.ends)

    def ranking(self, chart: Chart) -> Statement:
        """Return the names `metric` and the values of the groups with the largest."""
        measure, by = measure_of(self.category, chart), self.category.column(chart.by)
        assert by is not None
        covered = self._cover_of(measure, [by])
        parts = _parts(covered, measure, [by])
        chosen = sa.select(parts.c[by.name].label(_SHOWN), measure.combined(parts).label("value"))
        ordered = chosen.group_by(_at(1)).order_by(_at(2, "DESC"), _at(1))
        top = ordered.limit(RANKED).cte("kscope_top")
        name, joined = self._named(by, top.c[_SHOWN], top)
        found = sa.select(name.label("metric"), top.c.value).select_from(joined)
        return Statement(found.order_by(_at(2, "DESC"), _at(1)), covered.ends)

    def flamegraph(self, chart: Chart) -> Statement:
        """Return the tree of the heaviest stacks, and the others as one node below the root."""
        measure, by = measure_of(self.category, chart), self.category.column(chart.by)
        stack = self.category.column(chart.stack)
        assert stack is not None
        keys = [by, stack] if by else [stack]
        covered = self._cover_of(measure, keys)
        parts = _parts(covered, measure, keys)
        names = [parts.c[each.name] for each in keys]
        summed = sa.select(*names, measure.combined(parts).label(AMOUNT)).group_by(*names)
        kept = _heaviest(summed.cte("kscope_summed"), keys)
        path, joined = self._path(kept, keys)
        paths = sa.select(path.label("path"), kept.c[AMOUNT].label("value")).select_from(joined)
        return Statement(self._engine.frames(paths.cte("kscope_paths")), covered.ends)

    def _path(self, kept: sa.CTE, keys: Sequence[Column]) -> tuple[Number, sa.FromClause]:
        """Return the names from the root to the last frame, with `;` between."""
        joined: sa.FromClause = kept
        separator = sa.literal(";", sa.Text())
        path: Number = sa.literal(ROOT, sa.Text())
        for key in keys:
            text, joined = self._named(key, kept.c[key.name], joined)
            if key.type.storage is Storage.STACK_ID:
                path += sa.case((text == "", ""), else_=separator + text)
            else:
                path += separator + sa.func.replace(text, ";", ":")
        rest = sa.literal(f"{ROOT};{REST}", sa.Text())
        return sa.case((kept.c[_REST] == 1, rest), else_=path), joined

    def _named(
        self, column: Column, stored: Number, source: sa.FromClause
    ) -> tuple[Number, sa.FromClause]:
        """Return a column as a person reads it, and the tables that it is read from."""
        if found := texts_of(column, self._dictionaries):
            texts = self._engine.texts(column, found, sa.select(stored))
            text: Number = sa.func.coalesce(texts.text, "")
            return text, source.outerjoin(texts.table, texts.key == stored)
        match column.type.storage:
            case Storage.BOOLEAN:
                return sa.case({1: "true", 0: "false"}, value=stored, else_=""), source
            case Storage.TIME:
                stored = readable_time(stored)
        return sa.func.coalesce(self._engine.text(stored), ""), source

    def _cover(self, asked: Range, columns: Sequence[str]) -> Cover:
        progress, joins = self._dictionaries.progress, self._engine.joins
        return cover(self._tables, progress, asked, columns, joins=joins)

    def _cover_of(
        self, measure: Measure, keys: Sequence[Column], asked: Range | None = None
    ) -> Cover:
        asked = asked or Range(self._engine.range.since, self._engine.range.until)
        return self._cover(asked, [HOSTNAME.name, *measure.needs, *(each.name for each in keys)])


def _parts(covered: Cover, measure: Measure, keys: Sequence[Column]) -> sa.CTE:
    """Return the amounts by key, and by step if there is one, of each segment apart."""

    def part(segment: Segment) -> sa.Select[Any]:
        table = segment.table
        groups = [table.c[each.name].label(each.name) for each in keys]
        if covered.step is not None:
            start = whole_divide(table.c.time, covered.step) * covered.step
            groups.insert(0, start.label(_TIME))
        sums = measure.amount(table).label(AMOUNT), measure.events(table).label(EVENTS)
        all_hosts = sa.literal_column(ALL_HOSTS).op("IN")(_HOSTS)
        hosts = sa.or_(all_hosts, table.c.hostname.op("IN")(_HOSTS))
        chosen = segment.select(*groups, *sums).where(hosts)
        return chosen.group_by(*map(_at, range(1, len(groups) + 1)))

    return sa.union_all(*map(part, covered.segments)).cte("kscope_parts")


def _with_places(parts: sa.CTE, measure: Measure, by: Column) -> sa.CTE:
    """Add the place of each group; only those that are shown keep their key."""
    weight = parts.c[AMOUNT if measure.by_amount else EVENTS]
    whole = sa.func.sum(weight).over(partition_by=parts.c[by.name]).label("kscope_total")
    totals = sa.select(*parts.c, whole).cte("kscope_totals")
    order = [totals.c.kscope_total.desc(), totals.c[by.name]]
    place = sa.func.dense_rank().over(order_by=order).label(_PLACE)
    places = sa.select(*totals.c, place).cte("kscope_places")
    shown = sa.case((places.c[_PLACE] <= SERIES, places.c[by.name])).label(_SHOWN)
    columns = [places.c[name] for name in (_TIME, AMOUNT, EVENTS, _PLACE)]
    return sa.select(*columns, shown).cte("kscope_ranked")


def _heaviest(summed: sa.CTE, keys: Sequence[Column]) -> sa.CTE:
    """Keep the heaviest groups, and one that sums all others."""
    names = [summed.c[each.name] for each in keys]
    order = sa.func.row_number().over(order_by=[summed.c[AMOUNT].desc(), *names])
    ranked = sa.select(*summed.c, order.label(_PLACE)).cte("kscope_ranked")
    is_kept = ranked.c[_PLACE] <= STACKS
    rest = sa.case((is_kept, 0), else_=1).label(_REST)
    shown = [sa.case((is_kept, ranked.c[each.name])).label(each.name) for each in keys]
    chosen = sa.select(rest, *shown, sa.func.sum(ranked.c[AMOUNT]).label(AMOUNT))
    return chosen.group_by(*map(_at, range(1, len(keys) + 2))).cte("kscope_kept")


def _at(place: int, order: str = "") -> Number:
    """Return a column of the result by its place."""
    return sa.literal_column(f"{place} {order}".rstrip())
