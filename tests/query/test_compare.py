"""Two sides in one tree, and each host against the fleet."""

from __future__ import annotations

from math import log2, sqrt
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.query.answers.divergence import divergence_terms, median_profile
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from tests.query.world import World

SIX_SECONDS = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-23T00:00:06Z"}


def compare(client: World, **parameters: str) -> dict[str, Any]:
    response = client.get("/api/v1/compare/offcputime", params=SIX_SECONDS | parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def nodes(answer: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Path -> value, base value, delta."""
    found: dict[str, tuple[Any, ...]] = {}
    path: list[str] = []
    columns = ("name", "level", "value", "base_value", "delta")
    for name, level, *numbers in zip(*(answer[key] for key in columns), strict=True):
        path[level:] = [answer["names"][name]]
        found[";".join(path)] = tuple(numbers)
    return found


def named(answer: dict[str, Any], key: str) -> list[str]:
    return [list(nodes(answer))[node] for node in answer[key]]


def test_two_hosts_are_one_tree_with_both_values(engine_world: World) -> None:
    """A stack of one side is named at its lowest frame; a base filter replaces the side's."""
    engine_world.insert("offcputime", waits())
    sides = {"hostname": "web-002", "base.hostname": "web-001"}
    answer = compare(engine_world, by="", **sides, **{"base.from": SIX_SECONDS["from"]})
    assert nodes(answer) == {
        "all": (7031, 9000, -1969),
        "all;main": (7011, 9000, -1989),
        "all;main;do_command": (7000, 8000, -1000),
        "all;main;do_command;futex_wait_[k]": (7000, 5000, 2000),
        "all;main;do_command;io_schedule_[k]": (0, 3000, -3000),
        "all;main;epoll_wait_[k]": (0, 1000, -1000),
    }
    assert named(answer, "appeared") == []
    assert named(answer, "vanished") == [
        "all;main;do_command;io_schedule_[k]",
        "all;main;epoll_wait_[k]",
    ]
    assert (answer["rows"], answer["base_rows"]) == (3, 3)


def test_a_comparison_counts_the_events_of_both_sides(client: World) -> None:
    """Each side has the counts of the flame graph of that side alone, at the same nodes."""
    sides = {"hostname": "web-002", "base.hostname": "web-001"}
    answer = compare(client, by="", **sides, **{"base.from": SIX_SECONDS["from"]})
    for key, host in (("count", "web-002"), ("base_count", "web-001")):
        query = SIX_SECONDS | {"hostname": host, "by": ""}
        alone = client.get("/api/v1/flamegraph/offcputime", params=query).json()
        assert counted(answer, key) == counted(alone, "count")


def counted(answer: dict[str, Any], key: str) -> dict[str, int]:
    """Path -> events, of the nodes that have any."""
    found: dict[str, int] = {}
    path: list[str] = []
    for name, level, count in zip(answer["name"], answer["level"], answer[key], strict=True):
        path[level:] = [answer["names"][name]]
        if count:
            found[";".join(path)] = count
    return found


def test_a_base_need_not_share_a_filter(client: World) -> None:
    """One host against all hosts, itself among them: `base.any` drops the side's filter."""
    sides = {"hostname": "web-001", "process": "mysqld", "base.from": SIX_SECONDS["from"]}
    answer = compare(client, **sides, **{"base.any": "hostname"})
    assert (answer["total"], answer["base_total"]) == (8000, 15000)
    assert (
        compare(client, **sides, **{"base.hostname__in": "*"})["base_total"] == answer["base_total"]
    )
    both = compare(client, **sides, **{"base.any": "hostname,process"})
    assert both["base_total"] == 16031
    wrong = client.get("/api/v1/compare/offcputime", params=sides | {"base.any": "hostnam"})
    (error,) = wrong.json()["errors"]
    assert (error["parameter"], "'hostname'?" in error["detail"]) == ("base.any", True)


def test_the_root_of_normalised_sides_is_even(world: World) -> None:
    """The root's delta is 0 for all totals: a third has no exact scale."""
    base = waits()[0]
    for i, (ours, theirs) in enumerate(((1, 3), (7, 49), (10**15 + 1, 3 * 10**14), (5, 2**53))):
        sides = {"a": ours, "b": theirs}
        world.insert(
            "offcputime",
            [base | {"hostname": f"{n}{i}", "elapsed": v} for n, v in sides.items()],
        )
        asked = {"hostname": f"a{i}", "base.hostname": f"b{i}", "base.from": SIX_SECONDS["from"]}
        assert compare(world, normalised="true", **asked)["delta"][0] == 0


def test_normalised_deltas_compare_shares(client: World) -> None:
    """The base is scaled to the side's total, so the root's delta is 0."""
    sides = {"process": "mysqld", "base.process": "nginx", "base.from": SIX_SECONDS["from"]}
    answer = compare(client, normalised="true", **sides)
    assert answer["mode"] == "normalised"
    assert answer["scale"] == 15000 / 1020
    assert nodes(answer)["all"] == (15000, 1020, 0)
    assert named(answer, "appeared") == ["all;mysqld"]
    assert named(answer, "vanished") == ["all;nginx"]


def test_the_base_is_by_default_the_time_before(client: World) -> None:
    """As long as the side, with the same filters."""
    answer = compare(
        client, **{"from": "2026-11-23T00:00:03Z"}, process="mysqld", hostname__contains="web"
    )
    assert (answer["total"], answer["base_total"]) == (7000, 8000)
    assert (answer["base_meta"]["from"], answer["base_meta"]["to"]) == (NOON, NOON + 3 * SECOND)
    later = compare(client, **{"base.to": "2026-11-23T00:00:04Z"})
    assert later["base_meta"]["from"] == NOON - 2 * SECOND


def test_others_are_by_default_looked_at_in_the_same_time(client: World) -> None:
    """A host against another, or against all: not against what they did before."""
    for others in ({"base.hostname": "web-001"}, {"base.any": "hostname"}):
        answer = compare(client, **SIX_SECONDS, hostname="web-002", **others)
        assert answer["base_meta"]["from"] == answer["meta"]["from"]
        assert answer["base_meta"]["to"] == answer["meta"]["to"]
        assert answer["base_total"] > 0


def test_a_mistake_on_the_base_side_is_named_so(client: World) -> None:
    """`base.` stands before the parameter."""
    response = client.get(
        "/api/v1/compare/offcputime", params={"base.proces": "x", "base.from": "z", "pid": "y"}
    )
    assert {each["parameter"] for each in response.json()["errors"]} == {
        "pid",
        "base.proces",
        "base.from",
    }


def fleet(world: World, hosts: dict[str, dict[str, int]]) -> None:
    world.insert(
        "offcputime",
        [
            {
                "time": NOON,
                "hostname": host,
                "process": "p",
                "pid": 1,
                "stack": stack,
                "elapsed": value,
                "count": 100,
            }
            for host, stacks in hosts.items()
            for stack, value in stacks.items()
        ],
    )


def hosts(world: World, **parameters: str) -> dict[str, Any]:
    response = world.get("/api/v1/hosts/offcputime", params=SIX_SECONDS | parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


ALIKE = {"main;read": 50, "main;write": 50}


def test_the_host_that_differs_is_first_with_the_frame_that_makes_it_so(
    engine_world: World,
) -> None:
    """Three hosts alike and one that waits for a lock: numbers by hand."""
    odd = {"main;read": 25, "main;write": 25, "main;lock;futex": 50}
    fleet(
        engine_world, {"a": ALIKE, "b": ALIKE, "c": {"main;read": 500, "main;write": 500}, "d": odd}
    )
    answer = hosts(engine_world)
    assert [each["host"] for each in answer["hosts"]] == ["d", "a", "b", "c"]
    assert answer["fleet"] == 4
    first, *others = answer["hosts"]
    # p = (1/4, 1/4, 1/2), q = (1/2, 1/2, 0), m = (3/8, 3/8, 1/4)
    both = 0.25 / 2 * log2(0.25 / 0.375) + 0.5 / 2 * log2(0.5 / 0.375)
    lock = 0.5 / 2 * log2(0.5 / 0.25)
    assert first["distance"] == pytest.approx(sqrt(2 * both + lock))
    assert [each["distance"] for each in others] == [0, 0, 0]
    assert {first["frames"][0]["name"], first["frames"][1]["name"]} == {"lock", "futex"}
    frame = first["frames"][0]
    assert (frame["share"], frame["median"]) == (0.5, 0)
    assert frame["part"] == pytest.approx(lock)
    main = next(each for each in first["frames"] if each["name"] == "main")
    assert main["alone"] == pytest.approx(0, abs=1e-12)
    assert main["part"] == pytest.approx(2 * both + lock)


def test_hosts_with_few_events_are_marked_and_not_ranked(world: World) -> None:
    """They neither have a distance nor a say in the median."""
    fleet(world, {"a": ALIKE, "b": ALIKE, "few": {"main;odd": 9}})
    answer = hosts(world, min_events="150")
    last = answer["hosts"][-1]
    assert (last["host"], last["few"], last["distance"]) == ("few", True, None)
    assert answer["fleet"] == 2


def test_a_category_without_stacks_compares_a_dimension(world: World) -> None:
    """Pressure by resource: a quarter of one host's is of the processor."""
    row = {"time": NOON, "scope": "some", "share": 1.0, "stalled": 10}
    pairs = (("a", "io"), ("b", "cpu"), ("b", "io"), ("b", "io"), ("b", "io"))
    rows = [row | {"hostname": h, "resource": r} for h, r in pairs]
    world.insert("pressure", rows)
    params = SIX_SECONDS | {"min_events": "0", "value": "stalled"}
    answer = world.get("/api/v1/hosts/pressure", params=params).json()
    assert answer["profile"] == "resource"
    assert [each["distance"] for each in answer["hosts"]] == pytest.approx(
        [0.2559, 0.1371], abs=1e-4
    )


SHARES = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 1000), min_size=1)


def normalised(counts: dict[str, int]) -> dict[str, float]:
    return {key: value / sum(counts.values()) for key, value in counts.items()}


@given(SHARES, SHARES)
def test_the_divergence_is_symmetric_and_between_0_and_1(
    one: dict[str, int], other: dict[str, int]
) -> None:
    """And it is the entropy of the mixture less the mean of the entropies."""
    p, q = normalised(one), normalised(other)
    there, back = divergence_terms(p, q), divergence_terms(q, p)
    assert sum(there.values()) == pytest.approx(sum(back.values()))
    assert all(term >= 0 for term in there.values())
    mixture = {key: (p.get(key, 0) + q.get(key, 0)) / 2 for key in {*p, *q}}
    by_entropy = entropy(mixture) - (entropy(p) + entropy(q)) / 2
    assert sum(there.values()) == pytest.approx(by_entropy, abs=1e-9)
    assert -1e-9 <= sum(there.values()) <= 1 + 1e-9


def entropy(shares: dict[str, float]) -> float:
    return -sum(share * log2(share) for share in shares.values() if share)


@given(st.lists(SHARES, min_size=1, max_size=7))
def test_the_fleet_is_the_renormalised_median(counts: list[dict[str, int]]) -> None:
    """A stack that a host does not have counts as 0 there; without any median, the mean."""
    profiles = [normalised(each) for each in counts]
    keys = {key for each in profiles for key in each}
    plain = {key: median([each.get(key, 0.0) for each in profiles]) for key in keys}
    total = sum(plain.values())
    found, doubts = median_profile(profiles)
    if total:
        expected = {key: share / total for key, share in plain.items() if share}
    else:
        expected = {key: sum(each.get(key, 0) for each in profiles) / len(profiles) for key in keys}
        assert doubts
    assert found == pytest.approx(expected)
