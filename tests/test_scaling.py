"""docs/scaling.md has the table that its script computes."""

from __future__ import annotations

from benchmarks import scaling


def test_the_page_has_what_its_script_computes() -> None:
    """After a new measurement `python -m benchmarks.scaling --write` replaces it."""
    page = scaling.DOC.read_text()
    assert scaling.with_block(page) == page
    assert scaling.block() in page
