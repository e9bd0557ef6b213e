"""The formats of answers: one row each, with the media type and the file name's ending."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from kscope.query.answers.tree import ROOT, tree
from kscope.query.export.folded import folded
from kscope.query.export.nested import Nested, nested
from kscope.query.export.pprof import pprof
from kscope.query.export.speedscope import Speedscope, speedscope
from kscope.query.export.svg import svg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kscope.query.answers.flamegraph import FlamegraphQuestion, FoldedStacks

    Encode = Callable[[FlamegraphQuestion, FoldedStacks], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    media_type: str
    ending: str
    help: str


@dataclass(frozen=True, slots=True)
class StackFormat(Format):
    """`answer` is the type of a format that is JSON."""

    encode: Encode
    answer: type | None = None


JSON = Format("json", "application/json", "json", "the answer as described here")
CSV = Format(
    "csv", "text/csv; charset=utf-8", "csv", "a table, its columns named in the first line"
)
NDJSON = Format("ndjson", "application/x-ndjson", "ndjson", "one JSON object a line")


def title(question: FlamegraphQuestion) -> str:
    return f"{question.scope.category.prettyname}: {question.value.name} by {question.stack.name}"


_STACKS = (
    StackFormat(
        "tree",
        "application/json",
        "json",
        "nested {name, value, children}, as d3-flame-graph reads it",
        lambda _, stacks: nested(tree(stacks.values), ROOT),
        Nested,
    ),
    StackFormat(
        "folded",
        "text/plain; charset=utf-8",
        "folded",
        "folded text, one stack a line, as flamegraph.pl reads it",
        lambda _, stacks: folded(stacks.values),
    ),
    StackFormat(
        "speedscope",
        "application/json",
        "speedscope.json",
        "a file for speedscope",
        lambda question, stacks: speedscope(stacks.values, title(question), question.value.unit),
        Speedscope,
    ),
    StackFormat(
        "pprof",
        "application/octet-stream",
        "pb.gz",
        "a profile for pprof",
        lambda question, stacks: pprof(
            stacks.values, question.value.name, question.value.unit, question.scope.range
        ),
    ),
    StackFormat(
        "svg",
        "image/svg+xml",
        "svg",
        "a picture that stands alone",
        lambda question, stacks: svg(tree(stacks.values), title(question), question.value.unit),
    ),
)
STACKS: Mapping[str, StackFormat] = MappingProxyType({each.name: each for each in _STACKS})
TABLES: Mapping[str, Format] = MappingProxyType({each.name: each for each in (CSV, NDJSON)})
