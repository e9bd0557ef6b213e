"""The columns of a probe, each with a function that reads it, if all of them fit."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kscope.declare.files.field_fits import field_problem, path_problem
from kscope.declare.model import Category, Column, Source
from kscope.declare.types.kernel import FieldType
from kscope.errors import DeclarationError, KscopeError, Problem


def readers(
    category: Category,
    parts: Mapping[str, FieldType],
    make: Callable[[Column, Source, FieldType], Callable[[Mapping[str, Any]], Any]],
) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """Return a reader for each column; DeclarationError with all columns that do not fit.

    `parts` are the types of key and value, or of the event. `make` makes a reader of a column
    that fits; it raises KscopeError if the kernel does not have what the reader needs.
    """
    assert category.probe
    found: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
    problems: list[Problem] = []
    for name, source in category.probe.collect.columns.items():
        column = category.column(name)
        assert column
        message = next(_problems(column, source, parts), "")
        try:
            if not message:
                found[name] = make(column, source, _type_at(source.fields[0], parts))
        except KscopeError as error:
            message = str(error)
        if message:
            place = f"probe.collect.columns.{name}"
            problems.append(Problem(category.file, source.line, place, message))
    if problems:
        raise DeclarationError(problems)
    return found


def _problems(column: Column, source: Source, parts: Mapping[str, FieldType]) -> Iterator[str]:
    for path in source.fields:
        why = path_problem(path, parts)
        if why or (why := field_problem(column, source, path, _type_at(path, parts))):
            yield why


def _type_at(path: str, parts: Mapping[str, FieldType]) -> FieldType:
    """Return the type at a path that exists."""
    part, _, rest = path.partition(".")
    return parts[part].at(rest) or parts[part]
