"""Bodies take turns, invalid rows have a separate lane, and pieces of bodies are small."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import threading
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from kscope.server.http.memory_budget import Budget
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.decompress import decompressor
from kscope.server.ingest.fair_queue import FairQueue, Lane
from kscope.server.ingest.json_pieces import NotJsonError, TooLargeError, exact_end, guessed_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from kscope.server.ingest.fair_queue import Steps


def steps(count: int, done: list[str], name: str) -> Steps[str]:
    for _ in range(count):
        yield Lane.GOOD
        done.append(name)
    return name


def test_a_long_body_does_not_keep_a_short_one_waiting() -> None:
    """Bodies take turns of a few steps each, in whatever order they come."""
    done: list[str] = []

    async def run() -> None:
        lanes = FairQueue()
        long = asyncio.create_task(lanes.run(steps(100_000, done, "long")))
        await asyncio.sleep(0)
        await lanes.run(steps(1, done, "first"))
        before = len(done)
        assert await lanes.run(steps(10, done, "short")) == "short"
        assert len(done) - before < 1000
        assert await long == "long"

    asyncio.run(run())


def test_bodies_with_faults_do_not_keep_others_waiting() -> None:
    """However many are examined, rows without faults are read in the meantime."""
    ready = threading.Event()

    def doubtful() -> Steps[str]:
        yield Lane.DOUBT
        ready.wait(60)
        return "doubtful"

    async def run() -> None:
        lanes = FairQueue()
        waiting = [asyncio.create_task(lanes.run(doubtful())) for _ in range(100)]
        await asyncio.sleep(0)
        for _ in range(100):
            assert await lanes.run(steps(10, [], "good")) == "good"
        assert not any(task.done() for task in waiting)
        ready.set()
        assert await asyncio.gather(*waiting) == ["doubtful"] * 100

    asyncio.run(run())


def test_a_small_body_without_faults_needs_no_thread() -> None:
    """It is read at once; only its faults are left to a thread."""
    threads: list[str] = []

    def small() -> Steps[None]:
        yield Lane.GOOD
        threads.append(threading.current_thread().name)
        yield Lane.DOUBT
        threads.append(threading.current_thread().name)

    asyncio.run(FairQueue().run(small(), small=True))
    assert threads[0] == "MainThread"
    assert threads[1].startswith("doubt")


def test_large_bodies_leave_room_for_small_ones() -> None:
    """A few senders of large or slow bodies do not keep agents out."""
    budget = Budget(64_000)
    with budget.share() as large, budget.share() as other, budget.share() as small:
        large.take(40_000)
        with pytest.raises(HttpProblem) as refused:
            other.take(10_000)
        assert refused.value.status == 503
        small.take(1000)
        large.give(30_000)
        other.take(10_000)
    with budget.share() as too_large, pytest.raises(HttpProblem) as refused:
        too_large.take(60_000)
    assert refused.value.status == 413


elements = st.one_of(
    st.text(alphabet='x"\\[]{},: \u20ac', max_size=30),
    st.dictionaries(st.sampled_from("ab"), st.text(alphabet='"\\[]{},', max_size=9), max_size=2),
    st.integers(-3, 300),
    st.lists(st.integers(0, 300), max_size=3),
)


@given(
    st.lists(elements, min_size=1, max_size=40),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
)
def test_a_guess_is_right_or_leaves_what_is_no_json(
    values: list[object], separators: tuple[str, str]
) -> None:
    """So that a piece that can be read is a piece of the array; an exact end always is one."""
    text = json.dumps(values, separators=separators).encode()
    at = exact_end(text, 1)
    assert json.loads(text[:at] + b"]") == values
    for closing in (b"}", b'"', b"]", b""):
        end = guessed_end(text, 1, closing)
        if end is not None:
            try:
                found = json.loads(b"[" + text[1:end] + b"]")
            except json.JSONDecodeError:
                continue
            assert found == values[: len(found)]
            assert text[end:].lstrip()[:1] in (b",", b"]")


@pytest.mark.parametrize(
    ("text", "closing"),
    [
        (b'{"a":1},' * 300_000, b"}"),
        (b'"a",' * 600_000, b'"'),
        (b'{"a":"},{"},' * 200_000, b"}"),
        (b"[1,2]," * 200_000, b""),
        (b"12345," * 200_000, b""),
        (b'"a\\\\"]",' * 200_000, b""),
    ],
)
def test_no_piece_is_large(text: bytes, closing: bytes) -> None:
    """One call decodes a bounded part, for every length of the array."""
    end = guessed_end(text, 0, closing)
    assert end is not None
    assert 128 * 1024 < end <= 256 * 1024
    assert 0 < exact_end(text, 0) <= 33 * 1024


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 10_000_000,
        b'{"a":' * 2_000_000,
        b"[" + b"[]," * 3_000_000,
        b'"' + b"x" * 10_000_000,
        b"1" * 10_000_000,
        b'{"' + b"k" * 10_000_000,
        b"[1" + b",1" * 3_000_000 + b"]",
    ],
    ids=["deep", "deep objects", "many", "text", "number", "name", "numbers"],
)
def test_an_element_has_a_bound(text: bytes) -> None:
    """No row needs a MiB, thousands of values or many levels: it is not looked at to its end."""
    with pytest.raises((TooLargeError, NotJsonError)):
        exact_end(text, 0)


def unfolded(encoding: str, body: bytes, limit: int = 1 << 24) -> tuple[bytes, int]:
    """Return the text, and how many steps it took."""
    decompress = decompressor(encoding)
    assert decompress is not None
    work = decompress(body, limit, lambda _: None)
    count = 0
    while True:
        try:
            next(work)
            count += 1
        except StopIteration as end:
            return bytes(end.value), count


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_what_is_unfolded_in_steps_is_whole(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    """Nothing is lost between them, in one frame or several, of noise or of blanks."""
    noise = random.Random(7).randbytes(3_000_000)
    text = noise + b" " * 3_000_000 + noise[:100_000]
    for body in (compress(text), compress(text[:5]) + compress(b"") * 50 + compress(text[5:])):
        found, count = unfolded(encoding, body)
        assert found == text
        assert count > 4


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(b"") * 1_000_000, 400),
        ("gzip", gzip.compress(b" " * (1 << 26)), 413),
        ("gzip", gzip.compress(b"")[:10] + b"\0\0\0\xff\xff" * 1_000_000, 400),
        ("zstd", zstandard.compress(b" " * (1 << 26)), 413),
        ("zstd", zstandard.compress(b"a") * 1_000_000, 400),
        ("zstd", zstandard.compress(b"") * 1_000_000, 400),
        ("zstd", b"\x50\x2a\x4d\x18\0\0\0\0" * 1_000_000, 400),
        ("zstd", zstandard.compress(b"a" * 9_999)[:-1], 400),
        ("zstd", b"x" * 1_000_000, 400),
    ],
)
def test_a_bomb_is_refused_in_small_steps(encoding: str, body: bytes, status: int) -> None:
    """Every kind of body is cut: large pieces, a million members, an empty one."""
    with pytest.raises(HttpProblem) as refused:
        unfolded(encoding, body)
    assert refused.value.status == status


@pytest.mark.parametrize(
    "body",
    [
        zstandard.compress(b"") * 10_000,
        b"\x50\x2a\x4d\x18\0\0\0\0" * 10_000,
        b"\x28\xb5\x2f\xfd\0\x58" + b"\0\0\0" * 4_000_000 + b"\1\0\0",
    ],
    ids=["frames", "skippable frames", "blocks"],
)
def test_a_body_of_nothing_is_read_in_steps(body: bytes) -> None:
    """Others have their turns in between."""
    text, count = unfolded("zstd", body)
    assert not text
    assert count > 5
