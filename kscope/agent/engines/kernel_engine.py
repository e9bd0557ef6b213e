"""The parts that bcc and bpftrace share: options, losses, and mistakes in the category."""

from collections.abc import Mapping
from typing import Any

from kscope.agent.engines.base import TraceFilter
from kscope.agent.rows.convert import Fitting
from kscope.agent.rows.interval import Drained, LossCounts, Row
from kscope.declare.model import Category
from kscope.errors import DeclarationError, Problem


class KernelEngine:
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

    def full(self) -> bool:
        return False

    def raise_threshold(self, by: int) -> bool:  # noqa: ARG002
        return False

    def _fitting_rows(self, rows: list[Row]) -> list[Row]:
        return self._fitting.keep(rows, self._loss)

    def _drained(self, rows: list[Row]) -> Drained:
        """Return the interval with its losses, which are counted from 0 again."""
        loss, self._loss = self._loss, LossCounts()
        return Drained(rows, loss)

    def _mistake(self, path: str, message: str, line: int = 0) -> DeclarationError:
        """Return an error about a place in the category's probe; by default about its program."""
        problem = Problem(self._category.file, line or self._probe.line, f"probe.{path}", message)
        return DeclarationError([problem])
