"""Rows as folded stacks on standard output, for flamegraph.pl, speedscope and the eye."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kscope.declare.columns import Role
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kscope.agent.engines.base import Row
    from kscope.declare.model import Category


def folded_lines(category: Category, rows: Iterable[Row]) -> list[str]:
    """`process;frame;frame value`, as the first flame graph of the category would show it."""
    stack = next((c.name for c in category.with_role(Role.STACK)), None)
    chart = next((c for c in category.charts if c.kind == "flamegraph"), None)
    if stack is None or chart is None:
        raise KscopeError(f"{category.table} has no stacks: --folded has nothing to print")
    totals: Counter[str] = Counter()
    for row in rows:
        root = f"{row[chart.by]};" if chart.by else ""
        totals[f"{root}{row[stack]}"] += row[chart.value] if chart.value else 1
    return [f"{text} {value}" for text, value in totals.most_common()]
