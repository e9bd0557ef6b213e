"""The heaviest paths of a flame graph, as an indented tree."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from kscope.assistant.texts.cells import Part, name, row, share
from kscope.declare.units import readable
from kscope.query.answers.flamegraph import Flamegraph
from kscope.query.answers.meta import Number

# Characters of the frames in one line: each calls the next one alone.
_WIDTH = 120
_CALLS = " → "


@dataclass(frozen=True, slots=True)
class _Chain:
    """Nodes in one line, each with all of the value of the one before it; how deep it is."""

    nodes: Sequence[int]
    depth: int
    text: str


class _Tree:
    def __init__(self, answer: Flamegraph) -> None:
        self.answer = answer
        self.children: defaultdict[int, list[int]] = defaultdict(list)
        above: list[int] = []
        for node, level in enumerate(answer.level):
            del above[level:]
            if above:
                self.children[above[-1]].append(node)
            above.append(node)

    def chain(self, node: int, depth: int) -> _Chain:
        """Return the node and those below it that have the same value, while a line has room."""
        value, nodes, text = self.answer.value, [node], self._name(node)
        while (
            len(below := self.children.get(nodes[-1], [])) == 1
            and value[below[0]] == value[node]
            and len(text) + len(following := self._name(below[0])) < _WIDTH
        ):
            nodes.append(below[0])
            text += _CALLS + following
        return _Chain(nodes, depth, text)

    def _name(self, node: int) -> str:
        return name(self.answer.names[self.answer.name[node]])


def tree(answer: Flamegraph, most: int) -> Part:
    """Return a line for each box, or for boxes that call each other alone: the `most` heaviest."""
    whole = _Tree(answer)
    chosen: dict[int, _Chain] = {}
    waiting: list[tuple[Number, int, int]] = [(0, 0, 0)]
    while waiting and len(chosen) < most:
        _, node, depth = heappop(waiting)
        chosen[node] = chain = whole.chain(node, depth)
        for each in whole.children.get(chain.nodes[-1], ()):
            heappush(waiting, (-answer.value[each], each, depth + 1))
    lines = [row(("total", "share", "self", "frames, each called by the one before or above it"))]
    lines += [_line(answer, each) for each in _in_order(whole, chosen)]
    return Part(_title(answer, chosen, waiting), lines, "ask with fewer `lines`")


def _in_order(whole: _Tree, chosen: dict[int, _Chain]) -> list[_Chain]:
    """Return callers before those they call, of the same caller the heaviest first."""
    ordered, stack = [], [0]
    while stack:
        chain = chosen[stack.pop()]
        ordered.append(chain)
        below = [each for each in whole.children.get(chain.nodes[-1], ()) if each in chosen]
        stack += sorted(below, key=lambda node: whole.answer.value[node])
    return ordered


def _line(answer: Flamegraph, chain: _Chain) -> str:
    value, own, unit = answer.value[chain.nodes[0]], answer.own[chain.nodes[-1]], answer.unit
    part = share(value / answer.total if answer.total else None)
    text = "  " * chain.depth + chain.text.replace("|", "\\|")
    return row((readable(value, unit), part, readable(own, unit), text))


def _title(
    answer: Flamegraph, chosen: dict[int, _Chain], waiting: Sequence[tuple[Number, int, int]]
) -> str:
    shown, boxes = sum(len(each.nodes) for each in chosen.values()), len(answer.level)
    if not waiting:
        return f"All {boxes:,} boxes of the flame graph:"
    most = answer.value[waiting[0][1]]
    part = share(most / answer.total if answer.total else None)
    return (
        f"The heaviest {shown:,} of {boxes:,} boxes of the flame graph; none of the others has more"
        f" than {readable(most, answer.unit)} ({part}). For more: `lines`, or a filter such as"
        f" {answer.stack}__has=FRAME."
    )
