"""The requests of the 2016 clients, byte for byte as urllib sent them, over real HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import free_port, serving

if TYPE_CHECKING:
    from pathlib import Path

# The body that `offcputime.py --logger` posted: the stack, or an index into `stacks`. Leaf first:
# its `";".join(sleep_trace)` begins with the innermost frame.
TRACED = [
    {
        "hostname": "web-001",
        "time": "2026-11-23T02:46:15.288693Z",
        "stacks": ["futex_wait;do_work;main"],
        "offcputime": [{"process": "mysqld", "pid": 1234, "stack": 0, "elapsed": 5123}],
    },
    {
        "hostname": "web-001",
        "time": "2026-11-23 02:47:15.288693",
        "offcputime": [
            {"process": "mysqld", "pid": 1234, "stack": "io_schedule;do_work;main", "elapsed": 877}
        ],
    },
]


def test_old_clients_log_and_ask_unchanged(tmp_path: Path) -> None:
    """They log to `/`, list the categories, and get rows and the flame graph that they draw."""
    with serving(tmp_path) as server:
        for body in TRACED:
            _ask(server.ingest, "/", body)
        assert "offcputime" in _ask(server.read, "/api/getcategories")
        condition = {"elapsed": "1000", "expr": ">"}
        question = {
            "elements": ["process", "pid", "elapsed", "stack"],
            "constraints": [{"oper": "and", "conditions": [condition]}],
        }
        assert _ask(server.read, "/api", {"offcputime": question}) == {
            "offcputime": [
                {
                    "process": "mysqld",
                    "pid": 1234,
                    "elapsed": 5123,
                    "stack": "futex_wait;do_work;main",
                }
            ]
        }
        drawn = {"elements": ["stack", "elapsed"], "format": "flamegraph"}
        tree = _ask(server.read, "/api", {"offcputime": drawn})
        assert tree["value"] == 6000
        (main,) = tree["children"]
        (do_work,) = main["children"]
        assert [main["name"], do_work["name"]] == ["main", "do_work"]
        assert {each["name"] for each in do_work["children"]} == {"futex_wait", "io_schedule"}


def test_each_address_has_its_order_of_frames(tmp_path: Path) -> None:
    """`POST /` and the lists of 2016 are leaf first, everything else is root first."""
    body = {"hostname": "web-001", "offcputime": [{"process": "x", "pid": 1, "elapsed": 1}]}
    texts = ["leaf;middle;root", "root;middle;leaf", "", "one"]
    with serving(tmp_path) as server:
        for path, first in (("/", 0), ("/api/v1/ingest", 1)):
            rows = [body["offcputime"][0] | {"stack": text} for text in (texts[first], *texts[2:])]
            _ask(server.ingest, path, body | {"offcputime": rows})
        listed = {"elements": ["stack"]}
        found = _ask(server.read, "/api", {"offcputime": listed})["offcputime"]
        assert [each["stack"] for each in found] == ["leaf;middle;root", "", "one"] * 2
        for given, count in (("leaf;middle;root", 2), ("leaf;middle", 0), ("root;middle;leaf", 0)):
            condition = {"stack": given, "expr": "="}
            asked = listed | {"constraints": [{"conditions": [condition]}]}
            found = _ask(server.read, "/api", {"offcputime": asked})["offcputime"]
            assert len(found) == count, given
        now = _ask(server.read, "/api/v1/rows/offcputime")
        at = now["columns"].index("stack")
        assert sorted(row[at] for row in now["rows"]) == sorted(["root;middle;leaf", "", "one"] * 2)


def test_the_old_command_line(tmp_path: Path) -> None:
    """`--sqlite FILE PORT`: the page is on that port, and rows come in on the next one; a
    client that sends them to the page's, as in 2016, is answered with the right port.
    """
    port = free_port(following=1)
    with serving(tmp_path, str(port), "--sqlite", tmp_path / "k.db") as server:
        assert server.read == f"http://127.0.0.1:{port}"
        assert server.ingest == f"http://127.0.0.1:{port + 1}"
        with pytest.raises(urllib.error.HTTPError) as refused:
            _ask(server.read, "/", TRACED[0])
        assert refused.value.code == 405
        assert f"send them to {server.ingest}/" in json.load(refused.value)["detail"]
        _ask(server.ingest, "/", TRACED[0])


def _ask(listener: str, path: str, body: Any = None) -> Any:
    """Send JSON with the Content-Type of a form: urllib's default, which they never changed."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(listener + path, data, timeout=30) as answer:
        return json.load(answer)
