"""pprof profiles become samples, and what is no profile an error."""

from __future__ import annotations

import gzip
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.profiles.pprof import MAX_BYTES, read
from kscope.profiles.pprof_tables import PprofError
from kscope.profiles.sample import Amount
from tests.profiles.made import Making, cpu


def fault(content: bytes, most: int = MAX_BYTES) -> str:
    with pytest.raises(PprofError) as found:
        read(content, most)
    return str(found.value)


def stacks(made: Making) -> list[str]:
    return [";".join(sample.stack) for sample in read(made.content).samples]


def test_a_profile_is_read_whole() -> None:
    """Its types, times, period, labels and stacks, root first; compressed or not."""
    made = cpu({"main;work": 30_000_000}, pid=7, thread_id="9", comm="shop", endpoint="/cart")
    made.message.time_nanos, made.message.duration_nanos = 1795870000 * 10**9, 10**10
    made.message.default_sample_type = made.text("cpu")
    made.message.comment.append(made.text("of a test"))
    for content in (made.content, gzip.compress(made.content), gzip.compress(made.content) * 1):
        found = read(content)
        assert found.sample_types == (("cpu", "nanoseconds"),)
        assert (found.time_nanos, found.duration_nanos) == (1795870000 * 10**9, 10**10)
        assert (found.period_type, found.period) == (("cpu", "nanoseconds"), 10_000_000)
        assert (found.default_type, found.comments) == ("cpu", ("of a test",))
        (sample,) = found.samples
        assert sample.stack == ("main", "work")
        assert sample.amounts == (Amount("cpu", "nanoseconds", 30_000_000),)
        assert (sample.process, sample.pid, sample.tid) == ("shop", 7, 9)
        assert sample.labels["endpoint"] == "/cart"
        assert len(found.samples) == len([*found.samples]) == 1


def test_inlined_functions_are_frames() -> None:
    """The first line of a location is the innermost."""
    made = Making()
    made.types(("samples", "count"))
    made.sample([made.location("inlined", "outer"), made.location("main")], 1)
    assert stacks(made) == ["main;outer;inlined"]


def test_files_mark_frames() -> None:
    """The kernel's, a library's, and those without a name by address: as `nm` has it, or in the
    file if the program was moved.
    """
    made = Making()
    made.types(("samples", "count"))
    program = made.mapping("/usr/bin/shop", 0x400000, 0x500000)
    moved = made.mapping("/usr/lib/libc.so.6", 0x7F0000001000, 0x7F0000009000, 0x1000)
    kernel = made.mapping("[kernel.kallsyms]")
    made.sample(
        [
            made.location("vfs_read", mapping=kernel),
            made.location("read", mapping=moved),
            made.location(mapping=moved, address=0x7F0000002234),
            made.location("work;now", mapping=program),
            made.location(mapping=program, address=0x401000),
            made.location(address=0xABC),
            made.location(),
        ],
        1,
    )
    (stack,) = stacks(made)
    assert stack.split(";") == [
        "[unknown]",
        "0xabc",
        "shop+0x401000",
        "work:now",
        "libc.so.6+0x2234",
        "read [libc.so.6]",
        "vfs_read_[k]",
    ]


def test_every_value_has_its_type() -> None:
    """A value below zero, as in a difference, stays one."""
    made = Making()
    made.types(("alloc_objects", "count"), ("alloc_space", "bytes"))
    made.sample([made.location("main")], -3, 4096)
    (sample,) = read(made.content).samples
    assert [(each.kind, each.unit, each.value) for each in sample.amounts] == [
        ("alloc_objects", "count", -3),
        ("alloc_space", "bytes", 4096),
    ]


def test_a_fault_is_named() -> None:
    """With its place, for each way in which a profile can be wrong."""
    good = cpu({"main;work": 1})
    assert fault(b"") == "is empty"
    assert "not a pprof profile: at byte" in fault(b"main;work 12\n")
    assert "no sample types" in fault(good.message.__class__(period=3).SerializeToString())
    assert "cut off" in fault(gzip.compress(good.content)[:-9])
    assert "not gzip" in fault(gzip.compress(good.content)[:4] + bytes(60))
    assert "a number has no end" in fault(good.content[:-3])
    assert "bytes are announced" in fault(good.content[:-12])

    wrong = cpu({"main": 1})
    wrong.message.sample[0].location_id[0] = 77
    assert fault(wrong.content) == "has a sample at location 77, which is missing"
    wrong = cpu({"main": 1})
    wrong.message.location[0].line[0].function_id = 78
    assert "line of function 78, which is missing" in fault(wrong.content)
    wrong = cpu({"main": 1})
    wrong.message.location[0].mapping_id = 79
    assert "in mapping 79, which is missing" in fault(wrong.content)
    wrong = cpu({"main": 1})
    wrong.message.function[0].name = 80
    assert "names string 80, and has" in fault(wrong.content)
    wrong = cpu({"main": 1})
    wrong.message.sample[0].value.append(5)
    assert fault(wrong.content) == "has a sample with 2 values for 1 sample types"
    wrong = cpu({"main;work": 1})
    wrong.message.location[1].id = wrong.message.location[0].id
    assert "two locations with id 1" in fault(wrong.content)
    wrong = cpu({"main": 1})
    wrong.message.string_table[0] = "x"
    assert "does not begin with an empty one" in fault(wrong.content)


def test_a_bomb_uses_little_memory() -> None:
    """Of compression, of stacks that repeat one location, of tables, of a location's lines."""
    many = Making()
    many.types(("samples", "count"))
    wide = many.location(*("f" * 4000 for _ in range(900)))
    for _ in range(2500):
        many.sample([wide] * 20, 1)
    lines = Making()
    lines.types(("samples", "count"))
    lines.location(*("f" for _ in range(2000)))
    empty_texts = cpu({"main": 1}).content + b"\x32\x00" * 600_000
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    tracemalloc.start()
    try:
        assert "larger than" in fault(bomb, most=2**20)
        assert "frames in all its stacks" in fault(many.content)
        assert "more than 1000 lines" in fault(lines.content)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert "more than 500000 strings" in fault(empty_texts)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_only_our_error_comes_out(data: st.DataObject) -> None:
    """If any bytes of a profile are changed, added or missing."""
    content = bytearray(cpu({"main;work": 30, "main;wait": 2}, pid=7).content)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content)))
        gone = data.draw(st.integers(0, 4))
        content[at : at + gone] = data.draw(st.binary(max_size=6))
    with suppress(PprofError):
        assert sum(1 for _ in read(bytes(content)).samples) < 100


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Also if they look compressed."""
    for each in (content, b"\x1f\x8b" + content, gzip.compress(content)):
        with suppress(PprofError):
            read(each)
