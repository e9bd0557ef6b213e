"""Fleets of several kinds: hosts of one role are one group, measured against their own."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from kscope.query.answers.host_groups import MOST_COMPARED, grouped, named
from kscope.store.backends.deadline import Deadline
from tests.query.world import NOON, SECOND, waits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.query.world import World

KERNEL = ["schedule_[k]", "finish_task_switch_[k]"]
IDLE = [f"kthread;worker{i};schedule_[k];finish_task_switch_[k]" for i in range(12)]


def role(name: str, many: int = 60) -> list[str]:
    """The stacks of one program, through its functions and common ones of the kernel."""
    draw = random.Random(name)
    frames = [f"{name}_{i}" for i in range(40)]
    waits = [f"{each}_[k]" for each in ("futex_wait", "ep_poll", "io_schedule", "pipe_read")]
    return [
        ";".join(
            [
                *("start_thread", "main", *draw.sample(frames, draw.randint(3, 9))),
                *(draw.choice(waits), *KERNEL),
            ]
        )
        for _ in range(many)
    ]


def host(
    draw: random.Random, *parts: tuple[list[str], float], noise: float = 0.3
) -> dict[str, float]:
    """A profile: each part's weight is spread over its stacks, steeply, and not evenly."""
    profile: dict[str, float] = {}
    for stacks, weight in parts:
        shares = [draw.lognormvariate(0, noise) / (1 + rank) for rank in range(len(stacks))]
        for stack, share in zip(stacks, shares, strict=True):
            profile[stack] = profile.get(stack, 0) + weight * share / sum(shares)
    whole = sum(profile.values())
    return {stack: share / whole for stack, share in profile.items()}


Fleet = dict[str, dict[str, float]]


def hosts(name: str, many: int, make: Callable[[random.Random], dict[str, float]]) -> Fleet:
    return {f"{name}-{i:03}": make(random.Random(f"{name} {i}")) for i in range(many)}


def alike(name: str, many: int, idle: float = 0.3, noise: float = 0.3) -> Fleet:
    stacks = role(name)
    return hosts(name, many, lambda draw: host(draw, (stacks, 1 - idle), (IDLE, idle), noise=noise))


def groups(fleet: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    held = {stack: stack.split(";") for profile in fleet.values() for stack in profile}
    return grouped(fleet, held, Deadline(60))


def names(*groups: Mapping[str, Any]) -> list[list[str]]:
    return sorted((sorted(group) for group in groups), key=lambda each: (-len(each), each[0]))


@pytest.mark.parametrize("many", [1, 2, 3, 10, 60])
@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0])
def test_one_role_is_one_group(many: int, noise: float) -> None:
    """However noisy its hosts are."""
    fleet = alike("web", many, noise=noise)
    assert groups(fleet) == names(fleet)


@pytest.mark.parametrize("sizes", [(3, 4), (2, 2), (30, 5), (10, 10, 10), (2, 3, 4, 20)])
@pytest.mark.parametrize("idle", [0.1, 0.3, 0.5])
def test_each_role_is_a_group(sizes: tuple[int, ...], idle: float) -> None:
    """With half of the time in idle workers of the kernel, too, which all hosts have."""
    roles = [alike(f"role{i}", many, idle) for i, many in enumerate(sizes)]
    assert groups({name: of for each in roles for name, of in each.items()}) == names(*roles)


@pytest.mark.parametrize("part", [0.2, 0.4, 0.6])
def test_a_host_with_a_stall_stays_with_its_own(part: float) -> None:
    """Two fifths of its waits are new: it is measured against the hosts of its role."""
    web, databases = alike("web", 3), alike("db", 4)
    stall = [f"start_thread;main;db_1;ext4_sync;jbd2_{i};io_schedule_[k]" for i in range(5)]
    usual = (role("db"), 0.7 * (1 - part))
    databases["db-001"] = host(random.Random(1), usual, (IDLE, 0.3 * (1 - part)), (stall, part))
    assert groups(web | databases) == names(web, databases)


def test_a_lone_host_is_alone() -> None:
    """It has next to nothing in common with others; an odd one of a role is not alone."""
    web, databases = alike("web", 5), alike("db", 4)
    cache = hosts("cache", 1, lambda draw: host(draw, (role("cache"), 0.9), (IDLE, 0.1)))
    assert groups(web | databases | cache) == names(web, databases, cache)


def test_few_samples_of_many_stacks_do_not_scatter_a_role() -> None:
    """Each host shows a hundred of two thousand stacks: rarely the same ones."""
    stacks = {name: role(name, 2000) for name in ("web", "db")}

    def seen(name: str) -> Callable[[random.Random], dict[str, float]]:
        return lambda draw: dict.fromkeys(draw.sample(stacks[name], 100), 0.01)

    web, databases = hosts("web", 8, seen("web")), hosts("db", 6, seen("db"))
    assert groups(web) == names(web)
    assert groups(web | databases) == names(web, databases)


def test_more_hosts_than_are_compared_join_the_nearest_group() -> None:
    """Three roles, more than four hundred hosts."""
    roles = [alike(name, many) for name, many in (("web", MOST_COMPARED), ("db", 50), ("ml", 20))]
    assert groups({name: of for each in roles for name, of in each.items()}) == names(*roles)


def test_groups_have_the_names_of_their_programs() -> None:
    """A program of all groups names none of them; a second one is named if it weighs as much."""
    labels = {
        "a": {"kworker": 0.6, "mysqld": 0.4},
        "b": {"kworker": 0.6, "gunicorn": 0.25, "node": 0.15},
        "c": {"kworker": 1.0},
    }
    assert named([["a"], ["b"]], labels) == ["mysqld", "gunicorn, node"]
    assert named([["c"], ["c"]], labels) == ["kworker (1)", "kworker (2)"]
    assert named([["a"], ["b"]], {}) == ["group 1", "group 2"]


def test_hosts_are_ranked_within_their_group(world: World) -> None:
    """Over HTTP: two roles, and the one host of a role that waits for the disk."""
    moment = count(NOON, SECOND)
    for name, process, stalls in (
        *((f"web-{i}", "gunicorn", 0) for i in range(3)),
        *((f"db-{i}", "mysqld", 6000 if i == 2 else 0) for i in range(4)),
    ):
        row = waits()[0] | {"hostname": name, "process": process, "count": 100}
        stacks = [(stack, 1000) for stack in role(process, 12)]
        if stalls:
            stacks.append(
                (
                    f"start_thread;main;{process}_1;ext4_sync_file_[k];schedule_[k];finish_task_switch_[k]",
                    stalls,
                )
            )
        rows = [row | {"time": next(moment), "stack": text, "elapsed": us} for text, us in stacks]
        world.insert("offcputime", rows)
    asked = {"from": "2026-11-23", "to": "2026-11-24"}
    answer = world.get("/api/v1/hosts/offcputime", asked).json()
    assert [(each["name"], each["hosts"]) for each in answer["groups"]] == [
        ("mysqld", 4),
        ("gunicorn", 3),
    ]
    first, *others = answer["hosts"]
    assert (first["host"], first["group_name"]) == ("db-2", "mysqld")
    assert first["distance"] > 0.3
    assert first["frames"][0]["name"] == "ext4_sync_file_[k]"
    assert {each["distance"] for each in others} == {0}
    assert answer["fleet"] == 7
