"""The spool: what is in it stays in it, within its bounds."""

from __future__ import annotations

import itertools
import json
import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from kscope.client import encoding
from kscope.client.answers import Answer, Outcome
from kscope.client.encoding import decode
from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload
from kscope.client.payload_store import Memory
from kscope.client.sender import Sender
from kscope.client.spool import Spool, waiting
from kscope.client.spool_lock import abandoned, claim
from kscope.errors import KscopeError
from tests.agent.disks import fill, small_disk
from tests.agent.fakeserver import fake_server, problem
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

DAY = 86400.0


def batch(number: int, size: int = 100, table: str = "cpu") -> Payload:
    return Payload(table, f"{number:032x}", rows=5, body=bytes([number]) * size, encoding="zstd")


class Lost(list[tuple[int, str]]):
    """Keys and fates of the batches that a spool gave up."""

    def spool(self, folder: Path, max_bytes: int = 10_000, max_age: float = DAY) -> Spool:
        return Spool(
            folder,
            max_bytes=max_bytes,
            max_age=max_age,
            lost=lambda entry, fate, _: self.append((int(entry.key, 16), fate)),
            kept_longest="agent",
        )


def spool_in(folder: Path) -> Spool:
    return Lost().spool(folder)


def keys(folder: Path) -> list[int]:
    return [int(entry.key, 16) for entry in waiting(folder)]


def test_batches_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    """A new process finds what the last one left, oldest first, and numbers on from there."""
    spool = spool_in(tmp_path)
    for number in (3, 1, 2):
        assert spool.put(batch(number))
    again = spool_in(tmp_path)
    again.put(batch(9))
    assert keys(tmp_path) == [3, 1, 2, 9]
    oldest = again.oldest()
    assert oldest
    assert oldest.body() == bytes([3]) * 100
    assert (oldest.table, oldest.encoding, oldest.rows) == ("cpu", "zstd", 5)


def test_a_clock_set_back_changes_no_order(tmp_path: Path) -> None:
    """The order is that of arrival, whatever the files' times say."""
    spool = spool_in(tmp_path)
    for number in (1, 2):
        spool.put(batch(number))
    os.utime(list(waiting(tmp_path))[-1].path, (time.time() - 3600,) * 2)
    oldest = spool_in(tmp_path).oldest()
    assert oldest
    assert int(oldest.key, 16) == 1


def test_a_clock_that_is_set_right_makes_nothing_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board that boots in 1970 keeps what it saw until it knows the year."""
    lost = Lost()
    spool = lost.spool(tmp_path)
    spool.put(batch(1))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 20_000 * DAY)
    assert spool.oldest()
    assert spool.depth()[2] < DAY
    assert lost == []


def test_the_oldest_go_first_when_it_is_full(tmp_path: Path) -> None:
    """The spool stays below its limit, and reports the rows that it dropped."""
    lost = Lost()
    spool = lost.spool(tmp_path, max_bytes=250)
    for number in range(5):
        spool.put(batch(number))
    assert keys(tmp_path) == [3, 4]
    assert lost == [(0, "dropped"), (1, "dropped"), (2, "dropped")]


def test_what_says_what_is_missing_goes_last(tmp_path: Path) -> None:
    """Rows about the agent outlast rows of probes, though they be older."""
    lost = Lost()
    spool = lost.spool(tmp_path, max_bytes=250)
    spool.put(batch(1, table="agent"))
    for number in (2, 3):
        spool.put(batch(number))
    assert keys(tmp_path) == [1, 3]
    assert lost == [(2, "dropped")]


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    """A batch older than the bound is dropped and told of, not sent."""
    spool_in(tmp_path).put(batch(1))
    (entry,) = waiting(tmp_path)
    os.utime(entry.path, (time.time() - 2 * DAY,) * 2)
    lost = Lost()
    assert lost.spool(tmp_path).oldest() is None
    assert lost == [(1, "dropped")]
    assert keys(tmp_path) == []


def test_a_half_written_batch_is_none(tmp_path: Path) -> None:
    """A file that a crash left half written is removed, and never sent."""
    spool_in(tmp_path)
    (tmp_path / f"{0:012d}-5-cpu-{1:032x}.json.zstd.tmp").write_bytes(b"half")
    assert spool_in(tmp_path).oldest() is None
    assert not list(tmp_path.glob("*.tmp"))


def test_a_refused_batch_is_kept_aside_with_the_reason(tmp_path: Path) -> None:
    """It is no longer sent; a person finds the rows and what the server said of them."""
    lost = Lost()
    spool = lost.spool(tmp_path)
    spool.put(batch(1))
    entry = spool.oldest()
    assert entry
    spool.refuse(entry, Answer(Outcome.REFUSED, "HTTP 422 /offcputime/0/pid: not a number", 422))
    assert spool.oldest() is None
    assert lost == [(1, "refused")]
    assert (spool.refused / entry.path.name).read_bytes() == bytes([1]) * 100
    assert "not a number" in (spool.refused / f"{entry.path.name}.reason").read_text()


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    """The caller, who may send the batch at once, hears that it is not kept."""
    spool = spool_in(tmp_path)
    assert not spool.put(Payload("cpu", "f" * 300, rows=7, body=b"x", encoding=""))
    assert spool.put(batch(1))
    assert keys(tmp_path) == [1]


def test_agents_side_by_side_have_a_folder_each(tmp_path: Path) -> None:
    """A second agent gets its own folder; what an ended one left behind is taken over."""
    first, first_lock = claim(tmp_path, "http://127.0.0.1:8081")
    second, second_lock = claim(tmp_path, "http://127.0.0.1:8081")
    assert first != second
    spool_in(second).put(batch(2))
    spool_in(first).put(batch(1))
    os.close(first_lock)
    third, lock = claim(tmp_path, "http://127.0.0.1:8081")
    assert third == first
    spool = spool_in(third)
    assert list(abandoned(third.parent)) == []  # the second still runs
    os.close(second_lock)
    for left in abandoned(third.parent):
        spool.adopt(left)
    assert keys(third) == [1, 2]
    assert spool.depth()[0] == 2
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


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    """Folders and files are private under every umask, also batches set aside and their reasons."""
    before = os.umask(0)
    try:
        folder, lock = claim(tmp_path / "a/spool", "http://one")
        spool = spool_in(folder)
        for number in (1, 2):
            spool.put(batch(number))
        entry = spool.oldest()
        assert entry
        spool.refuse(entry, Answer(Outcome.REFUSED, "no", 422))
        os.close(lock)
    finally:
        os.umask(before)
    found = [tmp_path / "a/spool", *(tmp_path / "a/spool").rglob("*")]
    assert len(found) == 8
    assert not [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]


class Counting(int):
    """A number that counts how often any of its kind is compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Counting.compared += 1
        return int(self) < int(other)


def test_a_hundred_thousand_batches_drain_in_as_many_steps() -> None:
    """Each step looks at the first batch of each table, not at those behind it."""
    memory = Memory(lambda *_: None)
    memory._numbers = map(Counting, itertools.count())  # type: ignore[assignment]
    count = 100_000
    for number in range(count):
        memory.put(batch(number % 256, size=1, table=f"table_{number % 4}"))
    Counting.compared = 0
    order = []
    while entry := memory.oldest():
        order.append(int(entry.number))
        memory.done(entry)
    assert order == list(range(count))
    assert Counting.compared <= 4 * count
    assert (memory.count, memory.rows, memory.size) == (0, 0, 0)


FLOOD = """if 1:
    import os, sys, resource
    from pathlib import Path
    from kscope.client.answers import Answer, Outcome
    from kscope.client.spool import Spool
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    for number in range(count):
        name = f"{number:012d}-1-t{number % 3}-{number:032x}.json"
        os.close(os.open(folder / name, os.O_CREAT, 0o600))
    calls = 0
    def count_calls(frame, event, argument):
        global calls
        calls += event == "call"
    no = Answer(Outcome.REFUSED, "no", 422)
    lost = lambda *_: None
    spool = Spool(folder, max_bytes=1 << 30, max_age=1e9, lost=lost)
    sys.setprofile(count_calls)
    seen = 0
    while entry := spool.oldest():
        spool.depth(2.0)
        spool.refuse(entry, no) if seen % 100 == 0 else spool.done(entry)
        seen += 1
    sys.setprofile(None)
    assert seen == count and not spool.rows
    print(calls / count)
"""


def test_a_spool_of_many_files_takes_the_same_steps_for_each(tmp_path: Path) -> None:
    """Ten times as many batches cost ten times as many calls: asked, counted, sent, set aside."""
    costs = []
    for count in (2_000, 20_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        command = [sys.executable, "-c", FLOOD, str(count), str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        costs.append(float(done.stdout))
    assert costs[1] < costs[0] * 1.2


def test_bad_rows_are_set_aside_and_the_others_arrive(tmp_path: Path) -> None:
    """Rows are set aside exactly by the server's pointers; the others are sent under a new key."""
    lost: list[tuple[str, int]] = []
    spool = Spool(tmp_path, max_bytes=10**6, max_age=DAY,
                  lost=lambda _, fate, rows: lost.append((fate, rows)))  # fmt: skip
    rows = [{"n": n} for n in range(10)]
    spool.put(Payload.of("cpu", {"hostname": "h", "cpu": rows}))
    with fake_server() as server:
        faults = [(f"/cpu/{n}/n", "not a number") for n in (2, 7)]
        server.answers = [problem(422, "two are wrong", *faults)]
        sender = Sender(spool, Endpoint(server.url))
        sender.start()
        server.wait_for(2)
        sender.stop(time.monotonic() + 5)
    assert [row["n"] for row in server.received[1].body["cpu"]] == [0, 1, 3, 4, 5, 6, 8, 9]
    assert server.received[0].key != server.received[1].key
    assert spool.rows == 0
    assert lost == [("refused", 2)]
    (aside,) = waiting(spool.refused)
    kept = decode(aside.body(), aside.encoding)
    assert kept["cpu"] == [{"n": 2}, {"n": 7}]
    reason = json.loads((spool.refused / f"{aside.path.name}.reason").read_text())
    assert "not a number" in reason["reason"]


def test_a_batch_that_is_too_large_is_halved(tmp_path: Path) -> None:
    """Until the server takes the parts; a single row that is too large is set aside."""
    spool = spool_in(tmp_path)
    spool.put(Payload.of("cpu", {"hostname": "h", "cpu": [{"n": n} for n in range(4)]}))
    large = problem(413, "too large")
    with fake_server() as server:
        server.answers = [large, large, large]
        sender = Sender(spool, Endpoint(server.url))
        sender.start()
        server.wait_for(5)
        sender.stop(time.monotonic() + 5)
    sizes = [len(request.body["cpu"]) for request in server.received]
    assert sizes == [4, 2, 2, 1, 1, 1, 1][: len(sizes)]
    assert spool.rows == 0


def test_a_split_that_the_disk_does_not_take_waits(tmp_path: Path) -> None:
    """Its first half leaves the disk again, other tables are sent, and each row is stored once."""
    with small_disk(tmp_path / "disk") as ballast, fake_server() as server:
        spool = spool_in(ballast.parent / "spool")
        spool.put(Payload.of("cpu", {"hostname": "h", "cpu": [{"n": n} for n in range(4)]}))
        spool.put(Payload.of("mem", {"hostname": "h", "mem": [{"n": 9}]}))
        before = keys(spool.folder)
        fill(ballast)
        os.truncate(ballast, ballast.stat().st_size - 4096)  # room for one half
        server.answers = [problem(413, "too large")]
        sender = Sender(spool, Endpoint(server.url))
        sender.start()
        server.wait_for(2)
        assert keys(spool.folder) in (before, before[:1])
        assert not list(waiting(spool.refused))
        server.answers = [problem(413, "too large")]
        ballast.unlink()
        server.wait_for(5)
        sender.stop(time.monotonic() + 5)
        assert spool.rows == 0
        assert not list(waiting(spool.refused))
    assert "mem" in server.received[1].body
    assert [row["n"] for each in server.received[3:] for row in each.body["cpu"]] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "answer",
    [problem(413, "too large"), problem(422, "one is wrong", ("/cpu/1/n", "not a number"))],
)
def test_a_refused_batch_that_cannot_be_read_is_set_aside_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    """Such as one in zstd, on a machine without that package; the others are sent."""
    spool = spool_in(tmp_path)
    for _ in range(3):
        spool.put(Payload.of("cpu", {"hostname": "h", "cpu": [{"n": n} for n in range(4)]}))
    spool.put(Payload.of("mem", {"hostname": "h", "mem": [{"n": 9}]}))
    with fake_server() as server:
        server.answers = [answer] * 3
        sender = Sender(spool, Endpoint(server.url))
        with monkeypatch.context() as patch:
            patch.setattr(encoding, "zstandard", None)
            sender.start()
            server.wait_for(4)
            sender.stop(time.monotonic() + 5)
    assert [list(each.body)[-1] for each in server.received] == ["cpu"] * 3 + ["mem"]
    assert (spool.rows, len(list(waiting(spool.refused)))) == (0, 3)
    assert caplog.text.count("zstandard is not installed") == 1


def test_a_split_that_is_made_twice_has_the_same_keys() -> None:
    """A kill between the split and the end of the original batch stores no row twice."""
    whole = Payload.of("cpu", {"hostname": "h", "cpu": [{"n": n} for n in range(5)]})
    assert whole.rest([1, 3]).key == whole.rest([3, 1]).key
    assert whole.rest([1]).key != whole.only([1]).key
