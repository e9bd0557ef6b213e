"""Off-CPU rows of a fleet, as agents send them: the data of every benchmark.

Each host repeats its own 1,500 (process, stack) pairs, Zipf-weighted, about 700 rows a minute; the
fleet has 20,000 distinct stacks of 8 to 32 frames. Ten hosts for a day are ten million rows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STACKS = 20_000
PAIRS = 1500
ROWS_PER_MINUTE = 700
PROCESSES = 300
MINUTE = 60_000_000
_KERNEL = ("entry_SYSCALL_64_after_hwframe_[k]", "do_syscall_64_[k]")
_WAITS = ("futex", "epoll_wait", "fsync", "pread64", "nanosleep", "poll", "recvmsg", "io_getevents")
_END = ("schedule_[k]", "__schedule_[k]")
_WEIGHTS = list(accumulate(1 / rank for rank in range(1, PAIRS + 1)))


@dataclass(frozen=True, slots=True)
class Pair:
    process: str
    pid: int
    stack: str
    reason: str


@dataclass(frozen=True)
class Minute:
    """Return one host's rows of one minute, as a list for each column."""

    host: str
    time: int
    pairs: Sequence[Pair]
    elapsed: Sequence[int]
    count: Sequence[int]
    lengths: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Fleet:
    hosts: int = 10
    seed: int = 1
    rows_per_minute: int = ROWS_PER_MINUTE

    @cached_property
    def stacks(self) -> list[str]:
        chance = random.Random(self.seed)
        return [_stack(chance, number) for number in range(STACKS)]

    def pairs(self, host: int) -> list[Pair]:
        chance = random.Random(f"{self.seed} {host}")
        return [
            Pair(
                f"process-{chance.randrange(PROCESSES)}",
                chance.randrange(300, 4_000_000),
                self.stacks[chance.randrange(STACKS)],
                chance.choice(("blocked", "uninterruptible", "idle", "preempted")),
            )
            for _ in range(PAIRS)
        ]

    def minutes(self, start: int, minutes: int) -> Iterator[Minute]:
        """From `start` (us) on, host by host within each minute."""
        chance = random.Random(self.seed)
        everyone = [self.pairs(host) for host in range(self.hosts)]
        for minute in range(minutes):
            for host, pairs in enumerate(everyone):
                yield self.minute(chance, host, pairs, start + minute * MINUTE + host * 1_234_567)

    def minute(
        self, chance: random.Random, host: int, pairs: Sequence[Pair], earliest: int
    ) -> Minute:
        """Return the rows of one host, within a second of `earliest` (us)."""
        spread = self.rows_per_minute // 14
        rows = self.rows_per_minute + chance.randrange(-spread, spread + 1)
        elapsed = [int(chance.expovariate(1 / 20_000)) for _ in range(rows)]
        count = chance.choices((1, 1, 2, 3, 8), k=rows)
        return Minute(
            host_name(host),
            earliest + chance.randrange(1_000_000),
            chance.choices(pairs, cum_weights=_WEIGHTS, k=rows),
            elapsed,
            count,
            [_lengths(chance, *row) for row in zip(elapsed, count, strict=True)],
        )


def host_name(host: int) -> str:
    return f"web-{host:03}"


def _lengths(chance: random.Random, elapsed: int, count: int) -> tuple[int, ...]:
    """How many of a row's waits are of each power of two, as the probe counts them."""
    cuts = sorted(chance.random() for _ in range(count - 1))
    ends = [0, *(int(cut * elapsed) for cut in cuts), elapsed]
    slots = [max(0, (stop - start).bit_length() - 1) for start, stop in pairwise(ends)]
    counts = [0] * (max(slots) + 1)
    for slot in slots:
        counts[slot] += 1
    return tuple(counts)


def _stack(chance: random.Random, number: int) -> str:
    depth = chance.randrange(8, 33)
    wait = chance.choice(_WAITS)
    kernel = [*_KERNEL, f"__x64_sys_{wait}_[k]", f"do_{wait}_[k]", *_END]
    # A tree: stacks share their outer frames, as those of real programs do.
    user = [f"frame_{level}_{chance.randrange(2 + level * 3)}" for level in range(depth - 8)]
    return ";".join(["main", *user, f"leaf_{number}", *kernel])
