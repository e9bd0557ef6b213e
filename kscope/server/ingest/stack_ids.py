"""The ids of the stacks that a body brings."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kscope.server.ingest.coding import CHUNK, chunks, coded, each_once, looked_up
from kscope.server.ingest.fair_queue import Lane, Steps
from kscope.store.backends.coded import Coded
from kscope.store.schema.interning import text_hashes, turned_round


@dataclass
class BodyStacks:
    """The stacks of one body that its rows use, by their ids."""

    listed: Sequence[str]
    leaf_first: bool = False
    used: dict[int, str] = field(default_factory=dict)

    def column(self, values: Sequence[str | int]) -> Steps[Coded]:
        """Return the ids of a column of folded texts, and of places among those listed."""
        column = yield from self._texts(values)
        ids: list[int] = []
        for part in chunks(column.distinct):
            texts = list(map(turned_round, part)) if self.leaf_first else part
            hashes = text_hashes(texts)
            self.used.update(zip(hashes, texts, strict=True))
            ids += hashes
            if len(part) == CHUNK:
                yield Lane.GOOD
        return column.holding(ids)

    def _texts(self, values: Sequence[str | int]) -> Steps[Coded]:
        if isinstance(values, Coded):
            return values
        given = yield from each_once(values)
        if all(type(value) is int for value in given):
            return looked_up(values, given, self.listed)  # type: ignore[arg-type]
        column = yield from coded(values)
        return column.holding(map(self._text, column.distinct))

    def _text(self, value: str | int) -> str:
        return value if isinstance(value, str) else self.listed[value]
