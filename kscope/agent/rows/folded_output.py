"""Rows as folded stacks, for flamegraph.pl, speedscope and people."""

from collections import Counter
from collections.abc import Iterable

from kscope.agent.rows.interval import Row
from kscope.client.frames import frame_text
from kscope.declare.charts import asked_by
from kscope.declare.model import Category
from kscope.errors import UsageError


class Folded:
    """Lines `process;frame;frame value`, as in the first flame graph of the category."""

    def __init__(self, category: Category) -> None:
        chart = asked_by(category, "flamegraph")
        if chart is None:
            raise UsageError(f"{category.table} has no stacks: --folded has nothing to print")
        self._stack = chart.stack
        self._chart = chart
        self._totals: Counter[str] = Counter()

    def add(self, rows: Iterable[Row]) -> None:
        by, value = self._chart.by, self._chart.value
        for row in rows:
            root = f"{frame_text(str(row[by]))};" if by else ""
            self._totals[f"{root}{row[self._stack]}"] += row[value] if value else 1

    def lines(self) -> list[str]:
        return [f"{text} {value}" for text, value in self._totals.most_common()]
