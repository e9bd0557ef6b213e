"""SQL functions of questions. Dialects that spell one differently do so in generate/dialects."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from kscope.generate.dialects import DIALECTS
from kscope.generate.dialects.sqlite import SQLITE
from kscope.generate.expressions import Spelled, as_double


class position(Spelled):  # noqa: N801 - SQL functions are lower case
    """The place of the second text in the first, by bytes; 1 is its start, 0 is nowhere."""

    type = sa.Integer()
    common = "instr({0}, {1})"


class exact(Spelled):  # noqa: N801
    """A text that compares by its bytes: MySQL would ignore spaces at the end."""

    type = sa.Text()


class whole_mean(Spelled):  # noqa: N801
    """The mean of as many events as the second argument says, without its fraction.

    Of no events it is NULL or 0.
    """

    type = sa.BigInteger()
    common = "(({0}) / nullif({1}, 0))"


class whole(Spelled):  # noqa: N801
    """Cut the fraction off a number that is not negative."""

    type = sa.BigInteger()


class newest(Spelled):  # noqa: N801
    """The number at the largest time: the text of both, which `newest_number` reads.

    Of several numbers at that time it is one; those that are NULL do not count.
    """

    type = sa.Text()


def newest_number(found: str | None) -> float | None:
    """Return the number of a `newest`."""
    return float(found[_TIME_DIGITS:]) if found else None


_TIME_DIGITS = 20


class has_slot(Spelled):  # noqa: N801
    """Whether a histogram has events in a slot; the stored text is `slot:count,slot:count`."""

    type = sa.Boolean()
    common = "(instr(',' || {0}, ',{1}:') > 0)"


class listed(Spelled):  # noqa: N801
    """The values of one bound JSON array, as a subquery for IN.

    The array is one parameter: databases bound the number of parameters.
    """

    type = sa.BigInteger()


class listed_texts(Spelled):  # noqa: N801
    """The texts of one bound JSON array, as `exact` compares them."""

    type = sa.Text()


class ids_by_hash(Spelled):  # noqa: N801
    """The ids of texts, for IN: a subquery that finds them, and the JSON array of their hashes.

    Where the hash is the id, no text is looked up.
    """

    type = sa.BigInteger()
    common = "{0}"


class listed_pairs(Spelled):  # noqa: N801
    """The pairs of whole numbers in one bound JSON array, as a table of `first`, `second`."""


class log2_slot(Spelled):  # noqa: N801
    """The slot of value / weight: i where 2**i <= value / weight < 2**(i+1), 0 also for 0.

    Unless the dialect can do it exactly it is found by halving, in whole numbers: a logarithm
    would round just below a power of two, and not all databases have one.
    """

    everywhere = False
    type = sa.Integer()


class log2_slot_of_mean(log2_slot):  # noqa: N801
    """The same of the mean of as many events as the second argument says."""


@compiles(log2_slot)
def _log2_slot(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    value, *weight = (compiler.process(clause, **kw) for clause in element.clauses)
    dialect = DIALECTS.get(compiler.dialect.name, SQLITE)
    if spelling := dialect.functions.get(type(element).__name__):
        return spelling.format(value, *weight)

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


class place_among(Spelled):  # noqa: N801
    """The place of the last of these rising bounds that a number reaches, else 0, also of NULL.

    The arguments are the number and the bounds. Unless the dialect can do it by itself the place is
    found by halving, in whole numbers.
    """

    everywhere = False
    type = sa.Integer()


def place_among_bounds(size: sa.ColumnElement[Any], bounds: Sequence[int]) -> sa.ColumnElement[int]:
    """Return the `place_among` of these bounds."""
    return place_among(size, *(sa.literal_column(str(each)) for each in bounds))


@compiles(place_among)
def _place_among(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    size, *bounds = (compiler.process(clause, **kw) for clause in element.clauses)
    dialect = DIALECTS.get(compiler.dialect.name, SQLITE)
    if spelling := dialect.functions.get("place_among"):
        return spelling.format(size, ",".join(bounds), ",".join(map(str, range(len(bounds)))))

    def halved(low: int, high: int) -> str:
        if low == high:
            return str(low)
        middle = (low + high + 1) // 2
        upper, lower = halved(middle, high), halved(low, middle - 1)
        return f"CASE WHEN ({size} >= {bounds[middle]}) THEN {upper} ELSE {lower} END"

    return halved(0, len(bounds) - 1)


def mean_size(
    value: sa.ColumnElement[Any], weight: sa.ColumnElement[Any] | None
) -> sa.ColumnElement[Any]:
    """Return the mean of as many events as `weight` says, in floating point; NULL for none."""
    size = as_double(value)
    return size if weight is None else size / as_double(sa.func.nullif(weight, 0))


def as_text(value: Any) -> Any:
    """Return the text of an `exact` value, which MySQL returns as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def ids(column: sa.ColumnElement[Any], values: Sequence[int]) -> sa.ColumnElement[bool]:
    """Return the comparison: `column` is one of `values`, whole numbers."""
    return column.op("IN", is_comparison=True)(listed(_json(values)))


def hashed_ids(
    column: sa.ColumnElement[Any],
    key: sa.ColumnElement[Any],
    hashed: sa.ColumnElement[Any],
    hashes: Sequence[int],
) -> sa.ColumnElement[bool]:
    """Return the comparison: `column` is the `key` of a text with one of the hashes."""
    found = sa.select(key).where(ids(hashed, hashes)).correlate(None).scalar_subquery()
    return column.op("IN", is_comparison=True)(ids_by_hash(found, _json(hashes)))


def texts(column: sa.ColumnElement[Any], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return the comparison: `column` is, byte for byte, one of `values`."""
    return exact(column).op("IN", is_comparison=True)(listed_texts(_json(values)))


def pairs(values: Sequence[tuple[int, int]]) -> sa.TableValuedAlias:
    """Return a table of the pairs, with columns `first` and `second`."""
    columns = [sa.column(name, sa.BigInteger()) for name in ("first", "second")]
    return listed_pairs(_json(values)).table_valued(*columns, name="listed")


def _json(values: Sequence[Any]) -> sa.ColumnElement[str]:
    return sa.literal(msgspec.json.encode(list(values)).decode(), sa.Text())
