"""Profiles in pprof's format, of one side and of two, as pprof and other readers of it see them."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from kscope.declare.files.catalog import load_catalog
from tests.query.pprof_program import pprof
from tests.query.profile_proto import profile
from tests.query.world import NOON

if TYPE_CHECKING:
    from pathlib import Path

    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}
# Stack -> microseconds and events.
WAITS = {
    "a;b;main": (11, 1),
    "mysqld;main;do_command;futex_wait_[k]": (12000, 3),
    "mysqld;main;do_command;io_schedule_[k]": (3000, 3),
    "nginx": (20, 1),
    "nginx;main;epoll_wait_[k]": (1000, 10),
}
SIDES = {"hostname": "web-002", "base.hostname": "web-001", "by": "process"}


def exported(client: World, question: str = "flamegraph/offcputime", **query: str) -> bytes:
    answer = client.get(f"/api/v1/{question}", params=DAY | query | {"format": "pprof"})
    assert answer.status_code == 200, answer.text
    return answer.content


def read(content: bytes) -> Any:
    """Return the messages; each byte belongs to a field that pprof knows."""
    found = profile()
    raw = gzip.decompress(content)
    found.ParseFromString(raw)
    assert len(found.SerializeToString()) == len(raw), "there is a field that pprof does not know"
    return found


def stacks(found: Any) -> dict[str, tuple[int, ...]]:
    """Return the values of each stack, root first, checking the tables as Parca does."""
    text = found.string_table
    assert text[0] == ""
    assert [each.id for each in found.function] == [*range(1, len(found.function) + 1)]
    assert [each.id for each in found.location] == [*range(1, len(found.location) + 1)]
    functions = {each.id: text[each.name] for each in found.function}
    locations = {each.id: functions[each.line[0].function_id] for each in found.location}
    assert all(functions.values())
    summed: dict[str, tuple[int, ...]] = {}
    for each in found.sample:
        assert len(each.value) == len(found.sample_type)
        assert any(each.value)
        assert each.location_id
        stack = ";".join(locations[i] for i in reversed(each.location_id))
        before = summed.get(stack, (0,) * len(each.value))
        summed[stack] = tuple(map(sum, zip(before, each.value, strict=True)))
    return summed


def kinds(found: Any) -> list[tuple[str, str]]:
    text = found.string_table
    return [(text[each.type], text[each.unit]) for each in (*found.sample_type, found.period_type)]


def test_a_profile_has_times_in_nanoseconds_and_events(client: World) -> None:
    """Each stack, leaf first; the value is the default type, and no frame is dropped."""
    found = read(exported(client))
    assert stacks(found) == {stack: (us * 1000, n) for stack, (us, n) in WAITS.items()}
    elapsed, count = ("elapsed", "nanoseconds"), ("count", "count")
    assert kinds(found) == [elapsed, count, count]
    assert found.period == 1
    assert found.string_table[found.default_sample_type] == "elapsed"
    assert (found.time_nanos, found.duration_nanos) == (NOON * 1000, 86400 * 10**9)
    assert (found.drop_frames, found.keep_frames) == (0, 0)


def test_a_value_of_its_own_is_the_only_type(client: World) -> None:
    """Events, or rows: with a period of one of them."""
    found = read(exported(client, value="count"))
    assert kinds(found) == [("count", "count")] * 2
    assert stacks(found) == {stack: (n,) for stack, (_, n) in WAITS.items()}
    assert kinds(read(exported(client, value="rows"))) == [("rows", "count")] * 2
    nothing = read(exported(client, process="nobody"))
    assert (len(nothing.sample), kinds(nothing)[0]) == (0, ("elapsed", "nanoseconds"))


def test_samples_of_a_clock_have_its_period(world: World) -> None:
    """10,101 microseconds for each sample of a profile at 99 Hz; stacks of nothing are left out."""
    world.adopt(load_catalog(["builtin"]))
    row = {"time": NOON, "hostname": "h", "process": "a", "pid": 1}
    world.insert(
        "profile",
        [
            row | {"stack": stack, "elapsed": 10_101 * samples, "samples": samples}
            for stack, samples in (("main;work", 3), ("main;;wait", 1), ("main;none", 0))
        ],
    )
    found = read(exported(world, "flamegraph/profile"))
    cpu, samples = ("elapsed", "nanoseconds"), ("samples", "count")
    assert kinds(found) == [cpu, samples, cpu]
    assert found.period == 10_101_000
    assert stacks(found) == {
        "a;main;work": (30_303_000, 3),
        "a;main;[unknown];wait": (10_101_000, 1),
    }


def test_a_comparison_is_signed(client: World) -> None:
    """As `pprof -diff_base` makes one: the base's samples are negative and marked."""
    found = read(exported(client, "compare/offcputime", **SIDES))
    assert stacks(found) == {
        "a;b;main": (11_000,),
        "mysqld;main;do_command;futex_wait_[k]": (2_000_000,),
        "mysqld;main;do_command;io_schedule_[k]": (-3_000_000,),
        "nginx": (20_000,),
        "nginx;main;epoll_wait_[k]": (-1_000_000,),
    }
    text = found.string_table
    marks = Counter(
        (each.value[0] < 0, *[(text[label.key], text[label.str]) for label in each.label])
        for each in found.sample
    )
    assert marks == {(True, ("pprof::base", "true")): 3, (False,): 3}
    comments = [text[each] for each in found.comment]
    assert comments[1:] == ["total: 7.03 ms", "total of the base: 9 ms"]
    assert kinds(found) == [("elapsed", "nanoseconds")] * 2


def test_shares_are_compared_with_a_scaled_base(client: World) -> None:
    """Both sides have the side's total then, to the rounding of each stack."""
    found = read(exported(client, "compare/offcputime", **SIDES, normalised="true"))
    totals = [
        sum(each.value[0] for each in found.sample if (each.value[0] < 0) is base)
        for base in (False, True)
    ]
    assert totals[0] == 7_031_000
    assert -totals[1] == pytest.approx(7_031_000, abs=3)
    assert any("the base is multiplied by 0.781" in text for text in found.string_table)


def test_the_program_pprof_opens_the_profile(client: World, tmp_path: Path) -> None:
    """As `go tool pprof` does: the same stacks, leaf first, their unit, the range and the total."""
    file = tmp_path / "offcputime.pb.gz"
    file.write_bytes(exported(client))
    head, *traces = re.split(r"^-+\+-+$", pprof(file, "-traces", "-unit=us"), flags=re.MULTILINE)
    assert "Type: elapsed\nTime: Nov 23, 2026 at 12:00am (UTC)\nDuration: 24hrs" in head
    assert "Total samples = 16031us" in head
    found = {}
    for value, *frames in (trace.split() for trace in traces if trace.strip()):
        found[";".join(reversed(frames))] = int(value.removesuffix("us"))
    assert found == {stack: us for stack, (us, _) in WAITS.items()}
    events = pprof(file, "-top", "-sample_index=count")
    assert re.search(r"10 +55.56%.* epoll_wait_\[k\]", events), events


def test_the_program_pprof_opens_a_comparison(client: World, tmp_path: Path) -> None:
    """It shows signed differences, as parts of the base's total, and the comments."""
    file = tmp_path / "compared.pb.gz"
    file.write_bytes(exported(client, "compare/offcputime", **SIDES))
    told = pprof(file, "-top", "-unit=us", "-nodefraction=0")
    assert re.search(r"-3000us 33.33%.* io_schedule_\[k\]", told), told
    assert re.search(r"2000us 22.22%.* futex_wait_\[k\]", told), told
    assert "total of the base: 9 ms" in pprof(file, "-comments")
    # Two profiles that pprof subtracts itself tell the same.
    sides = []
    for host in ("web-002", "web-001"):
        sides.append(tmp_path / host)
        sides[-1].write_bytes(exported(client, hostname=host))
    own = pprof(sides[0], f"-diff_base={sides[1]}", "-top", "-unit=us", "-nodefraction=0")
    lines = [sorted(re.findall(r"^ +-?\d.*", each, flags=re.MULTILINE)) for each in (told, own)]
    assert lines[0] == lines[1]
