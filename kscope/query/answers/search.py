"""The value, events and rows of all stacks with a frame that matches a search, exactly."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from heapq import nsmallest
from typing import Any

import msgspec

from kscope.declare.model import Category, Column
from kscope.declare.types.base import Role, Storage
from kscope.query.answers.meta import Number
from kscope.query.answers.question import Measured, Question, Table, measured, n_parameter
from kscope.query.answers.stacks import rest_notices
from kscope.query.parse import parameters as p
from kscope.query.parse.columns import stack_of, value_of
from kscope.query.parse.errors import complain
from kscope.query.parse.filters import condition
from kscope.query.parse.parameters import Asked
from kscope.query.scan import read
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import heaviest
from kscope.query.scan.labels import frames
from kscope.query.scan.measures import ROWS, events_of, total_of
from kscope.query.scan.pattern import compiled
from kscope.query.scan.scan import columns, scan_of
from kscope.store.backends.deadline import Deadline
from kscope.store.reader import Reader
from kscope.store.symbols.nameless import Frames

Sums = Sequence[Any]
# Frames searched between two looks at the deadline.
_UNCHECKED = 2000


class Through(msgspec.Struct, frozen=True):
    """The sums of all rows whose stack has the frame, once for each row."""

    name: str
    value: Number
    events: Number
    rows: int


class Search(Measured, frozen=True, kw_only=True):
    """`value`, `events` and `rows` are of the rows through any matching frame; `total`,
    `all_events` and `all_rows` of all rows that pass the filters. `frames` are the matching ones,
    the heaviest first; `found` is their number.
    """

    stack: str
    value: Number
    events: Number
    rows: int
    total: Number
    all_events: Number
    all_rows: int
    found: int
    frames: list[Through]

    def as_table(self) -> Table:
        rows = ((each.name, each.value, each.events, each.rows) for each in self.frames)
        names = ["frame", self.value_column, "events", "rows"]
        return Table(names, rows, kinds={"frame": Storage.TEXT})


async def search(reader: Reader, asked: Asked) -> Search:
    """Sum the stacks with a matching frame, by the names that frames are shown with."""
    category = asked.category
    stack = stack_of(category, asked["stack"])
    value = value_of(category, asked["value"], "flamegraph")
    matches = _test(category, stack, asked)
    scan = await scan_of(reader, asked.scope, (stack, *value.columns))
    measures = (total_of(value), events_of(value), ROWS)
    most = await heaviest(scan, columns(stack), measures, read.MOST_GROUPS)
    held = await frames(reader, {key for (key,) in most.groups})
    whole = [each or 0 for each in most.totals]
    sums, through = await consumed(
        lambda groups, held: _through(groups, held, matches, reader.deadline), most.groups, held
    )
    first = nsmallest(asked["n"], through, lambda each: (-each.value, each.name))
    return Search(
        **measured(category.table, value, scan, int(whole[2]), *rest_notices(most)),
        stack=stack.name,
        value=sums[0],
        events=sums[1],
        rows=sums[2],
        total=whole[0],
        all_events=whole[1],
        all_rows=whole[2],
        found=len(through),
        frames=first,
    )


def _test(category: Category, stack: Column, asked: Asked) -> Callable[[str], bool]:
    """Return the test of a frame's name: it has the text inside, or matches the pattern.

    Without either, all frames match.
    """
    text, pattern = asked["text"], asked["match"]
    if text and pattern:
        raise complain("text", "a search has a text, or in its place a pattern in `match`")
    if not pattern:
        return lambda name: text in name
    find = compiled(condition(category, "match", stack, "regex", pattern)).search
    return lambda name: find(name) is not None


def _through(
    groups: Mapping[tuple[Any, ...], Sums],
    held: Mapping[int, Frames],
    matches: Callable[[str], bool],
    deadline: Deadline,
) -> tuple[list[Any], list[Through]]:
    known: dict[str, bool] = {}
    sums = [0, 0, 0]
    through: defaultdict[str, list[Any]] = defaultdict([0, 0, 0].copy)
    for (key,), found in groups.items():
        matching = []
        for frame in dict.fromkeys(held[key]):
            if frame not in known:
                if len(known) % _UNCHECKED == 0:
                    deadline.check()
                known[frame] = matches(frame)
            if known[frame]:
                matching.append(through[frame])
        for place, each in enumerate(found):
            sums[place] += (each or 0) if matching else 0
            for one in matching:
                one[place] += each or 0
    return sums, [Through(name, *each) for name, each in through.items()]


QUESTIONS = (
    Question(
        name="search",
        help="The sums of all stacks with a frame that matches, and the frames that match.",
        parameters=(
            p.VALUE,
            p.STACK,
            p.Parameter("text", "a text that a frame contains; case-sensitive"),
            p.Parameter("match", "a regular expression (RE2) that a frame matches anywhere"),
            n_parameter("frames", 20),
        ),
        ask=search,
        answer=Search,
        needs=(Role.STACK,),
    ),
)
