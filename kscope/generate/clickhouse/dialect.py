"""SQLAlchemy's dialect for the DDL of ClickHouse, which needs no driver.

`name` is that of the driver's dialect, so that both spell functions alike.
"""

from collections.abc import Mapping
from types import MappingProxyType
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


_NAMES: Mapping[type[sa.types.TypeEngine[Any]], str] = MappingProxyType(
    {
        sa.SmallInteger: "Int16",
        sa.BigInteger: "Int64",
        sa.Integer: "Int32",
        sa.Double: "Float64",
        sa.String: "String",
    }
)


class _Types(GenericTypeCompiler):
    def process(self, type_: Any, **kw: Any) -> str:
        kind = type_.dialect_impl(self.dialect)
        if isinstance(kind, sa.LargeBinary):
            return f"FixedString({kind.length})" if kind.length else "String"
        named = (name for known, name in _NAMES.items() if isinstance(kind, known))
        return next(named, None) or str(super().process(type_, **kw))


class _Statements(SQLCompiler):
    def visit_join(self, join: Any, *_: Any, from_linter: Any = None, **kw: Any) -> str:
        """A text may be there twice until the engine has merged it: one is enough."""
        kw.pop("asfrom", None)
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
    preparer: type[Any] = _Quotes
    supports_statement_cache = False
    supports_native_boolean = True

    def __init__(self, cluster: str = "") -> None:
        super().__init__(paramstyle="named")
        self.cluster = cluster
