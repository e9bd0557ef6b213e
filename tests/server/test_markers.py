"""Markers: one small request sets one, and one question gives all of a range."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent.proxy import Proxy, proxy
from tests.commands import command

if TYPE_CHECKING:
    import httpx

    from tests.enginefixtures import Served
    from tests.serving import Serving


def add(server: Serving, body: object = None, **options: Any) -> httpx.Response:
    sent = {"json": body} if body is not None else {}
    return server.client.post(f"{server.ingest}/api/v1/markers", **sent, **options)


def listed(server: Serving, **asked: str | int) -> list[tuple[str, str, str]]:
    answer = server.get("/api/v1/markers", **asked)
    assert answer.status_code == 200, answer.text
    return [(each["host"], each["kind"], each["message"]) for each in answer.json()["markers"]]


def test_markers_of_a_host_and_of_all_hosts(served: Served) -> None:
    """The oldest first; one host's are shown with those of all hosts."""
    server = served.server
    span = {"from": "2026-11-20T10:00:00Z", "to": "2026-11-20T11:00:00Z"}
    release = {"message": "release 1.4.2", "kind": "release", "time": "2026-11-20T10:20:00Z"}
    setting = {"text": "sync_binlog=1", "hostname": "db-2", "time": "2026-11-20T10:10:00Z"}
    outside = {"text": "later", "time": "2026-11-20T11:00:00Z"}
    for body in (release, setting, outside):
        answer = add(server, body)
        assert (answer.status_code, answer.json()["stored"]) == (200, {"marker": 1}), answer.text
    everywhere = ("", "release", "release 1.4.2")
    assert listed(server, **span) == [("db-2", "note", "sync_binlog=1"), everywhere]
    assert listed(server, **span, host="web-1") == [everywhere]
    assert len(listed(server, **span, host="web-1,db-2")) == 2
    assert listed(server, **span, kind="release") == [everywhere]
    newest = server.get("/api/v1/markers", **span, n=1).json()
    assert (newest["more"], newest["markers"][0]["message"]) == (True, "release 1.4.2")
    moment = newest["markers"][0]["time"]
    assert moment == newest["from"] + 20 * 60 * 1_000_000


def test_the_command_sets_a_marker(served: Served) -> None:
    """For all hosts and now, unless told otherwise."""
    there = ("--server", served.server.ingest)
    assert command("marker", "release 1.5", *there).returncode == 0
    told = ("--host", "web-9", "--kind", "restart", "--time", "now-2m")
    assert command("marker", "worker", *told, *there).returncode == 0
    found = listed(served.server, **{"from": "now-10m"})
    assert found[-2:] == [("web-9", "restart", "worker"), ("", "note", "release 1.5")]
    refused = command("marker", "x" * 9000, *there)
    assert (refused.returncode, "length <= 8192" in refused.stderr) == (2, True)
    wrong = command("marker", "x", "--time", "yesterday", *there)
    assert wrong.returncode != 0
    assert "'yesterday' is not a time" in wrong.stderr


def test_a_marker_that_is_sent_twice_counts_once(served: Served) -> None:
    """By its Idempotency-Key, as rows are."""
    for duplicate in (False, True):
        answer = add(served.server, {"text": "twice"}, headers={"Idempotency-Key": "k1"})
        assert answer.json()["duplicate"] is duplicate
    assert len([each for each in listed(served.server) if each[2] == "twice"]) == 1


def lose_one_answer(between: Proxy) -> None:
    while not between.lost:
        time.sleep(0.01)
    between.lose_answers = False


def test_the_command_sets_one_marker_after_a_lost_answer(served: Served) -> None:
    """It sends the marker again under its key."""
    with proxy(served.server.ingest) as between:
        between.lose_answers = True
        losing = threading.Thread(target=lose_one_answer, args=(between,), daemon=True)
        losing.start()
        assert command("marker", "lost once", "--server", between.url).returncode == 0
        losing.join()
        assert between.lost == 1
    assert len([each for each in listed(served.server) if each[2] == "lost once"]) == 1


def test_the_command_repeated_with_a_key_sets_one_marker(served: Served) -> None:
    """A build that runs again names itself; a key that no header has is refused."""
    there = ("--server", served.server.ingest)
    for _ in range(2):
        assert command("marker", "built", "--key", "build-17", *there).returncode == 0
    assert len([each for each in listed(served.server) if each[2] == "built"]) == 1
    for key in ("x" * 256, "a\nb", "\u00e4"):
        refused = command("marker", "built", "--key", key, *there)
        assert (refused.returncode, "--key: use at most 255" in refused.stderr) == (2, True)


BAD = {
    "no text": ({}, 422, "a marker has a `message`"),
    "both texts": ({"text": "a", "message": "b"}, 422, "a marker has a `message`"),
    "a number": ({"text": 5}, 422, "Expected `str`, got `int` - at `$.text`"),
    "an unknown key": ({"text": "a", "hots": "b"}, 422, "unknown field `hots`"),
    "a NUL": ({"text": "a\0"}, 422, "NUL"),
    "a control character": ({"text": "a", "hostname": "a\nb"}, 422, "hostname"),
    "a long name": ({"text": "a", "hostname": "x" * 256}, 422, "hostname"),
    "a wrong time": ({"text": "a", "time": "soon"}, 400, "'soon' is not a time"),
    "a list": ([], 422, "Expected `object`, got `array`"),
    "a flood": ({"text": "x" * 10_000_000}, 413, "at most 64 KiB"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_marker_is_refused_with_its_fault(served: Served, name: str) -> None:
    """Nothing of it is stored."""
    body, status, told = BAD[name]
    answer = add(served.server, body)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["detail"]
    assert len(answer.content) < 4096


def test_what_is_no_marker_is_refused(served: Served) -> None:
    """Text that is no JSON, JSON that is nested too deep, a request from a web page."""
    for content, status in ((b"release", 400), (b"[" * 60_000, 422), (b'{"text":"\xff"}', 400)):
        assert add(served.server, content=content).status_code == status
    page = {"Origin": "https://elsewhere.example"}
    assert add(served.server, {"text": "a"}, headers=page).status_code == 403


def test_wrong_questions_about_markers_are_refused(served: Served) -> None:
    """A flood of hosts, a parameter that is none, too many markers."""
    for asked, told in (
        ({"host": ",".join(["h"] * 2000)}, "the list has over 1000 values"),
        ({"hots": "a"}, "unknown parameter or column"),
        ({"n": 100_000}, "not a whole number from 1 to 1000"),
    ):
        answer = served.server.get("/api/v1/markers", **asked)  # type: ignore[arg-type]
        assert (answer.status_code, told in answer.text) == (400, True), answer.text
