"""Rows of times that are not taken in, and rows that will not stay."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import msgpack

from kscope.client import Logger
from tests.commands import command
from tests.receiving import counted
from tests.server.test_otlp import PATH as OTLP
from tests.server.test_otlp import simple
from tests.serving import few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from tests.serving import Serving

PATH = "/api/v1/ingest"
ROW = {"process": "mysqld", "pid": 1, "stack": "main;futex_wait", "elapsed": 5}
BOUNDED = "accept: {newest: 2h, oldest: 90d}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Yield a server without settings."""
    folder = tmp_path_factory.mktemp("times")
    with serving(folder, *few(folder, "marker")) as running:
        yield running


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Yield a server with bounds of both kinds, and with receivers."""
    folder = tmp_path_factory.mktemp("bounded")
    _, config = few(folder, "profile")
    text = (folder / "few.yaml").read_text() + BOUNDED + "receive: {otlp: }\n"
    (folder / "few.yaml").write_text(text)
    with serving(folder, "--config", config) as running:
        yield running


def at(**ahead: float) -> str:
    """Return a time that is so far ahead of now."""
    return f"{datetime.now(UTC) + timedelta(**ahead):%Y-%m-%dT%H:%M:%SZ}"


def rows(*times: str) -> dict[str, Any]:
    return {"hostname": "h", "offcputime": [ROW | {"time": each} for each in times]}


def columns(*times: str) -> dict[str, Any]:
    table = {name: [value] * len(times) for name, value in ROW.items()}
    return {"hostname": "h", "offcputime": {"time": list(times), **table}}


def refused(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return the place and the reason of each fault."""
    assert answer.status_code == 422, answer.text
    return [(each["pointer"], each["detail"]) for each in answer.json()["errors"]]


def stored(server: Serving) -> int:
    return int(server.get("/api/v1/rows/offcputime", **{"from": "2020-01-01"}).json()["rows"] != [])


def test_rows_of_next_month_are_refused(server: Serving) -> None:
    """The answer names each, the bound, and the key that changes it; none of the body is stored."""
    late = at(days=30, minutes=1)
    found = refused(server.client.post(server.ingest + PATH, json=rows(at(), late, late)))
    assert [place for place, _ in found] == ["/offcputime/1/time", "/offcputime/2/time"]
    assert found[0][1] == (
        f"{late[:-1]}.000000Z is 30 days ahead of the server's clock, more than the 1d of"
        " `accept.newest` in the server's kernelscope.yaml: is the sender's clock right?"
    )
    assert not stored(server)


def test_columns_get_the_same_verdict(server: Serving) -> None:
    """In JSON and MessagePack, with times as values and as places in `strings`."""
    late = at(days=3)
    body = columns(at(), late)
    placed = body | {
        "strings": body["offcputime"]["time"],
        "offcputime": body["offcputime"] | {"time": {"strings": [0, 1]}},
    }
    _, reason = refused(server.client.post(server.ingest + PATH, json=rows(late)))[0]
    for sent, place in ((body, "/offcputime/time/1"), (placed, "/offcputime/time/strings/1")):
        answers = [
            server.client.post(server.ingest + PATH, json=sent),
            server.send(msgpack.encode(sent), PATH, content_type="application/msgpack"),
        ]
        for answer in answers:
            assert refused(answer) == [(place, reason)]


def test_every_way_in_has_the_same_bounds(server: Serving) -> None:
    """The time of a body, the API of 2016, markers; a time that no row has does not matter."""
    late = at(days=2)
    body = {"hostname": "h", "time": late, "offcputime": [ROW]}
    for path in (PATH, "/"):
        assert refused(server.client.post(server.ingest + path, json=body))[0][0] == "/time"
    marker = {"message": "planned", "time": late}
    answer = server.client.post(f"{server.ingest}/api/v1/markers", json=marker)
    assert refused(answer)[0][0] == "/time"
    timed = body | {"offcputime": [ROW | {"time": at()}]}
    assert server.client.post(server.ingest + PATH, json=timed).status_code == 200


def test_the_bounds_are_settings(bounded: Serving) -> None:
    """Also the one for old rows, which by default there is not."""
    old, new = at(days=-100), at(hours=3)
    found = refused(bounded.client.post(bounded.ingest + PATH, json=rows(old, new)))
    assert "is 100 days old, more than the 90d of `accept.oldest`" in found[0][1]
    assert "is 2 hours ahead" in found[1][1]
    assert "more than the 2h of `accept.newest`" in found[1][1]
    near = rows(at(days=-89), at(hours=1))
    assert bounded.client.post(bounded.ingest + PATH, json=near).status_code == 200


def test_a_server_without_bounds_takes_all_times(tmp_path: Path) -> None:
    """`none` switches a bound off."""
    _, config = few(tmp_path)
    (tmp_path / "few.yaml").write_text("categories: [few/categories]\naccept: {newest: none}\n")
    with serving(tmp_path, "--config", config) as running:
        assert running.post(rows("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z")).json()["stored"]


def test_senders_learn_of_rows_that_will_not_stay(server: Serving) -> None:
    """They are stored until the next removal by age; the answer has their number, and the log."""
    for body in (rows, columns):
        answer = server.post(body(at(), at(days=-15), at(days=-400))).json()
        assert answer["stored"] == {"offcputime": 3}
        assert answer["past_retention"] == {"offcputime": {"rows": 2, "kept": 14 * 86400}}
        assert answer["detail"] == (
            "offcputime keeps rows for 14 days: 2 rows are older, and the next removal by age"
            " takes them"
        )
    assert "h: offcputime keeps rows for 14 days: 2 rows are older" in server.log
    assert "past_retention" not in server.post(rows(at(), at(days=-13))).json()


def test_kscope_import_passes_it_on(server: Serving, tmp_path: Path) -> None:
    """With the number that the server counts."""
    file = tmp_path / "old.folded"
    file.write_text("a;b 1\nc;d 2\n")
    given = ("import", "offcputime", file, "--time", "2020-01-01", "--server", server.ingest)
    done = command(*given)
    assert done.returncode == 0
    assert "offcputime keeps rows for 14 days, 2 rows are older and are removed soon" in done.stderr


def test_the_logger_says_it_once(server: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """A script, and the agent, log it once for each table: a backlog has many such batches."""
    with Logger(server.ingest, hostname="script") as log:
        for _ in range(3):
            log("offcputime", time=at(days=-20), **ROW)
            log.flush()
    said = [line for line in caplog.messages if "offcputime keeps rows for 14 days" in line]
    assert said == [
        (
            "the server stored rows that will not stay: offcputime keeps rows for 14 days: 1 row is"
            " older, and the next removal by age takes them"
        )
    ]


def test_receivers_pass_it_on(bounded: Serving) -> None:
    """OTLP has words for it in an answer with 200; a time outside the bounds is refused."""
    for days, said in ((-20, "profile keeps rows for 14 days: 1 row is older"), (-1, "")):
        answer = pushed(bounded, days)
        assert (answer.status_code, said in answer.text) == (200, True)
        assert bool(answer.content) == bool(said)
    answer = pushed(bounded, 2)
    assert answer.status_code == 400
    assert "ahead of the server's clock" in answer.text
    assert counted(bounded, "profiles_refused_total", protocol="otlp", reason="time") == 1


def pushed(server: Serving, days: int) -> httpx.Response:
    """Push a profile of so many days ahead of now."""
    made = simple("h")
    for resource in made.request.resource_profiles:
        moment = datetime.now(UTC) + timedelta(days=days)
        resource.scope_profiles[0].profiles[0].time_unix_nano = int(moment.timestamp()) * 10**9
    return server.send(made.content, OTLP, content_type="application/x-protobuf")


def test_a_server_whose_clock_is_behind_refuses_no_row_for_good(tmp_path: Path) -> None:
    """A machine that starts in 1970 would make all agents set their rows aside: they wait."""
    with serving(tmp_path, *few(tmp_path)) as running:
        late = rows(at(days=365))
        assert running.client.post(running.ingest + PATH, json=late).status_code == 422
        with closing(sqlite3.connect(tmp_path / "kernelscope.db")) as database, database:
            noted = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 10**6
            database.execute(
                "INSERT OR REPLACE INTO kscope_meta VALUES ('removal by age', ?)", (str(noted),)
            )
        answer = running.client.post(running.ingest + PATH, json=late)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "60"
        assert "the server's clock is behind" in answer.json()["detail"]
        assert running.post(rows(at())).json()["stored"] == {"offcputime": 1}
