"""The choice of tables for a range, checked against its own promises over random cases."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kscope.declare.files.catalog import load_catalog
from kscope.generate.tables import schema
from kscope.store.schema.progress import SECOND, Progress, furthest
from kscope.store.sums.planner import plan

TABLES = schema(load_catalog()).categories["offcputime"]
HOUR = 3600 * SECOND
DAY = 24 * HOUR
SUMMED = {"process", "stack", "elapsed"}

times = st.integers(0, 20 * DAY)


@given(times, times, times, times, times)
def test_segments_cover_the_range_once(
    start: int, length: int, hourly: int, daily: int, removed: int
) -> None:
    """Segments have no gap and no overlap, and use sums only of whole closed buckets."""
    progress = {
        0: Progress(removed=removed),
        3600: Progress(closed=hourly - hourly % HOUR),
        86400: Progress(closed=daily - daily % DAY),
    }
    made = plan(TABLES, progress, (start, start + length), SUMMED)
    assert made.start <= start
    assert made.stop >= start + length
    if length:
        assert made.segments[0].start == made.start
        assert made.segments[-1].stop == made.stop
    assert all(left.stop == right.start for left, right in pairwise(made.segments))
    for segment in made.segments:
        if segment.bucket:
            assert segment.start % (segment.bucket * SECOND) == 0
            assert segment.stop % (segment.bucket * SECOND) == 0
            assert segment.stop <= progress[segment.bucket].closed
    if (made.start, made.stop) != (start, start + length):
        assert made.notices


def test_days_then_hours_then_rows() -> None:
    """The coarsest sums take the middle, finer ones and rows the edges."""
    progress = {3600: Progress(closed=5 * DAY), 86400: Progress(closed=5 * DAY)}
    made = plan(TABLES, progress, (DAY - 90 * 60 * SECOND, 3 * DAY + HOUR + 1), SUMMED)
    assert [(s.bucket, s.start, s.stop) for s in made.segments] == [
        (0, DAY - 90 * 60 * SECOND, DAY - HOUR),
        (3600, DAY - HOUR, DAY),
        (86400, DAY, 3 * DAY),
        (3600, 3 * DAY, 3 * DAY + HOUR),
        (0, 3 * DAY + HOUR, 3 * DAY + HOUR + 1),
    ]
    assert made.source == "rollup 1d + rollup 1h + raw"


def test_a_question_about_single_rows_reads_rows() -> None:
    """A pid, or a distribution of single values, is in no sum."""
    progress = {3600: Progress(closed=5 * DAY)}
    for columns in ({"pid"}, {"seq"}):
        assert plan(TABLES, progress, (0, DAY), columns).source == "raw"


def test_bins_of_an_answer_are_whole_buckets() -> None:
    """Half-hourly bins cannot come from hourly sums, two-hourly ones can."""
    progress = {3600: Progress(closed=5 * DAY), 86400: Progress(closed=5 * DAY)}
    assert plan(TABLES, progress, (0, DAY), SUMMED, step=HOUR // 2).source == "raw"
    assert plan(TABLES, progress, (0, DAY), SUMMED, step=2 * HOUR).source == "rollup 1h"


def test_the_edge_of_a_range_without_rows_takes_the_whole_bucket() -> None:
    """An hour whose rows were removed is shown whole, with a notice."""
    progress = {0: Progress(removed=4 * DAY), 3600: Progress(closed=5 * DAY)}
    made = plan(TABLES, progress, (DAY + 1, DAY + 2 * HOUR + 1), SUMMED)
    assert (made.start, made.stop, made.source) == (DAY, DAY + 3 * HOUR, "rollup 1h")
    assert "whole buckets" in made.notices[0]


def test_rows_removed_by_age_are_mentioned() -> None:
    """A filter by pid over a time that only has sums is answered with a notice."""
    progress = {0: Progress(removed=4 * DAY), 3600: Progress(closed=5 * DAY)}
    made = plan(TABLES, progress, (DAY, 5 * DAY), {"pid"})
    assert made.source == "raw"
    assert "removed by retention" in made.notices[0]


@given(st.permutations([(100, 0), (200, 0), (200, 50)]))
def test_progress_never_goes_back(notes: list[tuple[int, int]]) -> None:
    """An engine that has not merged its rows yet returns them in any order: the furthest count."""
    rows = [("waits", 300, *note) for note in notes]
    assert furthest([*rows, ("locks", 300, 1, 1)]) == {
        "waits": {300: Progress(closed=200, removed=50)},
        "locks": {300: Progress(closed=1, removed=1)},
    }
