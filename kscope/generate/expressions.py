"""SQL functions that each engine spells in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class Spelled(sa.sql.functions.FunctionElement[Any]):
    """An SQL function, with its spelling per engine: `{0}`, `{1}`, ... are the arguments.

    The spelling for MySQL is used for MariaDB too; without it all engines spell it the same.
    """

    inherit_cache = True
    sqlite: ClassVar[str]
    mysql: ClassVar[str] = ""


@compiles(Spelled)
def _spelled(element: Spelled, compiler: SQLCompiler, **kw: Any) -> str:
    other = "" if compiler.dialect.name == "sqlite" else element.mysql
    arguments = (compiler.process(each, **kw) for each in element.clauses)
    return (other or element.sqlite).format(*arguments)


class readable_time(Spelled):  # noqa: N801 - SQL functions are lower case
    """Microseconds since the epoch -> `2026-11-23 02:46:15.288693`, UTC."""

    type = sa.Text()
    # Julian-day arithmetic would round the microseconds: they are printed from the integer.
    sqlite = (
        "(strftime('%Y-%m-%d %H:%M:%S', {0} / 1000000, 'unixepoch')"
        " || printf('.%06d', {0} % 1000000))"
    )
    # FROM_UNIXTIME would use the session's zone.
    mysql = "TIMESTAMP'1970-01-01 00:00:00.000000' + INTERVAL ({0}) MICROSECOND"
