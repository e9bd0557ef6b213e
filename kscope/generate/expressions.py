"""SQL functions that a dialect may spell its own way."""

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from kscope.generate.dialects import DIALECTS
from kscope.generate.dialects.sqlite import SQLITE


class Spelled(sa.sql.functions.FunctionElement[Any]):
    """An SQL function. `{0}`, `{1}`, ... in its spelling are the arguments.

    The spelling is that of the dialect's file in generate/dialects; a dialect that does not name
    the function uses `common`.
    """

    inherit_cache = True
    common: ClassVar[str] = ""
    # Whether each dialect has it; if not, statements do without it where it is missing.
    everywhere: ClassVar[bool] = True


@compiles(Spelled)
def _spelled(element: Spelled, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLAlchemy's general dialect prints a statement for a log.
    known = DIALECTS.get(compiler.dialect.name, SQLITE)
    spelling = known.functions.get(type(element).__name__, element.common)
    return spelling.format(*(compiler.process(each, **kw) for each in element.clauses))


class readable_time(Spelled):  # noqa: N801 - SQL functions are lower case
    """Microseconds since the epoch -> `2026-11-23 02:46:15.288693`, UTC."""

    type = sa.Text()


class slots_of(Spelled):  # noqa: N801
    """The text of a histogram, such as `1:3,5:2`, as a table of `slot` and `events`."""

    everywhere = False


class whole_divide(Spelled):  # noqa: N801
    """Divide whole numbers, without the remainder; neither is negative."""

    type = sa.BigInteger()
    common = "(({0}) / ({1}))"


class as_double(Spelled):  # noqa: N801
    """A number as 64-bit floating point, so that a division is the same everywhere."""

    type = sa.Double()
    common = "CAST({0} AS DOUBLE)"
