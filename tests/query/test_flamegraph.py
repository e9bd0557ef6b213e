"""Stacks in, a tree in preorder out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.query.world import World

DAY = {"from": "2026-11-23", "to": "2026-11-24"}


def ask(client: World, **parameters: str) -> dict[str, Any]:
    response = client.get("/api/v1/flamegraph/offcputime", params=DAY | parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def drawn(answer: dict[str, Any]) -> list[str]:
    """One line per node: indented by its level, with its total and its self value."""
    columns = zip(answer["name"], answer["level"], answer["value"], answer["self"], strict=True)
    return [f"{'  ' * level}{answer['names'][name]} {v} {own}" for name, level, v, own in columns]


def test_stacks_become_a_tree_with_the_process_at_its_root(client: World) -> None:
    """Children are sorted by name; a process named `a;b` is one frame; an empty stack is self."""
    answer = ask(client)
    assert drawn(answer) == [
        "all 16031 0",
        "  a;b 11 0",
        "    main 11 11",
        "  mysqld 15000 0",
        "    main 15000 0",
        "      do_command 15000 0",
        "        futex_wait_[k] 12000 12000",
        "        io_schedule_[k] 3000 3000",
        "  nginx 1020 20",
        "    main 1000 0",
        "      epoll_wait_[k] 1000 1000",
    ]
    assert (answer["total"], answer["rows"]) == (16031, 6)
    assert (answer["stack"], answer["value_column"], answer["unit"], answer["by"]) == (
        "stack",
        "elapsed",
        "us",
        "process",
    )
    assert answer["meta"]["source"] == "raw"
    assert answer["notices"] == []


def test_without_by_the_stacks_of_all_processes_are_one_tree(client: World) -> None:
    """An empty `by` overrides the chart's; another value column weighs the same stacks."""
    assert drawn(ask(client, by="", value="count")) == [
        "all 18 1",
        "  main 17 1",
        "    do_command 6 0",
        "      futex_wait_[k] 3 3",
        "      io_schedule_[k] 3 3",
        "    epoll_wait_[k] 10 10",
    ]


def test_each_node_says_how_many_events_it_sums(client: World) -> None:
    """By the column of counts, whatever is summed; rows where a category has none."""
    sums = ask(client, by="", value="count")
    assert sums["count"] == sums["value"] == [18, 17, 6, 3, 3, 10]
    assert ask(client, by="")["count"] == sums["count"]
    assert ask(client, by="", value="rows")["count"] == sums["count"]


def test_rows_can_be_counted_and_grouped_by_several_columns(client: World) -> None:
    """`value=rows` counts; `by=hostname,pid` makes two levels."""
    assert drawn(ask(client, by="hostname,pid", value="rows", process="mysqld")) == [
        "all 3 0",
        "  web-001 2 0",
        "    100 2 0",
        "      main 2 0",
        "        do_command 2 0",
        "          futex_wait_[k] 1 1",
        "          io_schedule_[k] 1 1",
        "  web-002 1 0",
        "    300 1 0",
        "      main 1 0",
        "        do_command 1 0",
        "          futex_wait_[k] 1 1",
    ]


def test_no_row_is_an_empty_tree(client: World) -> None:
    """A range before the data answers with the root alone."""
    answer = ask(client, **{"from": "2020-01-01", "to": "2020-01-02"})
    assert drawn(answer) == ["all 0 0"]


def test_an_answer_has_stacks_that_came_after_the_one_before(client: World) -> None:
    """Cached stacks hide no new ones."""
    before = drawn(ask(client, process="nginx"))
    row = {"time": 1_795_392_009_000_000, "hostname": "web-001", "process": "nginx", "pid": 7}
    client.insert("offcputime", [row | {"stack": "main;accept_[k]", "elapsed": 5}])
    assert drawn(ask(client, process="nginx")) == [
        "all 1025 0",
        "  nginx 1025 20",
        "    main 1005 0",
        "      accept_[k] 5 5",
        *before[3:],
    ]


def test_the_range_holds_its_start_and_not_its_end(client: World) -> None:
    """Two ranges that touch count each row once."""
    first = ask(client, to="2026-11-23T00:00:03Z")
    second = ask(client, **{"from": "2026-11-23T00:00:03Z"})
    assert (first["rows"], second["rows"]) == (3, 3)
    assert first["total"] + second["total"] == 16031


def test_recorded_hosts_are_told_apart(world: World, client: World) -> None:
    """An answer that holds replayed rows says so, one without them does not."""
    row = {"time": 1_795_392_009_000_000, "hostname": "recording:demo", "process": "dd"}
    world.insert("offcputime", [row | {"pid": 1, "stack": "main", "elapsed": 1}])
    assert "Recorded data" in ask(client)["notices"][0]["text"]
    assert ask(client, hostname="web-001")["notices"] == []


def test_a_category_without_stacks_says_so(client: World) -> None:
    """The problem document names the table."""
    response = client.get("/api/v1/flamegraph/pressure")
    assert response.status_code == 400
    assert "no stack column" in response.json()["detail"]
