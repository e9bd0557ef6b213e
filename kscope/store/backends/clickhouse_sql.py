"""SQLAlchemy's statements as ClickHouse reads them: the driver's dialect and some more."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from clickhouse_connect.cc_sqlalchemy.dialect import ClickHouseDialect
from clickhouse_connect.cc_sqlalchemy.sql.compiler import ChStatementCompiler
from clickhouse_connect.driver.binding import format_query_value

from kscope.generate.clickhouse.layout import Use, layout_of
from kscope.generate.expressions import slots_of
from kscope.store.backends.statements import AS_APPENDED, GROUPS_ALONE, compiled

# A server reads at most 128 KiB as one parameter. A longer one, a list of ids, is a literal of the
# statement, which the driver quotes.
_LONGEST_PARAMETER = 60_000


def _is_of_texts(found: Any) -> bool:
    table = getattr(found, "element", found)
    return isinstance(table, sa.Table) and layout_of(table).use is Use.TEXTS


class _Statements(ChStatementCompiler):
    def bindparam_string(self, name: str, **kw: Any) -> str:  # type: ignore[override]
        """All whole numbers are of 64 bits: a bound 2**31 would wrap without a word."""
        kind = kw.get("bindparam_type") or self._ch_bind_type
        if kind is not None:
            kind = kind._variant_mapping.get(self.dialect.name, kind)  # noqa: SLF001
            kw["bindparam_type"] = sa.BigInteger() if isinstance(kind, sa.Integer) else kind
        return str(super().bindparam_string(name, **kw))  # type: ignore[no-untyped-call]

    def visit_bindparam(self, bindparam: Any, **kw: Any) -> str:  # type: ignore[override]
        """A list of whole numbers for IN is of 64 bits too."""
        text = str(super().visit_bindparam(bindparam, **kw))  # type: ignore[no-untyped-call]
        return text.replace(":Array(Int32)}", ":Array(Int64)}")

    def visit_bitwise_and_op_binary(self, binary: Any, _: Any, **kw: Any) -> str:
        return f"bitAnd({self.process(binary.left, **kw)}, {self.process(binary.right, **kw)})"

    def visit_join(self, join: Any, **kw: Any) -> str:  # type: ignore[override]
        """The slots of a histogram are no table: each row is there once for each of them."""
        element = getattr(join.right, "element", None)
        if _is_of_texts(join.right) and not join.isouter:
            # A text may be there twice until the engine has merged it: one is enough.
            one = join.left.outerjoin(join.right, join.onclause)
            one.strictness = "ANY"
            return str(super().visit_join(one, **kw))  # type: ignore[no-untyped-call]
        if not isinstance(element, slots_of):
            return str(super().visit_join(join, **kw))  # type: ignore[no-untyped-call]
        kw.pop("asfrom", None)
        linter = kw.pop("from_linter", None)
        if linter is not None:
            linter.froms[join.right] = join.right.name
        (column,) = element.clauses
        of, name = self.process(column, **kw), join.right.name
        pairs = f"mapKeys({of}) AS `{name}.key`, mapValues({of}) AS `{name}.value`"
        return f"{self.process(join.left, asfrom=True, **kw)} ARRAY JOIN {pairs}"

    def for_update_clause(self, *_: Any, **__: Any) -> str:
        """No lock is held between two statements here."""
        return ""

    def visit_update(self, update_stmt: Any, **kw: Any) -> str:  # type: ignore[override]
        """A change of stored rows, of small tables alone."""
        changes = ", ".join(
            self._change(update_stmt.table.c[getattr(key, "name", key)], value, **kw)
            for key, value in update_stmt._values.items()  # noqa: SLF001
        )
        where = self.process(update_stmt.whereclause, include_table=False, **kw)
        table = self.preparer.format_table(update_stmt.table)
        return f"ALTER TABLE {table} UPDATE {changes} WHERE {where}"

    def _change(self, column: sa.Column[Any], value: Any, **kw: Any) -> str:
        typed = self.process(sa.type_coerce(value, column.type), include_table=False, **kw)
        return f"{self.preparer.format_column(column)} = {typed}"

    def visit_delete(self, delete_stmt: Any, **kw: Any) -> str:  # type: ignore[override]
        table = self.preparer.format_table(delete_stmt.table)
        if delete_stmt.whereclause is None:
            return f"TRUNCATE TABLE {table}"
        where = self.process(delete_stmt.whereclause, include_table=False, **kw)
        return f"DELETE FROM {table} WHERE {where}"  # noqa: S608 - compiled


class Dialect(ClickHouseDialect):
    statement_compiler = _Statements


def dialect() -> sa.engine.Dialect:
    """Return the dialect whose statements name their parameters with types."""
    return Dialect(server_side_params=True)


def settings_of(statement: sa.Select[Any]) -> Mapping[str, Any]:
    """Return the engine's settings for a statement: what it does not need takes longer."""
    options = statement.get_execution_options()
    return {
        # A sum that may be NULL.
        **({"aggregate_functions_null_for_empty": 0} if options.get(GROUPS_ALONE) else {}),
        **({"final": 0} if options.get(AS_APPENDED) else {}),
    }


def bytes_of(statement: sa.Select[Any]) -> list[str]:
    """Return the names of the columns whose values are bytes."""
    # A text has none.
    kept = getattr(statement, "selected_columns", ())
    return [str(each.key) for each in kept if isinstance(each.type, sa.LargeBinary)]


def statement_of(statement: sa.Executable, chosen: sa.engine.Dialect) -> tuple[str, dict[str, Any]]:
    """Return the text and its parameters; those that are too long are part of the text."""
    text, parameters = compiled(statement, chosen)
    kept: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, str) and len(value) > _LONGEST_PARAMETER:
            text = text.replace(f"{{{name}:String}}", str(format_query_value(value)))
        else:
            kept[name] = value
    return text, kept
