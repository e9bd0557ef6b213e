"""SQLAlchemy's dialect for the DDL of ClickHouse, which needs no driver.

`name` is that of the driver's dialect, so that both spell functions alike.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import GenericTypeCompiler, IdentifierPreparer, SQLCompiler

NAME = "clickhousedb"


class HistogramMap(sa.types.UserDefinedType[Any]):
    """Slot -> events."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "Map(UInt8, UInt64)"


class _Types(GenericTypeCompiler):
    def visit_BIGINT(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - SQLAlchemy's names
        return "Int64"

    def visit_INTEGER(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return "Int32"

    def visit_SMALLINT(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return "Int16"

    def visit_DOUBLE(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return "Float64"

    def visit_VARCHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return "String"

    def visit_TEXT(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return "String"

    def visit_BLOB(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        return f"FixedString({type_.length})" if type_.length else "String"


class _Statements(SQLCompiler):
    def visit_join(
        self, join: Any, asfrom: bool = False, from_linter: Any = None, **kw: Any
    ) -> str:  # noqa: FBT001, FBT002
        """A text may be there twice until the engine has merged it: one is enough."""
        left = join.left._compiler_dispatch(self, asfrom=True, from_linter=from_linter, **kw)  # noqa: SLF001
        right = join.right._compiler_dispatch(self, asfrom=True, from_linter=from_linter, **kw)  # noqa: SLF001
        on = join.onclause._compiler_dispatch(self, from_linter=from_linter, **kw)  # noqa: SLF001
        kind = "LEFT ANY JOIN" if join.isouter else "JOIN"
        if getattr(self.dialect, "cluster", ""):
            kind = f"GLOBAL {kind}"
        return f"{left} {kind} {right} ON {on}"

    def render_literal_value(self, value: Any, type_: Any) -> str:
        rendered = super().render_literal_value(value, type_)
        return rendered.replace("\\", "\\\\") if isinstance(value, str) else rendered


class _Quotes(IdentifierPreparer):
    """Quotes every name: the engine has more key words than a name should have to avoid."""

    def __init__(self, dialect: sa.engine.Dialect) -> None:
        super().__init__(dialect, initial_quote="`", escape_quote="`")

    def _requires_quotes(self, value: str) -> bool:
        return bool(value)


class ClickHouseDDL(DefaultDialect):
    """`cluster` is the cluster's name, empty for one server."""

    name = NAME
    type_compiler_cls = _Types
    statement_compiler = _Statements
    preparer = _Quotes
    supports_statement_cache = False
    supports_native_boolean = True

    def __init__(self, cluster: str = "") -> None:
        super().__init__(paramstyle="named")
        self.cluster = cluster
