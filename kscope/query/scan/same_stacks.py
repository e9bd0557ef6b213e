"""Stacks that are shown alike are one group, whatever text each was stored with.

The database groups by the id of the stored text.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Role
from kscope.query.scan.heaviest import RANKED_HERE, Heaviest, heaviest, heaviest_of
from kscope.query.scan.labels import frames, nameless_among
from kscope.query.scan.measures import Expressions, Measure
from kscope.query.scan.names import nameless_stacks
from kscope.query.scan.read import MOST_GROUPS, merger
from kscope.query.scan.scan import Scan
from kscope.query.sql.operators import FRAME_SEPARATOR
from kscope.store.schema.interning import text_hash
from kscope.store.symbols.nameless import Frames

Key = tuple[Any, ...]
Number = TypeVar("Number")


@dataclass(eq=False)
class SameStacks:
    """The stacks of one reading, at these places of its groups' keys; often there are none.

    Only stacks with a frame without a name are read. The hash of the text that is shown is the id
    of the stack that was stored with this text: it stands for all, if it was met first or with
    them, else the first one that was met does, to the end of the question.
    """

    scan: Scan
    places: tuple[int, ...]
    _met: set[int] = field(default_factory=set)
    # Ids of stacks that are shown otherwise than they are stored, and of those they are shown as.
    _chosen: dict[Any, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.places)

    async def merged(
        self, groups: Mapping[Key, Number], merge: Callable[[Number, Number], Number]
    ) -> dict[Key, Number]:
        """Return the groups, those with the same shown stacks as one."""
        await self._meet(await asyncio.to_thread(self._new, groups))
        if not self._chosen:
            return dict(groups)
        return await asyncio.to_thread(self._merge, groups, merge)

    async def shown(self, stacks: Sequence[Any]) -> Sequence[Any]:
        """Return for each stack the one that stands for it."""
        await self._meet({*stacks} - self._met - {None})
        return [self._chosen.get(each, each) for each in stacks] if self._chosen else stacks

    async def heaviest(
        self, keys: Expressions, measures: Sequence[Measure], n: int, *, by_mean: bool = False
    ) -> Heaviest:
        """Return the heaviest groups, see heaviest; if there are many, and stacks of them may be
        shown otherwise, as many as an answer may have are read before they are ranked.
        """
        ask = partial(heaviest, self.scan, keys, measures, by_mean=by_mean)
        if not self:
            return await ask(n=n)
        found = await ask(n=max(n, RANKED_HERE))
        if found.left_out and await self._has_nameless(keys):
            found = await ask(n=MOST_GROUPS)
        groups = await self.merged(found.groups, merger(measures))
        of = partial(heaviest_of, groups, measures, n, by_mean=by_mean)
        ranked = await asyncio.to_thread(of)
        return Heaviest(ranked.groups, found.totals, len(groups) + found.left_out)

    def members(self, chosen: Iterable[Any]) -> list[Any]:
        """Return all ids that these ids stand for; any other value stands for itself."""
        wanted = set(chosen)
        others = [each for each, of in self._chosen.items() if of in wanted and each not in wanted]
        return [*wanted, *others]

    async def _has_nameless(self, keys: Expressions) -> bool:
        """Return whether a stack of the groups has a frame without a name."""
        reader = self.scan.reader
        met = sa.union(
            *(
                sa.select(keys(segment)[place].label("id")).where(self.scan.inside(segment))
                for segment in self.scan.segments
                for place in self.places
            )
        ).subquery()
        stacks = reader.schema.dictionaries.stack
        joined = met.join(stacks, stacks.c.id == met.c.id)
        one = nameless_stacks(reader, sa.literal_column("1")).select_from(joined).limit(1)
        return bool(await reader.fetch(one))

    def _new(self, groups: Iterable[Key]) -> set[int]:
        met = {key[place] for key in groups for place in self.places}
        return met - self._met - {None}

    async def _meet(self, stacks: set[int]) -> None:
        if stacks:
            self._met |= stacks
            nameless = await nameless_among(self.scan.reader, stacks)
            shown = await frames(self.scan.reader, nameless)
            await asyncio.to_thread(self._choose, shown)

    def _choose(self, shown: Mapping[int, Frames]) -> None:
        for each, texts in shown.items():
            as_stored = text_hash(FRAME_SEPARATOR.join(texts))
            if as_stored != each:
                first = as_stored if as_stored in self._met else each
                self._chosen[each] = self._chosen.setdefault(as_stored, first)

    def _merge(
        self, groups: Mapping[Key, Number], merge: Callable[[Number, Number], Number]
    ) -> dict[Key, Number]:
        found: dict[Key, Number] = {}
        for key, value in groups.items():
            parts = [*key]
            for place in self.places:
                parts[place] = self._chosen.get(parts[place], parts[place])
            shown = tuple(parts)
            found[shown] = merge(found[shown], value) if shown in found else value
        return found


def same_stacks(scan: Scan, by: Iterable[Column | None], first: int = 0) -> SameStacks:
    """Return those of a question that groups by these columns, from this place of its keys on."""
    columns = enumerate(by, first)
    places = [at for at, column in columns if column and column.type.role is Role.STACK]
    return SameStacks(scan, tuple(places))
