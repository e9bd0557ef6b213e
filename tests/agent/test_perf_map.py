"""Names of compiled code: the latest wins, a file that is written again is read again, and no file
takes much memory or time.
"""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.agent.stacks import perf_map
from kscope.agent.stacks.code_names import CodeNames
from kscope.agent.stacks.perf_map import Budget, PerfMap

MUCH = 1 << 30
PIECES = st.tuples(st.integers(0, 30), st.integers(1, 12))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "perf-1.map"
    file.write_bytes(b"")
    yield file
    file.unlink()


def map_of(file: Path, budget: Budget | None = None) -> PerfMap:
    """The map that this process could have written there."""
    return PerfMap(os.getpid(), budget or Budget(MUCH), lambda _: [file])


def read(file: Path, text: str) -> PerfMap:
    file.write_text(text)
    found = map_of(file)
    found.read()
    return found


@given(st.lists(st.lists(PIECES, max_size=12), max_size=4))
def test_each_piece_is_there_until_a_later_one_overlaps_it(batches: list) -> None:
    names, expected, turn = CodeNames(), {}, 0
    for batch in batches:
        added = []
        for start, size in batch:
            turn += 1
            end, name = start + size, b"%d" % turn
            added.append((start, end, name))
            expected = {
                piece: name
                for piece, name in expected.items()
                if piece[1] <= start or piece[0] >= end
            } | {(start, end): name}
        names.add(added)
        for address in range(45):
            here = [name for (start, end), name in expected.items() if start <= address < end]
            assert [names.name(address)] == (here or [b""])
        assert len(names) == len(expected)


def test_code_that_was_written_later_has_its_name(file: Path) -> None:
    found = read(file, "1010 20 old\n0x2000 0x10  Some name \n1000 100 newer\n2 zz bad\n3 1\n")
    assert [found.name(at) for at in (0x1018, 0x10FF, 0x1100)] == ["newer", "newer", ""]
    assert found.name(0x2000) == "Some name"
    with file.open("a") as opened:
        opened.write("1080 10 new")
    found.read()
    assert found.name(0x1085) == "newer"  # until the line is whole
    with file.open("a") as opened:
        opened.write("est\n")
    found.read()
    assert found.name(0x1085) == "newest"


def test_a_file_that_is_written_again_and_longer_is_read_from_its_start(file: Path) -> None:
    found = read(file, "1000 10 before\n2000 10 gone\n")
    inode = file.stat().st_ino
    file.write_text("1000 10 after\n3000 10 another\n4000 10 third\n")
    assert file.stat().st_ino == inode
    found.read()
    assert [found.name(at) for at in (0x1000, 0x2000, 0x3000)] == ["after", "", "another"]
    file.write_text("5000 10 short\n")
    found.read()
    assert [found.name(at) for at in (0x1000, 0x5000)] == ["", "short"]


def test_the_oldest_names_go_first(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perf_map, "_MOST_NAMES", 100)
    lines = [f"{1000 - each:x}0 10 f{each}\n" for each in range(200)]
    found = read(file, "".join(lines))
    assert found.name((1000 - 199) << 4) == "f199"
    assert found.name((1000 - 130) << 4) == "f130"
    assert found.name(1000 << 4) == ""


def test_processes_share_the_memory_for_names(file: Path, tmp_path: Path) -> None:
    budget = Budget(20_000)
    file.write_text("".join(f"{each}0 10 {'n' * 36}{each}\n" for each in range(100, 300)))
    other = tmp_path / "other"
    other.write_text(f"10 8 {'o' * 900}\n20 8 {'p' * 900}\n30 8 {'q' * 900}\n")
    greedy, second = map_of(file, budget), map_of(other, budget)
    greedy.read()
    assert greedy.name(0x2990).endswith("299")
    assert greedy.name(0x1000) == ""
    second.read()
    assert (second.name(0x20), second.name(0x30)) == ("", "q" * 900)
    second.close()
    greedy.close()
    assert second.name(0x30) == ""
    assert budget.change(0, 30_000) == 20_000


def test_much_is_read_in_parts_and_in_little_memory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of many short lines, or of one that never ends; names behind them are found."""
    monkeypatch.setattr(perf_map, "_AT_ONCE", 1 << 20)
    monkeypatch.setattr(perf_map, "_PIECE", 1 << 18)
    file.write_bytes(b"1\n" * (1 << 20) + b"a" * (1 << 20) + b"\n1000 10 last\n")
    found = map_of(file)
    tracemalloc.start()
    for _ in range(3):
        found.read()
        assert found.name(0x1000) == ""
    found.read()
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert found.name(0x1000) == "last"


def test_of_a_very_large_file_the_end_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest code is there. The first line is without its first digits, so it is no line."""
    monkeypatch.setattr(perf_map, "_MOST_BYTES", 30)
    found = read(file, "9000 10 first\n" * 5 + "9999 10 second\n1000 10 third\n")
    assert (found.name(0x999), found.name(0x9000), found.name(0x1000)) == ("", "", "third")


def test_a_disk_that_fails_leaves_what_was_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    found = read(file, "1000 10 known\n")
    with file.open("a") as opened:
        opened.write("2000 10 more\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", fails)
        found.read()
    assert found.name(0x1000) == "known"
    found.read()
    assert found.name(0x2000) == "more"
