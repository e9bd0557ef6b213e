"""A target with a fault, to see that the fuzzers find it."""

from __future__ import annotations

from tests.fuzz.target import Target


def _take(data: bytes) -> object:
    return 1 // (len(data) - 5) if data.startswith(b"fault") else None


TARGET = Target("fault", lambda: _take, lambda: [b"fault:", b"no fault"])
