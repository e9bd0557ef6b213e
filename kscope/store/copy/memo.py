"""The memo of a page: which rows or sums of the source it holds, packed as text.

It is stored with the key of the page's batch, so that a later run knows what was copied, whatever
else the target holds and whatever it has removed since.
"""

import base64
import json
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

# A row's time, and what tells it from others of that time: its seq, or a hash of its values. Late
# rows are summed by group, which tells their sums apart.
Place = tuple[Any, ...]
# The sums of late rows, which grow, as they were copied last.
Late = dict[Place, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Page:
    """The number of a page, the times of its first and last row, and its rows by slot."""

    number: int
    first: int
    last: int
    slots: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Contents:
    places: Counter[Place] = field(default_factory=Counter)
    late: Late = field(default_factory=dict)


def written(places: Sequence[Place], late: Late, slots: Mapping[int, int]) -> str:
    """Return the memo of a page; `places` and `late` are in the order of time."""
    times = [*(time for time, _ in places), *(group[0] for group in late)]
    parts = {
        "first": min(times),
        "last": max(times),
        "slots": list(slots.items()),
        "places": _packed(places),
        "late": _compressed(json.dumps([*late.items()])),
    }
    return json.dumps(parts)


def page_of(number: int, memo: str) -> Page:
    parts = json.loads(memo)
    slots = {slot: count for slot, count in parts["slots"]}  # noqa: C416 - mypy wants pairs
    return Page(number, parts["first"], parts["last"], slots)


def contents_of(memo: str) -> Contents:
    parts = json.loads(memo)
    late = json.loads(_decompressed(parts["late"]))
    return Contents(
        Counter(_unpacked(parts["places"])),
        {tuple(group): tuple(sums) for group, sums in late},
    )


def _packed(places: Sequence[Place]) -> str:
    columns = zip(*places, strict=True) if places else ((), ())
    return _compressed(b"".join(_differences(each) for each in columns))


def _differences(numbers: Sequence[int]) -> bytes:
    """Return each number as its difference from the one before: most are alike, and pack well."""
    before = (0, *numbers)
    return array("q", [_wrapped(b - a) for a, b in zip(before, numbers, strict=False)]).tobytes()


def _wrapped(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def _unpacked(text: str) -> Iterable[Place]:
    numbers = array("q")
    numbers.frombytes(_decompressed(text))
    half = len(numbers) // 2
    return zip(_sums(numbers[:half]), _sums(numbers[half:]), strict=True)


def _sums(differences: Iterable[int]) -> Iterable[int]:
    return accumulate(differences, lambda a, b: _wrapped(a + b))


def _compressed(content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    return base64.b64encode(zlib.compress(raw, 1)).decode()


def _decompressed(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))
