"""A flame graph as one SVG file: no script, no font, no other file; names show on hover."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

from kscope.declare.units import readable
from kscope.query.answers.compare import Comparison
from kscope.query.answers.meta import Number
from kscope.query.answers.stacks import FoldedStacks
from kscope.query.answers.tree import Shape, boxes, weighed
from kscope.query.export.base import StackFormat
from kscope.query.export.frames import UNNAMED

_WIDTH, _HEIGHT, _TOP = 1200, 17, 46
_NARROWEST = 0.3
_CHARACTER = 6.6
_STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#111}"
    ".t{font:600 15px system-ui,sans-serif}.s{fill:#555}rect{rx:1.5px}"
    "g:hover rect{stroke:#000}"
)
# From less over the same to more, as the page has them by day, and the size of the change that each
# step begins with.
_BY_CHANGE = (
    *("#2468b4", "#5d97d6", "#9bc1e8", "#cfdfef"),
    "#e6e6e3",
    *("#f8d7c5", "#f4ab86", "#e87a47", "#c9481a"),
)
_STEPS = (0.08, 0.25, 0.5, 0.8)
_ROOT = "#ebebe8"
_DARK = (_BY_CHANGE[0], _BY_CHANGE[-1])
_ILLEGAL = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"
)
_ESCAPES = {**_ILLEGAL, ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}


@dataclass(frozen=True, slots=True)
class _Picture:
    """Boxes as wide as `widths`, by node; `said` is a box's whole text, `colour` its colour."""

    title: str
    note: str
    shape: Shape
    widths: Sequence[Number]
    said: Callable[[int], str]
    colour: Callable[[int], str]

    def name(self, node: int) -> str:
        return self.shape.names[self.shape.name[node]] or UNNAMED

    def drawn(self) -> bytes:
        """Draw the frames, except those narrower than a third of a pixel."""
        levels, total = self.shape.level, self.widths[0]
        places = enumerate(boxes(levels, self.widths, 8, _WIDTH - 16) if total > 0 else ())
        seen = [(node, left, width) for node, (left, width) in places if width >= _NARROWEST]
        height = _TOP + _HEIGHT * (1 + max((levels[node] for node, *_ in seen), default=0)) + 8
        pieces = [self._head(height)]
        for node, left, width in seen:
            y, fill = height - 8 - _HEIGHT * (levels[node] + 1), self.colour(node)
            pieces.append(
                f"<g><title>{_escaped(self.said(node))}</title>"
                f'<rect x="{left:.2f}" y="{y}" width="{width:.2f}" height="{_HEIGHT - 1}" '
                f'fill="{fill}"/>{_label(self.name(node), left, y, width, fill)}</g>'
            )
        return ("\n".join(pieces) + "</svg>\n").encode()

    def _head(self, height: int) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}"><title>{_escaped(self.title)}</title>'
            f"<desc>{_escaped(self.note)}</desc><style>{_STYLE}</style>"
            f'<rect width="100%" height="100%" fill="#fff"/>'
            f'<text class="t" x="8" y="20">{_escaped(self.title)}</text>'
            f'<text class="s" x="8" y="37">{_escaped(self.note)}</text>'
        )


def _svg(stacks: FoldedStacks) -> bytes:
    """Draw a flame graph, coloured by the kind of code."""
    shape, values = weighed(stacks.values)
    total, unit = values[0], stacks.question.value.unit()

    def said(node: int) -> str:
        share = 100 * values[node] / total
        return f"{picture.name(node)}: {readable(values[node], unit)}, {share:.2f} %"

    def colour(node: int) -> str:
        return _colour(picture.name(node))

    note = f"total {readable(total, unit)}"
    picture = _Picture(stacks.title, note, shape, values, said, colour)
    return picture.drawn()


def _compared(answer: Comparison) -> bytes:
    """Draw both sides as one: a box is as wide as both together, and has the colour of the change.

    They are the colours and the steps of the page.
    """
    base = [each * answer.scale for each in answer.base_value]
    widths = [
        max(0, ours) + max(0, theirs) for ours, theirs in zip(answer.value, base, strict=True)
    ]
    shape = Shape(answer.names, answer.name, answer.level, [])
    unit = answer.unit

    def said(node: int) -> str:
        now, was = readable(answer.value[node], unit), readable(answer.base_value[node], unit)
        changed = _change(base[node], answer.value[node])
        return f"{picture.name(node)}: base {was}, now {now}, {changed}"

    def colour(node: int) -> str:
        return _BY_CHANGE[_step(base[node], answer.value[node])] if node else _ROOT

    sides = f"base {readable(answer.base_total, unit)}, now {readable(answer.total, unit)}"
    scaled = "; shares are compared" if answer.mode == "normalised" else ""
    note = f"{sides}{scaled}; red is more than in the base, blue is less"
    title = f"{answer.table}: {answer.value_column} by {answer.stack}, compared"
    picture = _Picture(title, note, shape, widths, said, colour)
    return picture.drawn()


def _step(was: float, now: float) -> int:
    """Return the place among the colours: the middle where both sides are nearly the same."""
    both = was + now
    size = (now - was) / both if both else 0
    step = sum(abs(size) >= least for least in _STEPS)
    return len(_STEPS) + (step if size > 0 else -step)


def _change(was: float, now: float) -> str:
    """Return the change as text: `new`, `gone`, `the same`, or a factor."""
    if was == now:
        return "the same"
    if not was or not now:
        return "gone" if was else "new"
    return f"\N{MULTIPLICATION SIGN}{now / was:.3g}"


def _label(name: str, left: float, y: int, width: float, fill: str) -> str:
    room = int((width - 6) / _CHARACTER)
    if room < 2:
        return ""
    shown = name if len(name) <= room else name[: room - 1] + "…"
    ink = ' style="fill:#fff"' if fill in _DARK else ""
    return f'<text x="{left + 3:.2f}" y="{y + 12}"{ink}>{_escaped(shown)}</text>'


def _colour(name: str) -> str:
    """Kernel orange, libraries green, the rest yellow; one name always has one shade."""
    hue = 24 if name.endswith("_[k]") else 95 if name.endswith("]") else 45
    shade = crc32(name.encode()) % 17
    return f"hsl({hue - 5 + shade % 11},{58 + shade}%,{64 + shade % 9}%)"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


FORMATS = (
    StackFormat(
        name="svg",
        media_type="image/svg+xml",
        ending="svg",
        help="a picture in one file, without references to others",
        encode=_svg,
        compared=_compared,
    ),
)
