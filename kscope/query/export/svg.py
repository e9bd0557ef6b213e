"""A flame graph as one SVG file: no script, no font, no other file; names show on hover."""

from zlib import crc32

from kscope.declare.units import readable
from kscope.query.answers.stacks import FoldedStacks
from kscope.query.answers.tree import boxes, weighed
from kscope.query.export.base import StackFormat

_WIDTH, _HEIGHT, _TOP = 1200, 17, 46
_NARROWEST = 0.3
_CHARACTER = 6.6
_STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#111}"
    ".t{font:600 15px system-ui,sans-serif}.s{fill:#555}rect{rx:1.5px}"
    "g:hover rect{stroke:#000}"
)
_ILLEGAL = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"
)
_ESCAPES = {**_ILLEGAL, ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}


def _svg(stacks: FoldedStacks) -> bytes:
    """Draw the frames, except those narrower than a third of a pixel."""
    shape, values = weighed(stacks.values)
    total, unit = values[0], stacks.question.value.unit()
    places = enumerate(boxes(shape.level, values, 8, _WIDTH - 16) if total > 0 else ())
    seen = [(node, left, width) for node, (left, width) in places if width >= _NARROWEST]
    height = _TOP + _HEIGHT * (1 + max((shape.level[node] for node, *_ in seen), default=0)) + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text class="t" x="8" y="20">{_escaped(stacks.title)}</text>'
        f'<text class="s" x="8" y="37">total {_escaped(readable(total, unit))}</text>'
    )
    pieces = [head]
    for node, left, width in seen:
        name = shape.names[shape.name[node]]
        y = height - 8 - _HEIGHT * (shape.level[node] + 1)
        said = f"{name}: {readable(values[node], unit)}, {100 * values[node] / total:.2f} %"
        pieces.append(
            f"<g><title>{_escaped(said)}</title>"
            f'<rect x="{left:.2f}" y="{y}" width="{width:.2f}" height="{_HEIGHT - 1}" '
            f'fill="{_colour(name)}"/>{_label(name, left, y, width)}</g>'
        )
    return ("\n".join(pieces) + "</svg>\n").encode()


def _label(name: str, left: float, y: int, width: float) -> str:
    room = int((width - 6) / _CHARACTER)
    if room < 2:
        return ""
    shown = name if len(name) <= room else name[: room - 1] + "…"
    return f'<text x="{left + 3:.2f}" y="{y + 12}">{_escaped(shown)}</text>'


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
    ),
)
