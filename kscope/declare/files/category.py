"""One category file: text -> Category, or everything that is wrong with it."""

import itertools
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kscope.declare.files import reserved, schema_errors
from kscope.declare.files.charts import charts_of, check_charts
from kscope.declare.files.presets import check_presets, make_presets
from kscope.declare.files.probe import check_probe, make_probe
from kscope.declare.files.receive import check_receive, receive_of
from kscope.declare.files.shapes import CategoryFile, ColumnFile, category_schema, entries
from kscope.declare.files.union import check_union, make_members
from kscope.declare.files.yaml_lines import Document, Found, Path, bounded, parse
from kscope.declare.model import Category, Column, Rollup
from kscope.declare.types import TYPES
from kscope.declare.types.base import BadValuesError, ColumnType, Storage
from kscope.declare.types.wire import UNSET, made
from kscope.declare.units import seconds
from kscope.declare.values import is_valid, rate_problem, unit_problem, value_fault
from kscope.errors import Problem, printable

DAY = 86400
# To read a row engines join the texts that its columns name. MariaDB joins 61 tables; two of them
# are the rows and their hosts' names.
_JOINED = (Storage.STRING_ID, Storage.STACK_ID)
_MOST_JOINED = 59


@dataclass(frozen=True)
class Reading:
    """The result of reading one file: a category, or its problems."""

    category: Category | None
    problems: tuple[Problem, ...]


def read_category(text: str, file: str, probes: pathlib.Path | None = None) -> Reading:
    """Check a category's text; `probes` is the folder its program is looked for in."""
    document = parse(text, file)
    problems = bounded(file, _problems(document, probes))
    return Reading(None, problems) if problems else Reading(_make(document, probes), ())


def _problems(document: Document, probes: pathlib.Path | None) -> Iterator[Problem]:
    """Yield each problem when it is asked for: the caller stops after a hundred of them."""
    yield from document.problems
    if document.value is None and not document.problems:
        message = "the file is empty: it needs 'table' and 'columns'"
        yield Problem(document.file, 1, "", message)
    if document.value is not None:
        unread = {problem.path for problem in document.problems}
        found = itertools.chain(
            schema_errors.check(document, category_schema()), _check(document, probes)
        )
        yield from (problem for problem in found if problem.path not in unread)


def _check(document: Document, probes: pathlib.Path | None) -> Iterator[Problem]:
    """Yield the problems that a schema cannot find, also in documents of a wrong shape."""
    value = document.value
    if not isinstance(value, dict):
        return
    mistakes: list[Found] = []
    columns = _known_columns(value.get("columns"), document, mistakes)
    found = itertools.chain(
        _check_table(value.get("table")),
        mistakes,
        _check_joins(columns),
        _check_sampled(value.get("columns"), columns),
        # Those of a union are checked once its columns are known.
        () if "union" in value else check_charts(value.get("charts"), columns),
        check_union(value),
        check_receive(value, columns),
        check_presets(entries(value.get("presets"))),
        _check_ages(value.get("retention"), value.get("rollup")),
    )
    yield from (document.problem(*each) for each in found)
    if isinstance(probe := value.get("probe"), dict):
        yield from check_probe(document, probe, columns, probes)


def _check_table(table: Any) -> Iterator[Found]:
    if isinstance(table, str) and (why := reserved.table_problem(table)):
        yield ("table",), why


def _known_columns(listed: Any, document: Document, found: list[Found]) -> dict[str, Column]:
    """Return the columns by name as far as they are known, the first of each; note all mistakes."""
    known: dict[str, Column] = {}
    lines: dict[str, int] = {}
    for i, raw in entries(listed):
        name = raw.get("name")
        if not isinstance(name, str):
            continue
        path: Path = ("columns", i, "name")
        why = reserved.column_problem(name)
        if str(raw.get("type")) in TYPES:
            found += _check_type(i, raw)
            if not why and name not in known:
                file = ColumnFile(name=name, type=raw["type"], default=raw.get("default", UNSET))
                known[name] = _column(file, document.line(path))
        if not why and name in lines:
            why = f"column '{printable(name)}' is already on line {lines[name]}"
        found += [(path, why)] if why else []
        lines.setdefault(name, document.line(path))
    return known


def _check_joins(columns: dict[str, Column]) -> Iterator[Found]:
    joined = [column for column in columns.values() if column.type.storage in _JOINED]
    if len(joined) > _MOST_JOINED:
        names = ", ".join(name for name, each in TYPES.items() if each.storage in _JOINED)
        text = f"{len(joined)} columns of types {names}; at most {_MOST_JOINED} can be read"
        yield ("columns",), f"{text}: make some of them text, or split the table"


def _check_sampled(listed: Any, columns: dict[str, Column]) -> Iterator[Found]:
    for i, raw in entries(listed):
        name, own = raw.get("sampled_by"), columns.get(str(raw.get("name")))
        if not isinstance(name, str) or own is None:
            continue
        path: Path = ("columns", i, "sampled_by")
        if why := rate_problem(own.type):
            yield path, why
        elif name not in columns or not columns[name].type.counts_events:
            counts = [each.name for each in columns.values() if each.type.counts_events]
            yield path, f"'{printable(name)}' is no count column; {_those(counts)}"


def _those(names: list[str]) -> str:
    return f"there are {', '.join(names)}" if names else "there is none"


def _check_type(i: int, raw: dict[str, Any]) -> Iterator[Found]:
    """Yield the mistakes of a column whose type is known."""
    column_type = TYPES[raw["type"]]
    if isinstance(raw.get("unit"), str) and (why := unit_problem(column_type, raw["unit"])):
        yield ("columns", i, "unit"), why
    if isinstance(raw.get("rate"), str) and (why := rate_problem(column_type)):
        yield ("columns", i, "rate"), why
    if "default" in raw:
        yield from _check_default(("columns", i, "default"), column_type, raw["default"])


def _check_ages(retention: Any, rollup: Any) -> Iterator[Found]:
    keep = _try_seconds(retention)
    levels = dict(itertools.islice(rollup.items(), 100)) if isinstance(rollup, dict) else {}
    buckets = {text: bucket for text in levels if (bucket := _try_seconds(text)) is not None}
    for text, bucket in buckets.items():
        path: Path = ("rollup", text)
        if bucket < 60 or (DAY % bucket and bucket % DAY):
            yield path, f"a bucket of {text} does not divide a day: use 1m, 15m, 1h, 6h, 1d"
        kept = _try_seconds(levels[text])
        if kept is not None and kept <= bucket:
            yield path, f"kept for {levels[text]}, no longer than the bucket itself"
        if keep is not None and keep < 2 * bucket and bucket == min(buckets.values()):
            why = f"rows kept for {retention} are gone before a bucket of {text} is summed"
            yield ("retention",), why
    yield from _check_nesting(buckets)


def _check_nesting(buckets: dict[str, int]) -> Iterator[Found]:
    ordered = sorted(buckets.items(), key=lambda item: item[1])
    for (fine, small), (coarse, large) in itertools.pairwise(ordered):
        if large % small or large == small:
            yield ("rollup", coarse), f"{coarse} is not a multiple of {fine}"


def _check_default(path: Path, column_type: ColumnType, default: Any) -> Iterator[Found]:
    """Beyond the type: what is right in a row may say nothing in a declaration."""
    allowed = column_type.defaults
    if default is None and column_type.nullable:
        return
    if allowed and not is_valid(allowed.json, default):
        yield path, allowed.refusal.format(repr(default))
    elif (fault := value_fault(column_type, default)) and column_type.nullable:
        yield path, f"{fault}; write null if a row may be without it"
    elif fault:
        yield path, fault.message, fault.cure
    else:
        try:
            column_type.encoded([default])
        except BadValuesError as error:
            yield path, str(error)


def _try_seconds(text: Any) -> int | None:
    try:
        return seconds(text)
    except (ValueError, TypeError):
        return None


def _make(document: Document, probes: pathlib.Path | None) -> Category:
    file = made(document.value, CategoryFile)
    places = (document.line(("columns", i, "name")) for i in range(len(file.columns)))
    columns = tuple(map(_column, file.columns, places))
    rollup = (Rollup(seconds(bucket), seconds(keep)) for bucket, keep in file.rollup.items())
    return Category(
        table=file.table,
        prettyname=file.prettyname or _title(file.table),
        description=file.description,
        columns=columns,
        charts=() if file.union else charts_of(document.value.get("charts"), columns),
        retention=seconds(file.retention) if file.retention else None,
        rollup=tuple(sorted(rollup, key=lambda each: each.bucket)),
        probe=make_probe(file.probe, document, columns, probes) if file.probe else None,
        presets=make_presets(file.presets, document),
        union=make_members(file.union, document),
        receive=receive_of(file.receive) if file.receive else (),
        declaration={key: each for key, each in document.value.items() if key != "probe"},
        lines=document.lines if file.union else {},
        file=document.file,
        line=document.line(("table",)),
    )


def _column(file: ColumnFile, line: int) -> Column:
    column_type = TYPES[file.type]
    optional = file.default is not UNSET
    return Column(
        name=file.name,
        type=column_type,
        prettyname=file.prettyname or _title(file.name),
        unit=file.unit or column_type.unit,
        help=file.help,
        rate=file.rate,
        sampled_by=file.sampled_by,
        optional=optional,
        default=file.default if optional else None,
        index=file.index,
        line=line,
    )


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
