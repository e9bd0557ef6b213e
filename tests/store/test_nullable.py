"""A timestamp column is added to a table that has rows: they are without that time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.test_start import problems
from tests.serving import few, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import Database
    from tests.serving import Serving

FILE = "table: tickets\ncolumns:\n  - {name: n, type: count}\n"
ADDED = f"{FILE}  - {{name: expires, type: timestamp, default: null}}\n"
STATED = f'{FILE}  - {{name: expires, type: timestamp, default: "1970-01-01T00:00:00Z"}}\n'
UNDERSCORES = """\
  - {name: n_, type: count, default: 0}
  - {name: a__b, type: count, default: 0}
"""
TIME = "2026-01-05T10:00:00Z"
MICROSECONDS = 1_767_607_200_000_000


def options(database: Database, file: Path) -> list[str | Path]:
    return [*few(file.parent.parent), *database.options, "--categories", file.parent]


@pytest.mark.parametrize("order", ["expires", "-expires"])
def test_a_timestamp_without_a_default_is_null(
    tmp_path: Path, database: Database, order: str
) -> None:
    """Through ingest, rows, pages of them, filters and CSV."""
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine/tickets.yaml"
    file.write_text(FILE)
    with serving(
        tmp_path, *few(tmp_path), *database.options, "--categories", file.parent
    ) as server:
        server.post({"hostname": "h", "tickets": [{"n": 1}]})
        file.write_text(ADDED)
        sent = [{"n": 2, "expires": TIME}, {"n": 3, "expires": None}, {"n": 4}]
        server.post({"hostname": "h", "tickets": sent})
        wrong = {"hostname": "h", "tickets": [{"n": 5, "expires": 7}]}
        answer = server.client.post(f"{server.ingest}/", json=wrong)
        assert answer.status_code == 422
        found, address = [], f"/api/v1/rows/tickets?order={order}&limit=1"
        while address:
            page = server.client.get(f"{server.read}{address}").json()
            found += [row[2:] for row in page["rows"]]
            address = page["next"]
        assert sorted(found) == [[1, None], [2, MICROSECONDS], [3, None], [4, None]]
        assert found[-1 if order == "expires" else 0] == [2, MICROSECONDS]
        late = server.get("/api/v1/rows/tickets", expires__gte="2026-01-01T00:00:00Z")
        assert [row[2] for row in late.json()["rows"]] == [2]
        check_groups(server)
        csv = server.get("/api/v1/rows/tickets", format="csv").text
        ends = sorted(line.split(",", 2)[2] for line in csv.split()[1:])
        assert ends == ["1,", "2,2026-01-05T10:00:00.000000Z", "3,", "4,"]
        assert problems(server) == []
    with serving(
        tmp_path, *few(tmp_path), *database.options, "--categories", file.parent
    ) as server:
        assert problems(server) == []
    file.write_text(STATED)
    with serving(
        tmp_path, *few(tmp_path), *database.options, "--categories", file.parent
    ) as server:
        assert "column 'expires' must have a value" in problems(server)[0]


def check_groups(server: Serving) -> None:
    """Null is a group like any other, and not the rest."""
    first = server.get("/api/v1/top/tickets", by="expires", value="n", n=1).json()
    assert [(each["key"], each["value"]) for each in first["entries"]] == [([""], 8)]
    assert first["groups"] == 2
    for filters, found in (
        ({"expires__null": "true"}, [1, 3, 4]),
        ({"expires__null": "0"}, [2]),
        ({"expires__ne": TIME}, [1, 3, 4]),
        ({"expires__not_in": TIME}, [1, 3, 4]),
        ({"expires__in": TIME}, [2]),
    ):
        rows = server.get("/api/v1/rows/tickets", **filters).json()["rows"]
        assert sorted(row[2] for row in rows) == found, filters
    assert server.get("/api/v1/rows/tickets", n__null="true").status_code == 400
    assert server.get("/api/v1/rows/tickets", expires__null="maybe").status_code == 400
    for aggregate, null, other in (("sum", 8, 2), ("count", 3, 1), ("max", 4, 2), ("p50", 4, 4)):
        params: dict[str, str | int] = {"by": "expires", "value": "n", "aggregate": aggregate}
        assert series_of(server, n=1, **params) == {("", False): null, ("other", True): other}
        both = {("", False): null, ("2026-01-05T10:00:00.000000Z", False): other}
        assert series_of(server, n=2, **params) == both


def series_of(server: Serving, **params: str | int) -> dict[tuple[str, bool], float]:
    answer = server.get("/api/v1/timeseries/tickets", points=1, **params)
    assert answer.status_code == 200, answer.text
    found = {
        (each["name"], each["rest"]): [value for value in each["values"] if value]
        for each in answer.json()["series"]
    }
    return {key: int(value) for key, (value,) in found.items()}


def test_a_timestamp_may_have_a_stated_default(tmp_path: Path, database: Database) -> None:
    """Rows of before have it; names with underscores at the end or inside are filtered by too."""
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine/tickets.yaml"
    file.write_text(FILE)
    with serving(
        tmp_path, *few(tmp_path), *database.options, "--categories", file.parent
    ) as server:
        server.post({"hostname": "h", "tickets": [{"n": 1}]})
        file.write_text(STATED)
        server.post({"hostname": "h", "tickets": [{"n": 2, "expires": TIME}, {"n": 3}]})
        rows = server.get("/api/v1/rows/tickets", limit=9).json()["rows"]
        file.write_text(f"{STATED}{UNDERSCORES}")
        server.post({"hostname": "h", "tickets": [{"n": 4, "expires": TIME, "n_": 5, "a__b": 6}]})
        for name, value in (("n___gte", 1), ("n___ne", 0), ("a__b__in", 6), ("n_", 5), ("a__b", 6)):
            found = server.get("/api/v1/rows/tickets", **{name: value}).json()["rows"]
            assert [row[2] for row in found] == [4], name
    assert sorted(row[2:] for row in rows) == [[1, 0], [2, MICROSECONDS], [3, 0]]
