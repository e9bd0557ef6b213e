"""Patterns of category files that stacks are known to match: each stack is searched once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# Beyond these numbers it starts again.
_MOST_PATTERNS = 128
_MOST_STACKS = 500_000

# Of a stack: the bits of the patterns that were tried, and of those that match.
Tried = tuple[int, int]


@dataclass(eq=False)
class Matches:
    """By the stack's id, which is the hash of its text, so that results stay true."""

    _bits: dict[str, int] = field(default_factory=dict)
    _stacks: dict[int, Tried] = field(default_factory=dict)
    # Most stacks share their results: one tuple for each.
    _shared: dict[Tried, Tried] = field(default_factory=dict)

    def note(self, patterns: Iterable[str]) -> None:
        """Make room for patterns."""
        new = set(patterns) - self._bits.keys()
        if len(self._bits) + len(new) > _MOST_PATTERNS or len(self._stacks) > _MOST_STACKS:
            self._bits, self._stacks, self._shared = {}, {}, {}
        for pattern in sorted(patterns):
            self._bits.setdefault(pattern, 1 << len(self._bits))

    def missing(self, stacks: Iterable[int], patterns: Sequence[str]) -> list[int]:
        """Return those of the stacks that were not tried with all the patterns."""
        wanted = self._mask(patterns)
        known = self._stacks.get
        return [each for each in stacks if known(each, (0, 0))[0] & wanted != wanted]

    def add(self, found: Mapping[int, Iterable[str]], patterns: Sequence[str]) -> None:
        """Note which of the patterns match each stack: all of them were tried."""
        wanted = self._mask(patterns)
        for stack, matched in found.items():
            tried, matching = self._stacks.get(stack, (0, 0))
            result = (tried | wanted, matching & ~wanted | self._mask(matched))
            self._stacks[stack] = self._shared.setdefault(result, result)

    def found(self, stacks: Iterable[int], patterns: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Return those of the stacks that match, by pattern."""
        known = self._stacks.get
        by_result: defaultdict[Tried, list[int]] = defaultdict(list)
        for stack in stacks:
            by_result[known(stack, (0, 0))].append(stack)
        return {
            pattern: tuple(
                stack
                for (_, matching), listed in by_result.items()
                if matching & self._bits[pattern]
                for stack in listed
            )
            for pattern in patterns
        }

    def _mask(self, patterns: Iterable[str]) -> int:
        return sum(self._bits[each] for each in set(patterns))
