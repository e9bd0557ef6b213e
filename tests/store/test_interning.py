"""The cache of interned texts."""

from __future__ import annotations

from kscope.store.schema.interning import Known


def test_what_is_kept_stays_within_its_limit_and_what_is_used_stays() -> None:
    """However much was read: the oldest are forgotten first."""
    known: Known[int, str] = Known(1000, len)
    known.add({0: "used"})
    for number in range(1, 500):
        known.add({number: "x" * (number % 50)})
        assert known.find([0]) == {0: "used"}
    assert sum(map(len, known.find(range(500, 0, -1)).values())) <= 1000
    assert 499 in known.find([499])
    assert 1 not in known.find([1])
