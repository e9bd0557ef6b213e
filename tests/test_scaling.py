"""docs/scaling.md has the table that its script computes."""

from __future__ import annotations

from benchmarks import scaling


def test_the_table_of_the_page_is_that_of_the_measured_figures() -> None:
    """After a new measurement `python -m benchmarks.scaling --write` replaces the table."""
    assert scaling.table() in scaling.DOC.read_text()
