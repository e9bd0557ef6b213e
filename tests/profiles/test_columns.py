"""Samples of any profiler become rows of a category: which amount goes to which column."""

from __future__ import annotations

from fractions import Fraction

from kscope.declare.files.category import read_category
from kscope.profiles.columns import SampleColumns, Wanted, sample_columns
from kscope.profiles.sample import Amount, Sample

MEMORY = """
table: heaps
columns:
  - {name: stack, type: stack}
  - {name: other, type: bytes}
  - {name: space, type: bytes}
  - {name: took, type: float, unit: ms}
"""
CPU = """
table: cpu
columns:
  - {name: stack, type: stack}
  - {name: elapsed, type: elapsed, sampled_by: samples}
  - {name: samples, type: count, default: 1}
"""


def columns(text: str, value: str, frequency: float | None = None) -> SampleColumns:
    category = read_category(text, "test.yaml").category
    assert category
    return sample_columns(category, Wanted(value, "", frequency))


def sample(*amounts: Amount) -> Sample:
    return Sample(("main",), amounts)


def test_an_amount_with_the_name_of_a_column_is_that_column_s() -> None:
    """Another column of the same kind does not take it, whatever their order."""
    row = columns(MEMORY, "other").row(
        sample(Amount("space", "bytes", 5), Amount("other", "kb", 1), Amount("took", "s", 2))
    )
    assert (row["space"], row["other"]) == (5, 1024)
    assert row["took"] == 2000.0


def test_time_has_samples_by_their_rate() -> None:
    """The rest of a sample is added to the next row."""
    rows = columns(CPU, "elapsed", frequency=100)
    found = [rows.row(sample(Amount("cpu", "nanoseconds", 15_000_000))) for _ in range(2)]
    assert [(row["elapsed"], row["samples"]) for row in found] == [(15_000, 1), (15_000, 2)]
    assert "samples" not in columns(CPU, "elapsed").row(sample(Amount("cpu", "ms", 1)))


def test_what_is_left_of_a_unit_is_not_lost() -> None:
    """Whole numbers, parts and other units in turn: the sum is right."""
    rows = columns(CPU, "elapsed")
    amounts = [("ns", 1500), ("us", 1.25), ("ns", 700), ("ms", Fraction(1, 2000)), ("ns", 50)] * 3
    found = [rows.row(sample(Amount("cpu", unit, value)))["elapsed"] for unit, value in amounts]
    assert sum(found) == 12
