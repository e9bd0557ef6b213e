"""Types of columns without a decoder's library: quick checks, and rows before they are sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.declare.files.catalog import load_catalog
from kscope.declare.rowcheck import RowCheck
from kscope.declare.types import TYPES
from kscope.declare.types.base import INT64_MAX
from kscope.declare.values import is_valid

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-INT64_MAX - 2, INT64_MAX + 2),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["a" * 256, "a" * 257, "2026-11-30T12:00:00Z", "2026-02-30", "::1", "1.2.3.4"]),
)
VALUES = SCALARS | st.lists(SCALARS, max_size=70)


@pytest.mark.parametrize("name", [*TYPES])
@given(value=VALUES)
def test_a_quick_check_and_the_schema_agree(name: str, value: Any) -> None:
    """With `encode`, which knows what a format is."""
    column_type = TYPES[name]
    is_right = column_type.fits(value)
    if is_right and column_type.encode:
        try:
            column_type.encode(value)
        except ValueError:
            # Such as the 30th of February, which has the pattern of a time.
            is_right = is_valid(column_type.json, value)
    assert is_right == is_valid(column_type.json, value)


def test_a_row_is_judged_by_name_and_value() -> None:
    """Each fault is one sentence; 5.0 is the whole number 5, as it is in JSON."""
    category = load_catalog().get("offcputime")
    assert category
    check = RowCheck(category)
    right = {"process": "a", "pid": 1, "stack": "b", "elapsed": 5.0, "time": "2026-11-30T12:00:00Z"}
    assert [*check.faults(right)] == []
    wrong = {"process": 5, "pid": 1, "elapsed": -1, "proces": 1}
    assert [*check.faults(wrong)] == [
        "process: 5 is not of type string, a name that repeats: a process, a device, a function",
        "elapsed: -1 is not of type elapsed, a duration in microseconds",
        "proces: there is no column 'proces'. Did you mean 'process'?",
        "'stack' is missing",
    ]
