"""SQL expressions that each engine spells in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class readable_time(sa.sql.functions.FunctionElement[str]):  # noqa: N801 - SQL functions are lower case
    """Microseconds since the epoch -> `2026-11-23 02:46:15.288693`, UTC."""

    type = sa.Text()
    inherit_cache = True


@compiles(readable_time, "sqlite")
def _sqlite(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    time = compiler.process(element.clauses, **kw)
    # julian-day arithmetic would round the microseconds: they are printed from the integer.
    return (
        f"(strftime('%Y-%m-%d %H:%M:%S', {time} / 1000000, 'unixepoch')"
        f" || printf('.%06d', {time} % 1000000))"
    )


@compiles(readable_time, "mysql")
@compiles(readable_time, "mariadb")
def _mysql(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    time = compiler.process(element.clauses, **kw)
    # FROM_UNIXTIME would use the session's zone.
    return f"TIMESTAMP'1970-01-01 00:00:00.000000' + INTERVAL ({time}) MICROSECOND"
