"""Histograms: numbers of events by size, in powers of two."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any

from kscope.declare.types.base import ColumnType, Defaults, Role, Storage, whole
from kscope.declare.types.kernel import KernelField, Kind
from kscope.declare.types.numbers import COUNT
from kscope.declare.types.wire import Meta

HISTOGRAM_SLOTS = 64
# Histograms whose texts are kept.
_WRITTEN = 10_000


def histogram_text(counts: Sequence[int]) -> str:
    """Write [0, 3, 0, 1] as `1:3,3:1`."""
    return _written(tuple(counts))


# Most rows sum a few events of one length: they have few different histograms.
@lru_cache(maxsize=_WRITTEN)
def _written(counts: tuple[int, ...]) -> str:
    if not counts:
        return ""
    if isinstance(sum(counts), float):
        counts = tuple(map(whole, counts))
    return ",".join(f"{slot}:{count}" for slot, count in enumerate(counts) if count)


class _PairTexts(dict[tuple[int, int], str]):
    """Pairs of slot and count as text, each made once: rows sum a few events, and have few."""

    def __missing__(self, pair: tuple[int, int]) -> str:
        self[pair] = text = f"{pair[0]}:{pair[1]}"
        return text


def histogram_texts(slots: Sequence[int], counts: Sequence[int], ends: Sequence[int]) -> list[str]:
    """Write many histograms, whose slots that are not empty follow one another.

    Each ends before the slot at its place in `ends`. Slots ascend within one.
    """
    pairs = list(map(_PairTexts().__getitem__, zip(slots, counts, strict=True)))
    return [
        pairs[start] if end - start == 1 else ",".join(pairs[start:end])
        for start, end in zip(chain((0,), ends), ends, strict=False)
    ]


def histogram_counts(text: str) -> dict[int, int]:
    """Read `1:3,3:1`; a slot that is there twice is summed, so joined texts add up."""
    return _added((pair, 1) for pair in text.split(","))


def summed_counts(texts: Iterable[str]) -> dict[int, int]:
    """Read many histograms as one; a pair of slot and count that many have is read once."""
    return _added(Counter(",".join(texts).split(",")).items())


def _added(pairs: Iterable[tuple[str, int]]) -> dict[int, int]:
    """Add up pairs of slot and count, each so many times; a text without slots has one empty."""
    counts: dict[int, int] = {}
    for pair, times in pairs:
        if pair:
            slot, _, count = pair.partition(":")
            counts[int(slot)] = counts.get(int(slot), 0) + times * _whole(count)
    return counts


def _whole(text: str) -> int:
    """Read a count; earlier versions stored a sender's 1.0 as it came."""
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def _slots(stored: str) -> list[int]:
    """Return the counts by slot, without empty slots at the end."""
    found = histogram_counts(stored)
    return [found.get(slot, 0) for slot in range(max(found, default=-1) + 1)]


def _read(raw: Any) -> list[int]:
    slots = [int(count) for count in raw]
    while slots and not slots[-1]:
        slots.pop()
    return slots


HISTOGRAM = ColumnType(
    name="histogram",
    help="counts by power of two: slot i counts the values from 2**i up to 2**(i+1), slot 0 also 0",
    storage=Storage.HISTOGRAM,
    role=Role.HISTOGRAM,
    wire=Annotated[list[COUNT], Meta(max_length=HISTOGRAM_SLOTS)],
    example=[0, 3, 5, 1],
    kernel=KernelField(
        kinds=frozenset({Kind.NUMBERS, Kind.HISTOGRAM}),
        expected=f"an array of at most {HISTOGRAM_SLOTS} counts, such as u32 slots[32]",
        read=_read,
        fits=lambda found: found.length <= HISTOGRAM_SLOTS,
    ),
    encode=histogram_text,
    decode=_slots,
    heatmap=True,
    defaults=Defaults(
        {"const": []}, "a histogram's default is []: counts would be events that never happened"
    ),
    option=False,
)
TYPES = (HISTOGRAM,)
