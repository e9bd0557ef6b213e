"""Regular expressions, resolved over the interned texts: one meaning on every engine.

RE2 takes time in proportion to the text whatever the pattern, so that no pattern can hang the
server; SQLite has no REGEXP of its own and MariaDB's is PCRE with another syntax.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import re2
import sqlalchemy as sa

from kscope.declare.columns import Storage
from kscope.query.errors import complain
from kscope.query.expressions import as_text, exact
from kscope.query.filters import conditions, resolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kscope.query.filters import Condition, Group
    from kscope.query.scope import Scope
    from kscope.store.base import Reader

_MEMORY = 8 << 20
_AT_ONCE = 2000


def compiled(parameter: str, pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        said = error.args[0] if error.args else "not understood"
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise complain(parameter, f"not a regular expression (RE2): {said}") from None


async def resolve(reader: Reader, scope: Scope) -> Group:
    """Replace each regular expression of the filters by what it matches."""
    wanted = [each for each in conditions(scope.where) if each.operator == "regex"]
    if not wanted:
        return scope.where
    patterns = {each: compiled(each.parameter, each.value) for each in wanted}
    found = {each: await _matches(reader, scope, each, patterns[each]) for each in wanted}
    return resolved(scope.where, found)


async def _matches(reader: Reader, scope: Scope, where: Condition, pattern: Any) -> tuple[Any, ...]:
    """Some at a time: there may be more texts than should be in memory at once."""
    found: list[Any] = []
    some: list[Any] = []
    async for row in reader.stream(_candidates(reader, scope, where)):
        some.append(row)
        if len(some) == _AT_ONCE:
            found += await asyncio.to_thread(_search, some, pattern)
            some = []
    return (*found, *await asyncio.to_thread(_search, some, pattern))


def _search(rows: Sequence[Sequence[Any]], pattern: Any) -> list[Any]:
    search = pattern.search
    return [as_text(key) for key, text in rows if search(as_text(text))]


def _candidates(reader: Reader, scope: Scope, where: Condition) -> sa.Select[Any]:
    dictionaries = reader.schema.dictionaries
    match where.column.type.storage:
        case Storage.STACK_ID:
            return sa.select(dictionaries.stack.c.id, dictionaries.stack.c.frames)
        case Storage.STRING_ID:
            return sa.select(dictionaries.string.c.id, dictionaries.string.c.text)
    rows = reader.schema.categories[scope.category.table].rows
    text: sa.ColumnElement[Any] = exact(rows.c[where.column.name])
    inside = rows.c.time.between(scope.range.start, scope.range.end - 1)
    return sa.select(text, text.label("again")).where(inside).distinct()
