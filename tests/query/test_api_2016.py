"""The questions of the 2016 clients, as they send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kscope.store.backends.errors import QueryTimeout

if TYPE_CHECKING:
    from tests.query.world import World


def test_categories_have_the_documented_shape(client: World) -> None:
    """Table -> columns with name, type and prettyname; hostname and time are among them."""
    answer = client.get("/api/getcategories").json()
    columns = {column["name"]: column for column in answer["offcputime"]}
    assert columns["elapsed"] == {
        "name": "elapsed",
        "type": "elapsed",
        "prettyname": "Off-CPU time",
    }
    assert {"hostname", "time", "process", "pid", "stack"} <= columns.keys()


def test_the_2016_page_gets_its_flame_graph(client: World) -> None:
    """The page of 2016 gets its first answers, and the tree that d3 draws."""
    asked = {"offcputime": {"format": "flamegraph", "elements": ["stack", "elapsed"]}}
    assert client.post("/api", json=asked).json() == {
        "name": "root",
        "value": 16031,
        "children": [
            {
                "name": "main",
                "value": 16011,
                "children": [
                    {
                        "name": "do_command",
                        "value": 15000,
                        "children": [
                            {"name": "futex_wait_[k]", "value": 12000},
                            {"name": "io_schedule_[k]", "value": 3000},
                        ],
                    },
                    {"name": "epoll_wait_[k]", "value": 1000},
                ],
            }
        ],
    }


def test_the_2016_form_sends_numbers_as_text(client: World) -> None:
    """`elapsed > "4000"`, one condition, no oper."""
    condition = {"elapsed": "4000", "expr": ">"}
    asked = {
        "offcputime": {
            "elements": ["stack", "elapsed"],
            "format": "flamegraph",
            "constraints": [{"conditions": [condition]}],
        }
    }
    assert client.post("/api", json=asked).json()["value"] == 12000


def test_a_limit_of_too_many_digits_is_refused(client: World) -> None:
    """As a text, as the page's form sends it."""
    asked = {"offcputime": {"elements": ["pid"], "limit": "9" * 5000}}
    response = client.post("/api", json=asked)
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/offcputime/limit"


def test_the_2016_script_gets_its_list(client: World) -> None:
    """Elements in, dicts out, in the order they were logged; `limit` counts rows."""
    constraint = {"oper": "and", "conditions": [{"process": "mysqld", "constraint": "="}]}
    query = {
        "elements": ["hostname", "process", "elapsed", "time"],
        "limit": 1,
        "constraints": [constraint],
    }
    assert client.post("/api", json={"offcputime": query}).json() == {
        "offcputime": [
            {
                "hostname": "web-001",
                "process": "mysqld",
                "elapsed": 5000,
                "time": "2026-11-23T00:00:00.000000",
            }
        ]
    }


def test_a_list_that_fails_has_its_status(client: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not 200 and half a document."""

    async def ended(*_: Any) -> None:
        raise QueryTimeout("ended at its deadline")

    monkeypatch.setattr(client.store.backend, "fetch", ended)
    asked = {"offcputime": {"elements": ["process"]}}
    assert client.post("/api", json=asked).status_code == 504


@pytest.mark.parametrize(
    ("constraints", "pids"),
    [
        ([], [100, 100, 200, 300, 400, 500]),
        ([{"conditions": [{"process": "sql", "expr": "contains"}]}], [100, 100, 300]),
        ([{"conditions": [{"pid": 200, "expr": "<="}]}], [100, 100, 200]),
        ([{"conditions": [{"process": "mysqld", "expr": "!="}]}], [200, 400, 500]),
        (
            [
                {
                    "oper": "or",
                    "conditions": [{"pid": 100, "expr": "="}, {"pid": 500, "expr": "="}],
                },
                {"conditions": [{"elapsed": 4000, "expr": "<"}]},
            ],
            [100, 500],
        ),
        (
            [
                {
                    "oper": "or",
                    "conditions": [
                        {"pid": 400, "expr": "="},
                        {
                            "oper": "and",
                            "conditions": [
                                {"process": "mysqld", "expr": "="},
                                {"hostname": "web-002", "expr": "="},
                            ],
                        },
                    ],
                }
            ],
            [300, 400],
        ),
    ],
)
def test_constraints_nest(client: World, constraints: Any, pids: list[int]) -> None:
    """Groups are joined by and; inside a group its own oper joins, groups included."""
    query = {"elements": ["pid"], "constraints": constraints}
    rows = client.post("/api", json={"offcputime": query}).json()["offcputime"]
    assert [row["pid"] for row in rows] == pids


def test_a_flamegraph_without_a_value_counts_rows(client: World) -> None:
    """As documented in 2016: frequency of the stack; a limit looks at the first rows alone."""
    query = {"elements": ["stack"], "format": "flamegraph"}
    assert client.post("/api", json={"offcputime": query}).json()["value"] == 6
    assert client.post("/api", json={"offcputime": query | {"limit": 2}}).json()["value"] == 2


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ([], "", "must be an object"),
        ({}, "", "must be an object"),
        ({"nosuch": {"elements": ["x"]}}, "/nosuch", "unknown table"),
        ({"offcputime": 3}, "/offcputime", "must be an object"),
        ({"offcputime": {}}, "/offcputime/elements", "must list the columns"),
        ({"offcputime": {"elements": ["proces"]}}, "/offcputime/elements/0", "'process'?"),
        ({"offcputime": {"elements": [{}]}}, "/offcputime/elements/0", "unknown column"),
        ({"offcputime": {"elements": ["pid"], "limit": -1}}, "/offcputime/limit", "whole number"),
        ({"offcputime": {"elements": ["pid"], "format": "svg"}}, "/offcputime/format", "list"),
        ({"offcputime": {"elements": ["pid"], "where": 1}}, "/offcputime/where", "unknown key"),
        (
            {"offcputime": {"elements": ["pid"], "format": "flamegraph"}},
            "/offcputime/elements",
            "needs a stack column: stack",
        ),
    ],
)
def test_a_wrong_question_gets_an_error_instead_of_silence(
    client: World, body: Any, pointer: str, said: str
) -> None:
    """The 2016 server ignored what it did not understand."""
    response = client.post("/api", json=body)
    assert response.status_code in (400, 404)
    (error,) = response.json()["errors"]
    assert error.get("pointer", error.get("parameter")) == pointer
    assert said in error["detail"]


@pytest.mark.parametrize(
    ("constraints", "place", "said"),
    [
        ("x", "", "must be a list"),
        ([{"oper": "and"}], "/0", "conditions"),
        ([{"oper": "xor", "conditions": []}], "/0/oper", "and or or"),
        ([{"conditions": [{"pid": 1, "expr": "="}] * 2}], "/0/oper", "and or or"),
        ([{"conditions": [{"pid": 1}]}], "/0/conditions/0", "must be"),
        ([{"conditions": [{"pid": 1, "x": 2}]}], "/0/conditions/0/expr", "unknown operator"),
        ([{"conditions": [{"pid": 1, "expr": "~"}]}], "/0/conditions/0/expr", "contains"),
        ([{"conditions": [{"pid": 1, "expr": []}]}], "/0/conditions/0/expr", "unknown operator"),
        ([{"conditions": [{"pod": 1, "expr": "="}]}], "/0/conditions/0/pod", "'pid'?"),
        ([{"conditions": [{"pid": None, "expr": "="}]}], "/0/conditions/0/pid", "whole number"),
    ],
)
def test_a_wrong_constraint_is_pointed_at(
    client: World, constraints: Any, place: str, said: str
) -> None:
    """Each error has the JSON pointer of its place."""
    query = {"elements": ["pid"], "constraints": constraints}
    response = client.post("/api", json={"offcputime": query})
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["pointer"] == f"/offcputime/constraints{place}"
    assert said in error["detail"]


def test_what_is_not_json_is_refused(client: World) -> None:
    """Cut off, not Unicode, too deep, too large."""
    for body in (b"{", b"\xff", b"[" * 100_000, b'{"a":"\\ud800"}'):
        assert client.post("/api", content=body).status_code == 400
    assert client.post("/api", content=b" " * (1 << 20) + b"{}").status_code == 413
