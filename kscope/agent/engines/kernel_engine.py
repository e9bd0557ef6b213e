"""The parts that bcc and bpftrace share: options, columns, losses, and mistakes in the category."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from kscope.agent.engines.base import Engine, TraceFilter
from kscope.agent.rows.convert import Fitting
from kscope.agent.rows.decode import reader
from kscope.agent.rows.interval import Drained, LossCounts, Row
from kscope.declare.files.field_fits import field_problem, path_problem
from kscope.declare.model import Category, Column, Source
from kscope.declare.types.base import Role
from kscope.declare.types.kernel import FieldType
from kscope.errors import DeclarationError, KscopeError, Problem

Reader = Callable[[Mapping[str, Any]], Any]


class KernelEngine(Engine):
    """One probe of a category; an option that is not in `options` has its default."""

    def __init__(
        self, category: Category, options: Mapping[str, Any], trace_filter: TraceFilter
    ) -> None:
        assert category.probe
        self._category = category
        self._probe = category.probe
        defaults = {option.name: option.default for option in self._probe.options}
        self._options = defaults | dict(options)
        self._filter = trace_filter
        self._loss = LossCounts()
        self._fitting = Fitting(category)

    @abstractmethod
    def _stack_reader(self, source: Source) -> Reader:
        """Return a reader of the folded stack."""

    def _read_columns(self, parts: Mapping[str, FieldType]) -> None:
        """Make a reader for each column; DeclarationError with all columns that do not fit.

        `parts` are the types of key and value, or of the event.
        """
        self._parts = parts
        self._readers: dict[str, Reader] = {}
        problems: list[Problem] = []
        for name, source in self._probe.collect.columns.items():
            column = self._category.column(name)
            assert column
            try:
                self._readers[name] = self._reader(column, source)
            except KscopeError as error:
                place = f"collect.columns.{name}"
                problems += self._mistake(place, str(error), source.line).problems
        if problems:
            raise DeclarationError(problems)

    def _reader(self, column: Column, source: Source) -> Reader:
        for path in source.fields:
            why = path_problem(path, self._parts)
            if why or (why := field_problem(column, source, path, self._type_at(path))):
                raise KscopeError(why)
        if column.type.role is Role.STACK:
            return self._stack_reader(source)
        return reader(column, source, self._type_at(source.fields[0]))

    def _type_at(self, path: str) -> FieldType:
        """Return the type at a path that exists."""
        part, _, rest = path.partition(".")
        return self._parts[part].at(rest) or self._parts[part]

    def _drained(self, rows: list[Row]) -> Drained:
        """Return the interval with its losses, which are counted from 0 again."""
        kept = self._fitting.keep(rows, self._loss)
        loss, self._loss = self._loss, LossCounts()
        return Drained(kept, loss)

    def _mistake(self, path: str, message: str, line: int = 0) -> DeclarationError:
        """Return an error about a place in the category's probe; by default about its program."""
        problem = Problem(self._category.file, line or self._probe.line, f"probe.{path}", message)
        return DeclarationError([problem])
