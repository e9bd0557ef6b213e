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
from kscope.query.scan.freed_memory import consumed
from kscope.query.scan.heaviest import Heaviest, heaviest, heaviest_of
from kscope.query.scan.labels import frames
from kscope.query.scan.measures import Expressions, Measure
from kscope.query.scan.names import nameless_stacks
from kscope.query.scan.read import MOST_GROUPS, merger
from kscope.query.scan.scan import Scan
from kscope.store.symbols.nameless import Frames

Key = tuple[Any, ...]
Number = TypeVar("Number")


@dataclass(eq=False)
class SameStacks:
    """The stacks of one reading, at these places of its groups' keys; often there are none.

    The first id that is met stands for all with the same frames, to the end of the question.
    """

    scan: Scan
    places: tuple[int, ...]
    _by_frames: dict[Frames, int] = field(default_factory=dict)
    _chosen: dict[Any, Any] = field(default_factory=dict)
    _otherwise: bool | None = None

    def __bool__(self) -> bool:
        return bool(self.places)

    async def merged(
        self, groups: Mapping[Key, Number], merge: Callable[[Number, Number], Number]
    ) -> dict[Key, Number]:
        """Return the groups, those with the same shown stacks as one."""
        if not await self._are_shown_otherwise():
            return dict(groups)
        met = {key[place] for key in groups for place in self.places}
        await self._meet(met - self._chosen.keys() - {None})
        return await consumed(lambda *_: self._merge(groups, merge), met)

    async def heaviest(
        self, keys: Expressions, measures: Sequence[Measure], n: int, *, by_mean: bool = False
    ) -> Heaviest:
        """Return the heaviest groups, see heaviest; of stacks as many as an answer may have are
        read before they are ranked.
        """
        if not await self._are_shown_otherwise():
            return await heaviest(self.scan, keys, measures, n, by_mean=by_mean)
        found = await heaviest(self.scan, keys, measures, MOST_GROUPS, by_mean=by_mean)
        groups = await self.merged(found.groups, merger(measures))
        of = partial(heaviest_of, groups, measures, n, by_mean=by_mean)
        ranked = await asyncio.to_thread(of)
        return Heaviest(ranked.groups, found.totals, len(groups) + found.left_out)

    def members(self, chosen: Iterable[Any]) -> list[Any]:
        """Return all ids that these ids stand for; any other value stands for itself."""
        wanted = set(chosen)
        others = [each for each, of in self._chosen.items() if of in wanted and each not in wanted]
        return [*wanted, *others]

    async def _are_shown_otherwise(self) -> bool:
        """Return whether any stack of the database is shown otherwise than it is stored."""
        if self._otherwise is None:
            reader = self.scan.reader
            one = nameless_stacks(reader, sa.literal_column("1")).limit(1)
            self._otherwise = bool(self.places) and bool(await reader.fetch(one))
        return self._otherwise

    async def _meet(self, stacks: set[int]) -> None:
        if stacks:
            for each, shown in (await frames(self.scan.reader, stacks)).items():
                self._chosen[each] = self._by_frames.setdefault(shown, each)

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
