"""Flame graphs as Grafana's panel reads them: a nested set, a node a row, depth first.

Grafana's data source Infinity makes a table of the array of objects. A node's `value` includes the
nodes below it, its `self` does not. Of a comparison the left side is the base.
"""

from collections.abc import Iterator, Sequence
from heapq import nlargest

import msgspec

from kscope.query.answers.compare import Comparison
from kscope.query.answers.meta import Number
from kscope.query.answers.stacks import FoldedStacks
from kscope.query.answers.tree import tree
from kscope.query.export.base import JSON, StackFormat

# A panel has at most some thousand pixels, and the browser keeps each node in several arrays.
_MOST_NODES = 20_000


class GrafanaNode(
    msgspec.Struct,
    frozen=True,
    rename={"own": "self", "right": "valueRight", "own_right": "selfRight"},
):
    """A node follows the one above it, whose level is one less; the root's is 0.

    Of a comparison `value` and `self` are those of the base, the others those of the side.
    """

    label: str
    level: int
    value: Number
    own: Number
    right: Number | msgspec.UnsetType = msgspec.UNSET
    own_right: Number | msgspec.UnsetType = msgspec.UNSET


def _nodes(stacks: FoldedStacks) -> bytes:
    shape, ordered = tree(stacks.values)
    values = [value for _, value, _ in ordered]
    totals, _ = shape.totals(values, values)
    own = shape.own(values)
    return msgspec.json.encode(
        [
            GrafanaNode(shape.names[shape.name[at]], shape.level[at], totals[at], own[at])
            for at in _widest(totals)
        ]
    )


def _compared(answer: Comparison) -> bytes:
    whole, base_whole = answer.total or 1, answer.base_total or 1
    shares = [
        max(value / whole, base / base_whole)
        for value, base in zip(answer.value, answer.base_value, strict=True)
    ]
    return msgspec.json.encode(
        [
            GrafanaNode(
                answer.names[answer.name[at]],
                answer.level[at],
                answer.base_value[at],
                answer.base_own[at],
                answer.value[at],
                answer.own[at],
            )
            for at in _widest(shares)
        ]
    )


def _widest(widths: Sequence[Number]) -> Iterator[int]:
    """Yield the places of the widest nodes, in their order; of equally wide ones the first.

    A node is never wider than the one above it, which comes first: so that one is there as well.
    """
    least = nlargest(_MOST_NODES, widths)[-1]
    room = _MOST_NODES - sum(width > least for width in widths)
    for at, width in enumerate(widths):
        if width == least:
            room -= 1
        if width > least or (width == least and room >= 0):
            yield at


FORMATS = (
    StackFormat(
        name="grafana",
        media_type=JSON.media_type,
        ending="json",
        help=f"nodes for Grafana's flame graph panel, at most the {_MOST_NODES:,} widest",
        encode=_nodes,
        compared=_compared,
        answer=GrafanaNode,
        listed=True,
    ),
)
