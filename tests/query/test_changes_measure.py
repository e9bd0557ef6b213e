"""The measure of changes, by its public face: readings in, ranked findings out."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from math import inf, nan

from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.query.changes.measure import changes
from kscope.query.changes.reading import MOST_CELLS, Cell, Host, Reading

WINDOWS, SLICES = 24, 6
HOSTS = ("db-1", "db-2", "web-1")
PROCESSES = ("mysqld", "backup", "sshd", "agent")
END = ("do_syscall", "schedule")


def cell(host: str, process: str, path: tuple[str, ...], values: list[float]) -> Cell:
    """Make a cell of 24 windows and six slices."""
    now = tuple(values[WINDOWS:])
    return Cell(host, process, path, sum(now), tuple(values[:WINDOWS]), now)


def noisy(chance: random.Random, base: float, load: float = 1.0) -> list[float]:
    earlier = [base * chance.lognormvariate(0, 0.1) for _ in range(WINDOWS)]
    return [
        *earlier,
        *(base / SLICES * load * chance.lognormvariate(0, 0.1) for _ in range(SLICES)),
    ]


def only_now(amount: float, slices: int = SLICES) -> list[float]:
    return [0.0] * (WINDOWS + SLICES - slices) + [amount / slices] * slices


def fleet(load: dict[str, float] | None = None) -> list[Cell]:
    """Three hosts whose processes wait in eight functions each, and in an idle pool."""
    chance = random.Random(7)
    cells = []
    for host in HOSTS:
        for process in PROCESSES:
            idle = [1000.0] * WINDOWS + [1000.0 / SLICES] * SLICES
            cells.append(cell(host, process, ("main", "pool_wait", *END), idle))
            for number in range(8):
                path = ("main", f"{process}_{number}", *END)
                values = noisy(chance, 20 / (number + 1), (load or {}).get(host, 1.0))
                cells.append(cell(host, process, path, values))
    return cells


def stacks(cells: list[Cell]) -> Reading:
    return Reading("offcputime", "stack", "stack", cells)


def test_a_quiet_window_has_no_unusual_line() -> None:
    """Noise alone is no news."""
    assert [each for each in changes([stacks(fleet())]) if each.unusual] == []


def test_the_planted_cause_is_the_first_line_at_its_deepest_frame() -> None:
    """The line names host, process and frame, with the numbers before and now."""
    path = ("main", "commit", "do_fsync", "jbd2_log_wait_commit", *END)
    found = changes([stacks([*fleet(), cell("db-2", "mysqld", path, only_now(60))])])
    first = found[0]
    assert (first.hosts, first.process, first.name) == (("db-2",), "mysqld", "jbd2_log_wait_commit")
    assert (first.unusual, first.change, first.before, first.lasting) == (True, "new", 0.0, 1.0)
    assert first.now == sum(only_now(60))
    assert [each.unusual for each in found[1:]] == [False] * (len(found) - 1)


def test_more_load_is_one_line_and_not_one_of_each_function() -> None:
    """Twice as much of everything on two hosts is one line, with its factor."""
    found = changes([stacks(fleet({"db-1": 2.0, "db-2": 2.0}))])
    unusual = [each for each in found if each.unusual]
    assert [(each.kind, each.hosts) for each in unusual] == [("load", ("db-1", "db-2"))]
    assert 1.8 < (unusual[0].factor or 0) < 2.2


def test_a_change_under_more_load_is_still_found() -> None:
    """Load is taken out of each process before its functions are compared."""
    new = cell("db-2", "mysqld", ("main", "lock_wait", *END), only_now(80))
    found = changes([stacks([*fleet({"db-2": 1.5}), new])])
    assert found[0].hosts == ("db-2",)
    assert "lock_wait" in {found[0].name, *(each.name for each in found[0].evidence)}


def test_a_silent_host_is_one_line() -> None:
    """The agent's last report counts; what the host no longer sends is not told again."""
    cells = [
        replace(each, now=0.0, slices=(0.0,) * SLICES) if each.host == "db-1" else each
        for each in fleet()
    ]
    for facts in ([Host("db-1", heard=0.0, until=0.0)], []):
        unusual = [each for each in changes([stacks(cells)], facts) if each.unusual]
        assert [(each.kind, each.hosts, each.now) for each in unusual] == [
            ("silent", ("db-1",), 0.0)
        ]


def test_a_host_that_was_silent_before_is_no_news() -> None:
    """It is listed, but not as unusual."""
    cells = [
        replace(each, now=0.0, earlier=(*each.earlier[:20], 0, 0, 0, 0), slices=(0.0,) * SLICES)
        if each.host == "db-1"
        else each
        for each in fleet()
    ]
    found = changes([stacks(cells)])
    assert [(each.kind, each.note, each.unusual) for each in found if each.hosts == ("db-1",)] == [
        ("silent", "so before", False)
    ]


def test_the_same_change_on_several_hosts_is_one_line() -> None:
    """Its numbers are those of all hosts together."""
    path = ("main", "regex", "match")
    more = [cell(host, "mysqld", path, only_now(50)) for host in HOSTS]
    first = changes([stacks([*fleet(), *more])])[0]
    assert (first.hosts, first.name) == (HOSTS, "match")
    assert round(first.now) == 150


def test_other_signs_of_an_event_are_its_evidence() -> None:
    """Stack and histogram of one stall make one line."""
    path = ("main", "commit", "do_fsync", *END)
    disk = [
        cell("db-2", device, tuple(f">= {1 << at} us" for at in range(slot + 1)), values)
        for device in ("vda", "vdb")
        for slot in range(3, 9)
        if (values := noisy(random.Random(slot), 5.0))
    ]
    slow = tuple(f">= {1 << at} us" for at in range(20))
    disk.append(cell("db-2", "vda", slow, only_now(40)))
    found = changes(
        [
            stacks([*fleet(), cell("db-2", "mysqld", path, only_now(60))]),
            Reading("biolatency", "latency", "lengths", disk, by="device"),
        ]
    )
    unusual = [each for each in found if each.unusual]
    assert len(unusual) == 1
    tables = {unusual[0].table, *(each.table for each in unusual[0].evidence)}
    assert tables == {"offcputime", "biolatency"}


def test_a_burst_is_told_from_what_lasts() -> None:
    """Two of six slices are a third of the window."""
    path = ("main", "commit", "do_fsync", *END)
    found = changes([stacks([*fleet(), cell("db-2", "mysqld", path, only_now(60, slices=2))])])
    assert (found[0].name, round(found[0].lasting, 2)) == ("do_fsync", 0.33)


def test_a_new_name_for_the_same_work_is_no_news() -> None:
    """A release that renames a function says so below the unusual lines."""
    cells = []
    for each in fleet():
        if "mysqld_0" in each.path:
            path = tuple(f"{name}_v2" if name == "mysqld_0" else name for name in each.path)
            cells.append(replace(each, path=path, earlier=(0.0,) * WINDOWS))
            each = replace(each, now=0.0, slices=(0.0,) * SLICES)  # noqa: PLW2901
        cells.append(each)
    found = changes([stacks(cells)])
    assert [each for each in found if each.unusual] == []
    assert {each.note for each in found if each.name in {"mysqld_0", "mysqld_0_v2"}} == {
        "was mysqld_0",
        "is now mysqld_0_v2",
    }


def test_nothing_to_compare_with_is_no_finding() -> None:
    """Neither without readings, nor without earlier windows."""
    alone = [replace(each, earlier=()) for each in fleet()]
    assert changes([]) == []
    assert changes([stacks([])]) == []
    assert changes([stacks(alone)]) == []


_NUMBERS = st.sampled_from([0.0, 0.0, 1.0, 1.5, 100.0, -3.0, 1e-300, 1e12, 1e300, inf, nan])
_NAMES = st.sampled_from(["", "a", "b", "c"])
_CELLS = st.builds(
    Cell,
    _NAMES,
    _NAMES,
    st.lists(_NAMES, max_size=3).map(tuple),
    _NUMBERS,
    st.lists(_NUMBERS, max_size=8).map(tuple),
    st.lists(_NUMBERS, max_size=4).map(tuple),
)
_READINGS = st.builds(
    Reading,
    st.sampled_from(["t", "u"]),
    st.just("x"),
    st.sampled_from(["stack", "lengths", "label", "total"]),
    st.lists(_CELLS, max_size=8),
    st.sampled_from(["process", "device"]),
    st.sampled_from([0.0, 1.0, 1e-300, 1e12]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_READINGS, max_size=3), st.floats(0, 1))
def test_any_numbers_have_an_answer(given_readings: list[Reading], heard: float) -> None:
    """Zeros, one host, one cell, huge and impossible numbers: findings are in order, or none."""
    found = changes(given_readings, [Host("a", heard), Host("z")])
    assert [each.unusual for each in found] == sorted((e.unusual for e in found), reverse=True)
    for one, next_one in pairwise(each for each in found if each.unusual):
        assert one.rank >= next_one.rank


def test_too_many_cells_are_cut_before_the_work() -> None:
    """Of a flood the cells that differ most are judged."""
    flood = [
        Cell("h", f"p{at % 50}", (f"f{at}",), 1.0, (1.0,) * WINDOWS) for at in range(MOST_CELLS * 3)
    ]
    path = ("main", "commit", "do_fsync", *END)
    planted = cell("h", "mysqld", path, only_now(1e6))
    assert changes([stacks([*flood, planted])])[0].process == "mysqld"


def test_the_smallest_thing_with_the_change_is_named() -> None:
    """One slow disk is named by the disk, not by the writes of all disks."""
    chance = random.Random(5)
    disks = {name: noisy(chance, 60.0) for name in ("vda", "vdb", "vdc")}
    disks["vdb"][WINDOWS:] = [each * 30 for each in disks["vdb"][WINDOWS:]]
    writes = [sum(each) for each in zip(*disks.values(), strict=True)]
    cells = {
        "class": [cell("db-1", "", ("write",), writes)],
        "device": [cell("db-1", "", (name,), values) for name, values in disks.items()],
    }
    readings = [Reading("biolatency", by, "label", found) for by, found in cells.items()]
    for order in (readings, readings[::-1]):
        unusual = [each for each in changes(order) if each.unusual]
        assert [(each.column, each.name) for each in unusual] == [("device", "vdb")]
        assert [each.name for each in unusual[0].evidence] == ["write"]


def test_a_process_that_is_gone_is_told_whatever_its_load() -> None:
    """A process without idle threads has no load left: that is no reason for silence."""
    cells = [
        replace(each, now=0.0, slices=(0.0,) * SLICES) if each.process == "backup" else each
        for each in fleet()
        if each.host == "db-2" and (each.process != "backup" or "pool_wait" not in each.path)
    ]
    unusual = [each for each in changes([stacks(cells)]) if each.unusual]
    assert [(each.process, each.name, each.change) for each in unusual] == [
        ("backup", None, "gone")
    ]


def test_a_disk_that_does_as_much_more_as_its_host_is_no_news() -> None:
    """The line of the load speaks for requests that grow with it."""
    requests = [cell("db-2", "vda", (), noisy(random.Random(3), 60.0, 3.0))]
    disk = Reading("biosnoop", "", "total", requests, by="device")
    unusual = [each for each in changes([stacks(fleet({"db-2": 3.0})), disk]) if each.unusual]
    assert [(each.kind, each.hosts) for each in unusual] == [("load", ("db-2",))]
    alone = [each for each in changes([stacks(fleet()), disk]) if each.unusual]
    assert [(each.table, each.process) for each in alone] == [("biosnoop", "vda")]


def test_a_new_value_beside_few_others_is_no_new_name() -> None:
    """A flood from one address is no other name of an address that was heard once a window."""
    rare = [1.0] * WINDOWS + [0.0] * SLICES
    remotes = [
        cell("web-1", "nginx", ("10.0.0.1",), rare),
        cell("web-1", "nginx", ("10.0.0.9",), only_now(300)),
    ]
    found = changes([Reading("tcpretrans", "remote_address", "label", remotes, quantum=1.0)])
    assert [(each.name, each.note) for each in found if each.unusual] == [("10.0.0.9", "")]
