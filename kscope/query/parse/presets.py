"""Presets: the filters that a category declares under a name."""

from collections.abc import Iterable
from dataclasses import replace

from kscope.declare.model import Category, Given
from kscope.query.parse.errors import complain, one_of
from kscope.query.parse.filters import parse_filter
from kscope.query.parse.scope import Applied
from kscope.query.sql.conditions import Group


def applied(category: Category, names: Iterable[str]) -> tuple[Applied, ...]:
    """Return the presets of these names, each once; an empty name is none. Raise QueryError."""
    known = {preset.name: preset for preset in category.presets}
    wanted = dict.fromkeys(name for name in names if name)
    for name in wanted:
        if name not in known:
            raise complain("preset", one_of("preset", name, known))
    return tuple(Applied(name, parsed(category, known[name].filters)) for name in wanted)


def parsed(category: Category, given: Iterable[Given]) -> Group:
    """Return declared filters as conditions; all must hold. Raise QueryError."""
    found = (parse_filter(category, each.parameter, each.text) for each in given)
    return Group(tuple(replace(each, declared=True) for each in found))
