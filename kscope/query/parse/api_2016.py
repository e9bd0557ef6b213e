"""The questions of the 2016 clients: `POST /api` with elements, constraints, limit, format."""

import re
from dataclasses import dataclass
from typing import Any

from kscope.declare.model import Catalog, Category, Column
from kscope.declare.types.base import Role
from kscope.query.parse.errors import complain, one_of
from kscope.query.parse.filters import MAX_CONDITIONS, TOO_MANY, condition
from kscope.query.parse.scope import Scope, category_of
from kscope.query.parse.timerange import ALWAYS
from kscope.query.sql.conditions import Condition, Group, conditions
from kscope.store.schema.interning import turned_round

FORMATS = ("list", "flamegraph")
OPERATORS = {
    "=": "eq",
    "<": "lt",
    "<=": "lte",
    ">": "gt",
    ">=": "gte",
    "!=": "ne",
    "contains": "contains",
}
# The 2016 test script calls it `constraint`, its documentation `expr`.
_EXPRESSION = ("expr", "constraint")
_KEYS = ("elements", "constraints", "limit", "format")
_MAX_DEPTH = 20
# Groups and conditions together; a group usually has at least one condition.
_MAX_PARTS = 2 * MAX_CONDITIONS + 100
_DIGITS = re.compile(r"\d{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OldQuestion:
    """`limit` None: all rows, of all times."""

    scope: Scope
    elements: tuple[Column, ...]
    limit: int | None


def parse(catalog: Catalog, body: Any) -> tuple[list[OldQuestion], bool]:
    """Return a question per table, and whether it is for a flame graph, which has just one.

    QueryError names each mistake by its JSON pointer.
    """
    if not isinstance(body, dict) or not body:
        raise complain("", 'must be an object such as {"offcputime": {"elements": ["stack"]}}')
    formats = {_format(table, asked) for table, asked in body.items()}
    if "flamegraph" in formats and len(body) > 1:
        raise complain("", "a flamegraph is of one table: ask for each in its own request")
    questions = [_question(catalog, table, asked) for table, asked in body.items()]
    return questions, "flamegraph" in formats


def weight(question: OldQuestion) -> tuple[Column, Column | None]:
    """Find the stack column among the elements, and the first number, if any, to weigh it by."""
    stacks = [each for each in question.elements if each.type.role is Role.STACK]
    if not stacks:
        names = [each.name for each in question.scope.category.with_role(Role.STACK)]
        pointer = f"/{question.scope.category.table}/elements"
        raise complain(pointer, f"a flamegraph needs a stack column: {', '.join(names) or 'none'}")
    values = [each for each in question.elements if each.type.role is Role.VALUE]
    return stacks[0], values[0] if values else None


def _format(table: str, asked: Any) -> str:
    given = asked.get("format", "list") if isinstance(asked, dict) else "list"
    if given not in FORMATS:
        raise complain(f"/{table}/format", one_of("format", str(given), FORMATS))
    return str(given)


def _question(catalog: Catalog, table: str, asked: Any) -> OldQuestion:
    pointer = f"/{_escaped(table)}"
    category = category_of(catalog, table, pointer)
    if not isinstance(asked, dict):
        raise complain(pointer, "must be an object with elements, constraints, limit, format")
    for key in asked:
        if key not in _KEYS:
            raise complain(f"{pointer}/{_escaped(key)}", one_of("key", key, _KEYS))
    where = _constraints(category, f"{pointer}/constraints", asked.get("constraints", []))
    return OldQuestion(
        Scope(category, ALWAYS, where),
        _elements(category, f"{pointer}/elements", asked.get("elements")),
        _limit(f"{pointer}/limit", asked.get("limit")),
    )


def _elements(category: Category, pointer: str, given: Any) -> tuple[Column, ...]:
    if not isinstance(given, list) or not given:
        names = ", ".join(column.name for column in category.all_columns)
        raise complain(pointer, f"must list the columns to answer with, of: {names}")
    named = (_column(category, f"{pointer}/{i}", name) for i, name in enumerate(given))
    # A row of the answer has each name once.
    return tuple(dict.fromkeys(named))


def _column(category: Category, pointer: str, name: Any) -> Column:
    column = category.column(name) if isinstance(name, str) else None
    if column is None:
        names = [each.name for each in category.all_columns]
        raise complain(pointer, one_of("column", str(name), names))
    return column


def _limit(pointer: str, given: Any) -> int | None:
    if given is None:
        return None
    # The page's form sends every value as text.
    number = int(given) if isinstance(given, str) and _DIGITS.fullmatch(given) else given
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**31:
        raise complain(pointer, f"{str(given)[:80]!r} is not a whole number from 0 to {2**31 - 1}")
    return number


def _constraints(category: Category, pointer: str, given: Any) -> Group:
    """All groups must hold, as in 2016."""
    if not isinstance(given, list):
        raise complain(pointer, "must be a list of {oper, conditions}")
    if _parts(given, _MAX_DEPTH) > _MAX_PARTS:
        raise complain(pointer, TOO_MANY)
    groups = [_group(category, f"{pointer}/{i}", each, 0) for i, each in enumerate(given)]
    where = Group(tuple(groups))
    if len(conditions(where)) > MAX_CONDITIONS:
        raise complain(pointer, TOO_MANY)
    return where


def _parts(given: list[Any], deeper: int) -> int:
    """Count conditions and groups before any is read: each costs more than its bytes."""
    found = len(given)
    for each in given:
        inner = each.get("conditions") if isinstance(each, dict) else None
        if isinstance(inner, list) and deeper and found <= _MAX_PARTS:
            found += _parts(inner, deeper - 1)
    return found


def _group(category: Category, pointer: str, given: Any, depth: int) -> Group:
    if not isinstance(given, dict) or not isinstance(given.get("conditions"), list):
        raise complain(pointer, "must be {oper, conditions: [...]}")
    if depth > _MAX_DEPTH:
        raise complain(pointer, f"is nested deeper than {_MAX_DEPTH}")
    for key in given:
        if key not in ("oper", "conditions"):
            raise complain(f"{pointer}/{_escaped(key)}", one_of("key", key, ("oper", "conditions")))
    conditions = given["conditions"]
    oper = given.get("oper", "and" if len(conditions) < 2 else None)
    if not isinstance(oper, str) or oper.lower() not in ("and", "or"):
        raise complain(f"{pointer}/oper", "must be and or or, to join the conditions")
    members = [
        _member(category, f"{pointer}/conditions/{i}", each, depth + 1)
        for i, each in enumerate(conditions)
    ]
    return Group(tuple(members), any_of=oper.lower() == "or" and bool(members))


def _member(category: Category, pointer: str, given: Any, depth: int) -> Condition | Group:
    """`{"process": "dd", "expr": "="}`, or a group again."""
    if isinstance(given, dict) and "conditions" in given:
        return _group(category, pointer, given, depth)
    if not isinstance(given, dict) or len(given) != 2:
        raise complain(pointer, 'must be {column: value, "expr": operator}')
    expression = next((key for key in _EXPRESSION if key in given), None)
    if expression is None:
        raise complain(f"{pointer}/expr", one_of("operator", "", OPERATORS))
    symbol = str(given[expression])
    if symbol not in OPERATORS:
        raise complain(f"{pointer}/{expression}", one_of("operator", symbol, OPERATORS))
    (name,) = (key for key in given if key != expression)
    place, value = f"{pointer}/{_escaped(name)}", given[name]
    column = _column(category, place, name)
    if column.type.role is Role.STACK and isinstance(value, str):
        # These clients see stacks leaf first.
        value = turned_round(value)
    return condition(category, place, column, OPERATORS[symbol], value)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
