"""Units: as people write them, and as they read them."""

from __future__ import annotations

import pytest

from kscope.declare.units import duration, measure, readable, seconds


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (15_031, "us", "15 ms"),
        (3 << 20, "bytes", "3 MiB"),
        (9_999, "rows", "9999 rows"),
        (12_345, "rows", "12.3k rows"),
        (2_500_000, "", "2.5M"),
        (None, "us", "-"),
    ],
)
def test_a_number_is_shown_in_a_fitting_unit(value: int | None, unit: str, text: str) -> None:
    """With three digits; counts below 10,000 are shown whole."""
    assert readable(value, unit) == text


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("5ms", "us", 5_000),
        ("5MS", "us", 5_000),
        ("1.5 kib", "bytes", 1_536),
        ("2GB", "bytes", 2e9),
    ],
)
def test_a_measure_is_read_in_the_unit_of_its_column(text: str, unit: str, value: int) -> None:
    """Upper and lower case are the same."""
    assert measure(text, unit) == value


@pytest.mark.parametrize(("text", "unit"), [("5", "us"), ("5 parsecs", "us"), ("5ms", "rows")])
def test_a_measure_needs_a_unit_that_the_column_has(text: str, unit: str) -> None:
    """A number alone is not a measure."""
    with pytest.raises(ValueError, match="is not a"):
        measure(text, unit)


@pytest.mark.parametrize("text", ["90s", "15m", "6h", "2d", "4w"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    """In its largest unit."""
    assert duration(seconds(text)) == text
