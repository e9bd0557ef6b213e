"""The spool: what is in it stays in it, within its bounds."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from kscope.agent.batch import Batch
from kscope.agent.spool import Spool, claim
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400.0


def batch(number: int, size: int = 100) -> Batch:
    return Batch(f"{number:032x}", rows=5, body=bytes([number]) * size, encoding="zstd")


def keys(spool: Spool) -> list[int]:
    return [int(entry.key, 16) for entry in spool.waiting()]


def test_batches_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    """A new process finds what the last one left, oldest first, and numbers on from there."""
    spool = Spool(tmp_path, max_bytes=10_000, max_age=DAY)
    for number in (3, 1, 2):
        assert spool.put(batch(number))
    again = Spool(tmp_path, max_bytes=10_000, max_age=DAY)
    again.put(batch(9))
    assert keys(again) == [3, 1, 2, 9]
    oldest = again.oldest()
    assert oldest
    assert oldest.body() == bytes([3]) * 100
    assert (oldest.encoding, oldest.rows) == ("zstd", 5)


def test_a_clock_set_back_changes_no_order(tmp_path: Path) -> None:
    """The order is that of arrival, whatever the files' times say."""
    spool = Spool(tmp_path, max_bytes=10_000, max_age=DAY)
    for number in (1, 2):
        spool.put(batch(number))
    newest = spool.waiting()[-1].path
    os.utime(newest, (time.time() - 3600,) * 2)
    assert keys(Spool(tmp_path, max_bytes=10_000, max_age=DAY)) == [1, 2]


def test_the_oldest_go_first_when_it_is_full(tmp_path: Path) -> None:
    """The bound holds, and what it cost is counted."""
    spool = Spool(tmp_path, max_bytes=250, max_age=DAY)
    for number in range(5):
        spool.put(batch(number))
    assert keys(spool) == [3, 4]
    dropped = spool.take_dropped()
    assert (dropped.batches, dropped.rows) == (3, 15)
    assert spool.take_dropped().batches == 0


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    """A batch older than the bound is dropped and counted, not sent."""
    Spool(tmp_path, max_bytes=10_000, max_age=DAY).put(batch(1))
    (path,) = (entry.path for entry in Spool(tmp_path, max_bytes=1, max_age=DAY).waiting())
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    spool = Spool(tmp_path, max_bytes=10_000, max_age=DAY)
    assert spool.oldest() is None
    assert spool.take_dropped().rows == 5


def test_a_half_written_batch_is_none(tmp_path: Path) -> None:
    """What a crash left half written is removed, and never sent."""
    Spool(tmp_path, max_bytes=10_000, max_age=DAY)
    (tmp_path / f"{0:012d}-5-{1:032x}.json.zstd.tmp").write_bytes(b"half")
    assert keys(Spool(tmp_path, max_bytes=10_000, max_age=DAY)) == []
    assert not list(tmp_path.glob("*.tmp"))


def test_a_refused_batch_is_kept_aside_with_the_reason(tmp_path: Path) -> None:
    """It is no longer sent; a person finds the rows and what the server said of them."""
    spool = Spool(tmp_path, max_bytes=10_000, max_age=DAY)
    spool.put(batch(1))
    entry = spool.oldest()
    assert entry
    spool.refuse(entry, 422, "HTTP 422 /offcputime/0/pid: not a number")
    assert spool.oldest() is None
    assert (spool.refused / entry.path.name).read_bytes() == bytes([1]) * 100
    assert "not a number" in (spool.refused / f"{entry.path.name}.reason").read_text()


def test_a_disk_that_takes_nothing_is_counted(tmp_path: Path) -> None:
    """A batch that cannot be written counts as dropped, unless it was sent all the same."""
    spool = Spool(tmp_path, max_bytes=10_000, max_age=DAY)
    long_key = Batch("f" * 300, rows=7, body=b"x", encoding="")  # no file system takes this name
    assert not spool.put(long_key)
    spool.undrop(7)
    assert not spool.put(long_key)
    assert spool.take_dropped().rows == 7


def test_agents_side_by_side_have_a_folder_each(tmp_path: Path) -> None:
    """A second agent gets its own folder; what an ended one left behind is taken over."""
    first, first_lock = claim(tmp_path, "http://127.0.0.1:8081")
    second, second_lock = claim(tmp_path, "http://127.0.0.1:8081")
    assert first != second
    Spool(second, max_bytes=10_000, max_age=DAY).put(batch(2))
    Spool(first, max_bytes=10_000, max_age=DAY).put(batch(1))
    os.close(first_lock)
    os.close(second_lock)
    third, lock = claim(tmp_path, "http://127.0.0.1:8081")
    assert third == first
    assert keys(Spool(third, max_bytes=10_000, max_age=DAY)) == [1, 2]
    os.close(lock)


def test_batches_for_one_server_are_not_sent_to_another(tmp_path: Path) -> None:
    """The folder belongs to the server's address."""
    one, lock_one = claim(tmp_path, "http://one:8081")
    two, lock_two = claim(tmp_path, "http://two:8081")
    assert one.parent != two.parent
    os.close(lock_one)
    os.close(lock_two)


def test_a_spool_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file where the folder should be gives a sentence, not a traceback."""
    (tmp_path / "spool").write_text("")
    with pytest.raises(KscopeError, match="spool folder"):
        claim(tmp_path / "spool", "http://one")
