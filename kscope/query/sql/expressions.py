"""SQL expressions of questions that each engine spells in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql.compiler import SQLCompiler


_PAIR = ("first", "second")
_JSON_TEXT = "LONGTEXT CHARACTER SET utf8mb4"


def mean_size(
    value: sa.ColumnElement[Any], weight: sa.ColumnElement[Any] | None
) -> sa.ColumnElement[Any]:
    """Of so many events as `weight` says, as floating point; NULL of none."""
    size = as_double(value)
    return size if weight is None else size / as_double(sa.func.nullif(weight, 0))


class position(sa.sql.functions.FunctionElement[int]):  # noqa: N801 - SQL functions are lower case
    """Where the second text first stands in the first, by bytes; 1 is its start, 0 is nowhere."""

    type = sa.Integer()
    inherit_cache = True


class exact(sa.sql.functions.FunctionElement[str]):  # noqa: N801
    """A text that compares by its bytes: MySQL would take no notice of spaces at the end."""

    type = sa.Text()
    inherit_cache = True


def as_text(value: Any) -> Any:
    """MySQL gives an exact text as its bytes."""
    return value.decode() if isinstance(value, bytes) else value


class whole_divide(sa.sql.functions.FunctionElement[int]):  # noqa: N801
    """Divide whole numbers, without the remainder; neither is negative."""

    type = sa.BigInteger()
    inherit_cache = True


class listed(sa.sql.functions.FunctionElement[Any]):  # noqa: N801
    """The values of one bound JSON array, as a subquery for IN.

    One parameter however many values there are: engines bound the number of parameters.
    """

    type = sa.BigInteger()
    inherit_cache = True


def ids(column: sa.ColumnElement[Any], values: Sequence[int]) -> sa.ColumnElement[bool]:
    """`column` is one of `values`, whole numbers."""
    document = msgspec.json.encode(list(values)).decode()
    return column.op("IN", is_comparison=True)(listed(sa.literal(document, sa.Text())))


class listed_texts(sa.sql.functions.FunctionElement[Any]):  # noqa: N801
    """The same of texts, as `exact` compares them."""

    type = sa.Text()
    inherit_cache = True


def texts(column: sa.ColumnElement[Any], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """`column` is, byte for byte, one of `values`."""
    document = msgspec.json.encode(list(values)).decode()
    found = listed_texts(sa.literal(document, sa.Text()))
    return exact(column).op("IN", is_comparison=True)(found)


class listed_pairs(sa.sql.functions.FunctionElement[Any]):  # noqa: N801
    """The pairs of whole numbers in one bound JSON array, as a table of `first`, `second`."""

    inherit_cache = True


def pairs(values: Sequence[tuple[int, int]]) -> sa.TableValuedAlias:
    document = msgspec.json.encode(values).decode()
    table = listed_pairs(sa.literal(document, sa.Text()))
    columns = [sa.column(name, sa.BigInteger()) for name in _PAIR]
    return table.table_valued(*columns, name="listed")


@compiles(position)
def _position(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


@compiles(exact)
def _exact(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(exact, "mysql")
@compiles(exact, "mariadb")
def _exact_mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS BINARY)"


@compiles(whole_divide)
def _divide(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(({left}) / ({right}))"


@compiles(whole_divide, "mysql")
@compiles(whole_divide, "mariadb")
def _divide_mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # MySQL's / rounds to four decimals.
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(({left}) DIV ({right}))"


@compiles(listed, "sqlite")
def _listed_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    document = compiler.process(element.clauses, **kw)
    return f"(SELECT value FROM json_each({document}))"  # noqa: S608 - a parameter's mark


@compiles(listed_texts, "sqlite")
def _listed_texts_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return _listed_sqlite(element, compiler, **kw)


@compiles(listed_texts, "mysql")
@compiles(listed_texts, "mariadb")
def _listed_texts_mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    document = compiler.process(element.clauses, **kw)
    table = f"JSON_TABLE({document}, '$[*]' COLUMNS (text {_JSON_TEXT} PATH '$'))"
    return f"(SELECT CAST(listed.text AS BINARY) FROM {table} AS listed)"  # noqa: S608 - a parameter's mark


@compiles(listed_pairs, "sqlite")
def _listed_pairs_sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    document = compiler.process(element.clauses, **kw)
    values = ", ".join(f"json_extract(value, '$[{i}]') AS {_PAIR[i]}" for i in (0, 1))
    return f"(SELECT {values} FROM json_each({document}))"  # noqa: S608 - a parameter's mark


@compiles(listed_pairs, "mysql")
@compiles(listed_pairs, "mariadb")
def _listed_pairs_mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    document = compiler.process(element.clauses, **kw)
    columns = ", ".join(f"{_PAIR[i]} BIGINT PATH '$[{i}]'" for i in (0, 1))
    return f"JSON_TABLE({document}, '$[*]' COLUMNS ({columns}))"


@compiles(listed, "mysql")
@compiles(listed, "mariadb")
def _listed_mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    document = compiler.process(element.clauses, **kw)
    table = f"JSON_TABLE({document}, '$[*]' COLUMNS (id BIGINT PATH '$'))"
    return f"(SELECT listed.id FROM {table} AS listed)"  # noqa: S608 - a parameter's mark


class log2_slot(sa.sql.functions.FunctionElement[int]):  # noqa: N801
    """The slot of value / weight: i where 2**i <= value / weight < 2**(i+1), 0 also for 0.

    Found by halving, in whole numbers: a logarithm would round just below a power of two, and
    not all engines have one.
    """

    type = sa.Integer()
    inherit_cache = True


class as_double(sa.sql.functions.FunctionElement[float]):  # noqa: N801
    """A number as 64-bit floating point, so that a division is the same everywhere."""

    type = sa.Double()
    inherit_cache = True


class quick_sum(sa.sql.functions.FunctionElement[int]):  # noqa: N801
    """Sum whole numbers of which none is negative.

    MySQL adds floating point in a fraction of the time that its decimals take: a sum is exact below
    INEXACT, and one that might not be is not below it.
    """

    type = sa.BigInteger()
    inherit_cache = True


INEXACT = 2**53


class whole(sa.sql.functions.FunctionElement[int]):  # noqa: N801
    """Cut the fraction off a number that is not negative."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(log2_slot)
def _log2_slot(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    value, *weight = (compiler.process(clause, **kw) for clause in element.clauses)

    def reaches(slot: int) -> str:
        # Shifting, not multiplying: 2**slot times a weight may not fit 64 bits.
        return f"({value} >> {slot}) >= {weight[0]}" if weight else f"{value} >= {1 << slot}"

    def halved(low: int, high: int) -> str:
        if low == high:
            return str(low)
        middle = (low + high + 1) // 2
        upper, lower = halved(middle, high), halved(low, middle - 1)
        return f"CASE WHEN {reaches(middle)} THEN {upper} ELSE {lower} END"

    return f"({halved(0, 62)})"


@compiles(as_double)
def _as_double(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS DOUBLE)"


@compiles(quick_sum)
def _quick_sum(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"SUM({compiler.process(element.clauses, **kw)})"


@compiles(quick_sum, "mysql")
@compiles(quick_sum, "mariadb")
def _quick_sum_mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # Cut below 2**63, so that the engine need not warn of it.
    return f"CAST(LEAST(SUM({_as_double(element, compiler, **kw)}), 9e18) AS SIGNED)"


@compiles(whole)
def _whole(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS INTEGER)"


@compiles(whole, "mysql")
@compiles(whole, "mariadb")
def _whole_mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    # MySQL's CAST rounds.
    return f"CAST(FLOOR({compiler.process(element.clauses, **kw)}) AS SIGNED)"
