"""Up to when the buckets of each level are being closed: from then on their rows are late."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Closing:
    """A level is being closed up to `stop`; that was noted `at` (us, the engine's clock)."""

    stop: int
    at: int


def closing_note(table: str) -> str:
    return f"closing {table}"


def closing_of(text: str | None) -> dict[int, Closing]:
    """Return the levels that a note names, by bucket in seconds."""
    found = json.loads(text) if text else {}
    return {int(bucket): Closing(*times) for bucket, times in found.items()}


def written(levels: Mapping[int, Closing]) -> str:
    return json.dumps({bucket: [each.stop, each.at] for bucket, each in levels.items()})


def latest(levels: Mapping[int, Closing], time: int) -> int:
    """Return the longest bucket that a row of this time is late for; 0 if it is not late.

    A level is never ahead of one with shorter buckets.
    """
    return max((bucket for bucket, each in levels.items() if time < each.stop), default=0)
