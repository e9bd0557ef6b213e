"""Sums as questions answer them: exact below 2**53, floating point above."""

from __future__ import annotations

from typing import Any

EXACT = 2**53
LARGEST = 2**63 - 1


def is_sum(found: Any, exact: Any) -> bool:
    """Compare numbers, in dicts, lists and tuples of one shape, with their exact values."""
    if isinstance(exact, dict):
        return found.keys() == exact.keys() and all(is_sum(found[key], exact[key]) for key in exact)
    if isinstance(exact, list | tuple):
        pairs = zip(found, exact, strict=False)
        return len(found) == len(exact) and all(is_sum(*pair) for pair in pairs)
    if isinstance(exact, float) or (isinstance(exact, int) and abs(exact) >= EXACT):
        return bool(abs(found - exact) <= abs(exact) * 1e-12)
    return bool(found == exact)
