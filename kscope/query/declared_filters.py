"""The filters that category files declare: checked as the API checks those of a request."""

from collections.abc import Iterable, Iterator

from kscope.declare.model import Category, Given
from kscope.errors import DeclarationError, Problem
from kscope.query.parse.errors import QueryError
from kscope.query.parse.presets import parsed
from kscope.query.scan.pattern import compiled
from kscope.query.sql.conditions import conditions


def filter_problems(categories: Iterable[Category]) -> list[Problem]:
    """Return the mistakes of all declared filters, each at its place in its file."""
    listed = list(categories)
    tables = {category.table: category for category in listed}
    found = []
    for category in listed:
        of_presets = [(category, preset.filters) for preset in category.presets]
        of_members = [(tables[each.table], each.filters) for each in category.union]
        found += [
            Problem(category.file, given.line, given.place, detail)
            for on, filters in (*of_presets, *of_members)
            for given in filters
            for detail in _mistakes(on, given)
        ]
    return found


def refuse_bad_filters(categories: Iterable[Category]) -> None:
    """Raise DeclarationError if a declared filter is wrong."""
    if problems := filter_problems(categories):
        raise DeclarationError(problems)


def _mistakes(category: Category, given: Given) -> Iterator[str]:
    try:
        for each in conditions(parsed(category, [given])):
            if each.operator == "regex":
                compiled(each)
    except QueryError as error:
        yield from (each.detail for each in error.complaints)
