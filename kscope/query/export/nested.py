"""The tree of the API of 2016, which d3-flame-graph reads: {name, value, children}."""

import msgspec

from kscope.query.answers.stacks import FoldedStacks
from kscope.query.answers.tree import ROOT, weighed
from kscope.query.export.base import StackFormat


class Nested(msgspec.Struct, frozen=True):
    """A node and those above it; one without children has no such key, as in 2016."""

    name: str
    value: int | float
    children: "list[Nested] | msgspec.UnsetType" = msgspec.UNSET


def nested(stacks: FoldedStacks, root: str = ROOT) -> bytes:
    """Return the JSON of `Nested`.

    It is written piece by piece: a stack may be deeper than an encoder can recurse.
    """
    shape, values = weighed(stacks.values)
    names = [msgspec.json.encode(name) for name in shape.names]
    levels = [*shape.level, 0]
    pieces: list[bytes] = []
    for i, (name, value) in enumerate(zip(shape.name, values, strict=True)):
        level, following = levels[i], levels[i + 1]
        written = names[name] if i else msgspec.json.encode(root)
        pieces.append(b'{"name":%b,"value":%b' % (written, msgspec.json.encode(value)))
        if following > level:
            pieces.append(b',"children":[')
        else:
            pieces.append(b"}" + b"]}" * (level - following))
            pieces.append(b"," if following else b"")
    if len(values) == 1:
        pieces[1:] = [b',"children":[]}']
    return b"".join(pieces)


FORMATS = (
    StackFormat(
        name="tree",
        media_type="application/json",
        ending="json",
        help="nested {name, value, children}, as d3-flame-graph reads it",
        encode=nested,
        answer=Nested,
    ),
)
