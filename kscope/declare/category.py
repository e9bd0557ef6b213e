"""One category file: text -> Category, or everything that is wrong with it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kscope.declare import chartkinds, reserved, shape
from kscope.declare.columns import TYPES, Role, Storage
from kscope.declare.durations import seconds
from kscope.declare.metaschema import category_schema
from kscope.declare.model import IMPLICIT_COLUMNS, Category, Chart, Column, Rollup
from kscope.declare.probe import check_probe, make_probe
from kscope.declare.values import value_problem
from kscope.declare.yamlfile import Document, Path, parse
from kscope.errors import Problem

if TYPE_CHECKING:
    import pathlib

    from kscope.declare.columns import ColumnType

DAY = 86400
# To read a row engines join the texts that its columns name; MariaDB joins 61 tables, of which two
# are the rows and their hosts' names.
_JOINED = (Storage.STRING_ID, Storage.STACK_ID)
_MOST_JOINED = 59


@dataclass(frozen=True)
class Reading:
    """What became of one file: a category, or the problems that keep it from being one."""

    category: Category | None
    problems: tuple[Problem, ...]


def read_category(text: str, file: str, probes: pathlib.Path | None = None) -> Reading:
    """Check a category's text; `probes` is the folder its program is looked for in."""
    document = parse(text, file)
    problems = list(document.problems)
    if document.value is None and not problems:
        problems.append(Problem(file, 1, "", "the file is empty: it needs 'table' and 'columns'"))
    if document.value is not None:
        unread = {problem.path for problem in problems}
        found = [*shape.check(document, category_schema()), *_Checker(document, probes).run()]
        problems += (problem for problem in found if problem.path not in unread)
    if problems:
        return Reading(None, tuple(sorted(set(problems))))
    return Reading(_make(document, probes), ())


@dataclass
class _Checker:
    """What a shape cannot say. It runs on misshapen documents too, so that all is said at once."""

    document: Document
    probes: pathlib.Path | None
    problems: list[Problem] = field(default_factory=list)

    def run(self) -> list[Problem]:
        value = self.document.value
        if not isinstance(value, dict):
            return []
        if isinstance(table := value.get("table"), str) and (why := reserved.table_problem(table)):
            self.add(("table",), why)
        columns = self.check_columns(value.get("columns"))
        self.check_charts(value.get("charts"), columns)
        self.check_ages(value.get("retention"), value.get("rollup"))
        if isinstance(probe := value.get("probe"), dict):
            self.problems += check_probe(self.document, probe, columns, self.probes)
        return self.problems

    def add(self, path: Path, message: str) -> None:
        self.problems.append(self.document.problem(path, message))

    def check_columns(self, columns: Any) -> dict[str, Column]:
        """Columns by name, as far as they can be told."""
        known: dict[str, Column] = {}
        for i, raw in enumerate(columns if isinstance(columns, list) else []):
            name = raw.get("name") if isinstance(raw, dict) else None
            if not isinstance(name, str):
                continue
            path: Path = ("columns", i, "name")
            has_type = str(raw.get("type")) in TYPES
            if has_type:
                self.check_default(i, raw)
            if why := reserved.column_problem(name):
                self.add(path, why)
            elif name in known:
                self.add(path, f"column '{name}' is already on line {known[name].line}")
            elif has_type:
                known[name] = _column(self.document, i)
        self.check_joins(known)
        return known

    def check_joins(self, columns: dict[str, Column]) -> None:
        joined = [column for column in columns.values() if column.type.storage in _JOINED]
        if len(joined) > _MOST_JOINED:
            names = ", ".join(name for name, each in TYPES.items() if each.storage in _JOINED)
            text = f"{len(joined)} columns of types {names}, of which {_MOST_JOINED} can be read"
            self.add(("columns",), f"{text}: make some of them text, or split the table")

    def check_default(self, i: int, raw: dict[str, Any]) -> None:
        if "default" in raw and (why := _default_problem(TYPES[raw["type"]], raw["default"])):
            self.add(("columns", i, "default"), why)

    def check_charts(self, charts: Any, columns: dict[str, Column]) -> None:
        for i, chart in enumerate(charts if isinstance(charts, list) else []):
            if isinstance(chart, dict) and str(chart.get("kind")) in chartkinds.KINDS:
                self.check_chart(i, chart, columns)

    def check_chart(self, i: int, chart: dict[str, Any], columns: dict[str, Column]) -> None:
        kind = chartkinds.KINDS[chart["kind"]]
        path: Path = ("charts", i)
        groups = (Role.DIMENSION,)
        self.check_reference((*path, "value"), chart.get("value"), columns, kind.values)
        self.check_reference((*path, "stack"), chart.get("stack"), columns, (Role.STACK,))
        self.check_reference((*path, "by"), chart.get("by"), columns, groups)
        if kind.needs_stack and "stack" not in chart:
            self.add(path, f"a {kind.name} needs 'stack', the column that holds the stacks")
        if kind.needs_value and "value" not in chart:
            self.add(path, f"a {kind.name} needs 'value', the column that it shows")
        if "stack" in chart and not kind.needs_stack:
            self.add((*path, "stack"), f"a {kind.name} has no use for a stack")
        if "by" in chart and not kind.takes_by:
            self.add((*path, "by"), f"a {kind.name} cannot be split")

    def check_reference(
        self, path: Path, name: Any, columns: dict[str, Column], roles: tuple[Role, ...]
    ) -> None:
        if not isinstance(name, str):
            return
        known = {column.name: column for column in IMPLICIT_COLUMNS} | columns
        fitting = [column.name for column in known.values() if column.type.role in roles]
        if name not in known:
            self.add(path, f"there is no column '{name}'.{shape.suggestion(name, fitting)}")
        elif name not in fitting:
            kind = known[name].type.name
            self.add(path, f"'{name}' is of type {kind}.{shape.suggestion(name, fitting)}")

    def check_ages(self, retention: Any, rollup: Any) -> None:
        keep = _try_seconds(retention)
        levels = rollup if isinstance(rollup, dict) else {}
        buckets = {text: bucket for text in levels if (bucket := _try_seconds(text)) is not None}
        for text, bucket in buckets.items():
            path: Path = ("rollup", text)
            if bucket < 60 or (DAY % bucket and bucket % DAY):
                self.add(path, f"a bucket of {text} does not divide a day: use 1m, 15m, 1h, 6h, 1d")
            kept = _try_seconds(levels[text])
            if kept is not None and kept <= bucket:
                self.add(path, f"kept for {levels[text]}, no longer than the bucket itself")
            if keep is not None and keep < 2 * bucket and bucket == min(buckets.values()):
                self.add(
                    ("retention",),
                    f"rows kept for {retention} are gone before a bucket of {text} is summed",
                )
        self.check_nesting(buckets)

    def check_nesting(self, buckets: dict[str, int]) -> None:
        ordered = sorted(buckets.items(), key=lambda item: item[1])
        for (fine, small), (coarse, large) in itertools.pairwise(ordered):
            if large % small or large == small:
                self.add(("rollup", coarse), f"{coarse} is not a multiple of {fine}")


def _default_problem(column_type: ColumnType, default: Any) -> str:
    """Beyond the type: what is right in a row may say nothing in a declaration."""
    if column_type.storage is Storage.TIME:
        return "a timestamp cannot have a default: it would be an event that never happened"
    if column_type.storage is Storage.HISTOGRAM and default != []:
        return "a histogram's default is []: counts would be events that never happened"
    if column_type.storage is Storage.STACK_ID and not isinstance(default, str):
        return f"{default!r} is not a folded stack: an index says nothing without a request"
    return value_problem(column_type, default)


def _try_seconds(text: Any) -> int | None:
    try:
        return seconds(text)
    except (ValueError, TypeError):
        return None


def _make(document: Document, probes: pathlib.Path | None) -> Category:
    value = document.value
    columns = tuple(_column(document, i) for i in range(len(value["columns"])))
    retention = value.get("retention")
    return Category(
        table=value["table"],
        prettyname=value.get("prettyname") or _title(value["table"]),
        description=value.get("description", ""),
        columns=columns,
        charts=_charts(value, columns),
        retention=seconds(retention) if retention else None,
        rollup=tuple(
            sorted(
                (Rollup(seconds(b), seconds(k)) for b, k in value.get("rollup", {}).items()),
                key=lambda rollup: rollup.bucket,
            )
        ),
        probe=make_probe(value["probe"], columns, probes) if "probe" in value else None,
        file=document.file,
        line=document.line(("table",)),
    )


def _column(document: Document, i: int) -> Column:
    raw = document.value["columns"][i]
    column_type = TYPES[raw["type"]]
    return Column(
        name=raw["name"],
        type=column_type,
        prettyname=raw.get("prettyname") or _title(raw["name"]),
        unit=raw.get("unit", column_type.unit),
        help=raw.get("help", ""),
        optional="default" in raw,
        default=raw.get("default"),
        index=raw.get("index", False),
        line=document.line(("columns", i, "name")),
    )


def _charts(value: dict[str, Any], columns: tuple[Column, ...]) -> tuple[Chart, ...]:
    if not value.get("charts"):
        return chartkinds.derive(columns)
    known = {column.name: column for column in (*IMPLICIT_COLUMNS, *columns)}
    return tuple(
        Chart(
            kind=raw["kind"],
            title=raw.get("title")
            or chartkinds.title(
                raw["kind"], known.get(raw.get("value", "")), known.get(raw.get("by", ""))
            ),
            value=raw.get("value", ""),
            stack=raw.get("stack", ""),
            by=raw.get("by", ""),
        )
        for raw in value["charts"]
    )


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
