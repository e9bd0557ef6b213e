"""Tell what is unusual: a change that lasts, or a burst beyond all bursts of before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2, sqrt

from kscope.query.changes.explain import Explained
from kscope.query.changes.finding import Change, Finding
from kscope.query.changes.limits import ALWAYS, BURST, EFFECT, GONE, LASTING, LOAD, LOADED, UNUSUAL
from kscope.query.changes.renames import other_name
from kscope.query.changes.robust import band, deviation, median, totals
from kscope.query.changes.spread import floor
from kscope.query.changes.usual import Usual
from kscope.query.changes.whole import Whole

# A change is there in a slice that has this part of its mean.
_THERE = 1 / 3
# Past so many thresholds more deviations say nothing more.
_SURE = 10.0
# A finding of stacks is so much weightier.
_FRAME = 2.0
# Deviations are at most so many.
_MOST = 1e6
# Less than this part of the usual value is nothing.
NOTHING = 0.02


class Judge:
    """Makes findings of a reading's places and groups."""

    def __init__(self, usual: Usual, excess: Sequence[Sequence[float]]) -> None:
        self._usual, self._excess = usual, excess
        self._burst: float | None = None

    def place(self, found: Explained) -> Finding:
        """Return the finding of one place."""
        place = found.place
        slices = _Slices.of(self._usual, place.cells, found.excess)
        part = min(abs(found.excess) / self._usual.whole[place.host], 1.0)
        sure = abs(found.z) * (slices.even if slices.lasts else 1.0) / self._threshold(slices)
        other = other_name(self._usual, place)
        note = self._note(found, other)
        plain = self._plain(place.host, place.cells, found.z)
        return replace(
            plain,
            process=place.process,
            name=place.name,
            part=part,
            lasting=slices.lasting,
            unusual=sure >= 1 and part >= EFFECT and not note,
            rank=self._rank(sure, part, slices.lasting),
            path=self._path(place.cells),
            note=note,
            other_name=other,
        )

    def whole(self, found: Whole) -> Finding:
        """Return the finding of one group."""
        usual = self._usual
        moving = sum(usual.usual[at] for at in found.cells if not usual.still[at])
        part = min(abs(found.factor - 1) * moving / usual.whole[found.host], 1.0)
        note = "so before" if found.before else ""
        return replace(
            self._plain(found.host, found.cells, found.z),
            kind=found.kind,
            process=found.process,
            factor=found.factor,
            part=part,
            unusual=part >= EFFECT and _much(found) and not note,
            rank=self._rank(abs(found.z) / UNUSUAL, part, 1.0),
            note=note,
        )

    def _plain(self, host: str, cells: Sequence[int], z: float) -> Finding:
        """Return a finding with the sums of its cells, as yet without a judgement."""
        reading = self._usual.reading
        now, *earlier = totals([self._usual.rows[at] for at in cells])
        before = median(earlier)
        low, high = band(earlier)
        return Finding(
            table=reading.table,
            column=reading.column,
            kind="place",
            change=_change(before, now, more=z > 0),
            by=reading.by,
            hosts=(host,),
            process=None,
            name=None,
            before=before,
            now=now,
            low=low,
            high=high,
            factor=None,
            z=max(min(z, _MOST), -_MOST),
            part=0.0,
            lasting=1.0,
            unusual=False,
            rank=0.0,
            lengths=reading.kind == "lengths",
        )

    def _path(self, cells: Sequence[int]) -> tuple[str, ...]:
        """Return the path that has changed most."""
        most = max(cells, key=lambda at: abs(self._excess[at][0]))
        return self._usual.cells[most].path

    def _rank(self, thresholds: float, part: float, lasting: float) -> float:
        """Sure first, then large; a frame names a cause where a number only shows an effect."""
        weight = _FRAME if self._usual.reading.kind == "stack" else 1.0
        return weight * sqrt(min(thresholds, _SURE) * part) * (0.2 + 0.8 * lasting)

    def _threshold(self, slices: "_Slices") -> float:
        if slices.lasts:
            return UNUSUAL
        burst = max(2 * UNUSUAL, BURST * self._most_usual())
        return burst * 2 if slices.count <= 1 else burst

    def _most_usual(self) -> float:
        """Return how many deviations some cell was off in some earlier window."""
        if self._burst is None:
            usual = self._usual
            self._burst = max(
                (
                    max(map(abs, row[1:]))
                    / max(deviation(row[1:], 0.0), floor(usual, cell.host, middle))
                    for cell, row, middle in zip(
                        usual.cells, self._excess, usual.usual, strict=True
                    )
                ),
                default=0.0,
            )
        return self._burst

    def _note(self, found: Explained, other: str) -> str:
        """Return why the change is no news, "" if it is."""
        if self._before(found):
            return "so before"
        if not other:
            return ""
        return f"was {other}" if found.excess > 0 else f"is now {other}"

    def _before(self, found: Explained) -> bool:
        """Whether the two windows before had half of it, or what is gone was as good as gone."""
        cells = found.place.cells
        now, *earlier = totals([self._usual.rows[at] for at in cells])
        usually = median(earlier)
        if now <= GONE * usually:
            return max(earlier[-2:]) < ALWAYS * usually
        last = [sum(self._excess[at][window] for at in cells) for window in (-1, -2)]
        return all(each / found.excess > 0.5 for each in last)


@dataclass(frozen=True, slots=True)
class _Slices:
    """How a change lies in the window: `count` slices have it, `even` is 1 if all have as much."""

    count: int
    lasting: float
    even: float

    @property
    def lasts(self) -> bool:
        return self.lasting >= LASTING

    @classmethod
    def of(cls, usual: Usual, cells: Sequence[int], excess: float) -> "_Slices":
        known = [usual.slices[at] for at in cells if usual.slices[at]]
        if not known:
            return cls(1, 1.0, 1.0)
        sums = totals(known)
        middle = (sum(sums) - excess) / len(sums)
        parts = [(each - middle) / excess * len(sums) for each in sums]
        count = sum(part > _THERE for part in parts)
        even = (sum(parts) - max(parts)) / max(len(parts) - 1, 1) if len(parts) > 1 else 1.0
        return cls(count, count / len(sums), max(min(even, 1.0), 0.0))


def _much(found: Whole) -> bool:
    """Whether the load, which comes and goes, has changed enough to tell."""
    if found.kind == "lengths":
        return True
    one = found.process is not None
    least = LOAD if one else LOAD / 2
    return abs(log2(found.factor)) >= least and abs(found.z) >= LOADED


def _change(before: float, now: float, *, more: bool) -> Change:
    if more:
        return "new" if before <= NOTHING * now else "more"
    return "gone" if now <= NOTHING * before else "less"
