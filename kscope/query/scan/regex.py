"""Regular expressions, resolved over the interned texts: one meaning in every database.

RE2 takes time in proportion to the text, with any pattern. SQLite does not have REGEXP, and
MariaDB's is PCRE, with another syntax.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from kscope.declare.types.base import Storage
from kscope.generate.tables import texts_of
from kscope.query.parse.errors import complain
from kscope.query.parse.scope import Scope
from kscope.query.scan import stack_matches, union
from kscope.query.scan.pattern import compiled
from kscope.query.sql.conditions import Condition, Group, conditions, resolved
from kscope.query.sql.expressions import as_text, exact
from kscope.store.backends.deadline import Deadline
from kscope.store.reader import Reader

# Of one side of a question: each reads every text.
MAX_PATTERNS = 20
# Characters searched between two looks at the deadline: a bad pattern takes a second for them.
_UNCHECKED = 1 << 16


def check_number(where: Group) -> None:
    """Raise QueryError if a person asks for more patterns than one side of a question may have."""
    wanted = [each for each in conditions(where) if each.operator == "regex"]
    if len(wanted) > MAX_PATTERNS:
        fault = f"the question has {len(wanted)} regular expressions"
        raise complain(wanted[MAX_PATTERNS].parameter, f"{fault}; use at most {MAX_PATTERNS}")


async def resolve(reader: Reader, scope: Scope, where: Group) -> Group:
    """Replace each regular expression of filters on the scope's rows by what it matches."""
    wanted = [each for each in conditions(where) if each.operator == "regex"]
    if not wanted:
        return where
    with reader.deadline.running():
        for each in wanted:
            # All are checked before the first text is read.
            await asyncio.to_thread(compiled, each)
        kept = await stack_matches.resolve(reader, [each for each in wanted if _is_kept(each)])
        found = {
            each: replace(
                each,
                matches=kept[each.value] if _is_kept(each) else await _matches(reader, scope, each),
            )
            for each in wanted
        }
    return resolved(where, found)


async def search_stacks(reader: Reader, scopes: Iterable[Scope]) -> None:
    """Search the stacks for the patterns of all these questions at once, where they are new.

    Each of the questions then finds its own in memory.
    """
    wanted = [
        each
        for scope in scopes
        for group in (
            *(preset.where for preset in scope.presets),
            *union.filters_of(reader.catalog, scope.category),
        )
        for each in conditions(group)
        if each.operator == "regex" and _is_kept(each)
    ]
    with reader.deadline.running():
        await stack_matches.resolve(reader, wanted)


def _is_kept(where: Condition) -> bool:
    """Return whether its matches are worth keeping: other questions have the same pattern."""
    return where.declared and where.column.type.storage is Storage.STACK_ID


async def _matches(reader: Reader, scope: Scope, where: Condition) -> tuple[Any, ...]:
    """Some at a time: there may be more texts than should be in memory at once."""
    pattern = await asyncio.to_thread(compiled, where)
    if where.column.words:
        return tuple(word for word in where.column.words if pattern.search(word))
    found: list[Any] = []
    async with aclosing(reader.stream(_candidates(reader, scope, where))) as portions:
        async for rows in portions:
            found += await asyncio.to_thread(_search, rows, pattern, reader.deadline)
    return tuple(found)


def _search(rows: Sequence[Sequence[Any]], pattern: Any, deadline: Deadline) -> list[Any]:
    search = pattern.search
    found = []
    unchecked = 0
    for key, stored in rows:
        text = as_text(stored)
        unchecked += len(text)
        if unchecked > _UNCHECKED:
            deadline.check()
            unchecked = len(text)
        if search(text):
            found.append(as_text(key))
    return found


def _candidates(reader: Reader, scope: Scope, where: Condition) -> sa.Select[Any]:
    if stored := texts_of(where.column, reader.schema.dictionaries):
        return sa.select(stored.key, stored.text)
    name, span = where.column.name, scope.range
    texts: list[sa.Select[Any]] = []
    for table in dict.fromkeys(union.tables_of(scope.category)):
        rows = reader.schema.categories[table].rows
        text: sa.ColumnElement[Any] = exact(rows.c[name])
        inside = rows.c.time.between(span.start, span.end - 1)
        texts.append(sa.select(text.label("key"), text.label("again")).where(inside).distinct())
    found = texts[0].subquery() if len(texts) == 1 else sa.union(*texts).subquery()
    return sa.select(found)
