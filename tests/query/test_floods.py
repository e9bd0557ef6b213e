"""Every parameter of every question, flooded: the answer is small, and so is what it costs.

The parameters come from the table of questions, so that a new one is covered by itself.
"""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from kscope.query.parse import errors, filters
from kscope.query.parse.parameters import MAX_PARAMETERS
from kscope.query.questions import QUESTIONS
from kscope.query.sql.operators import allowed
from kscope.server.read.routes import MAX_QUERY
from tests.query.world import EVERY_TYPE, catalog
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.query.world import World

REFUSED = (400, 404, 414, 431)
FLOODS = {
    "commas": "a," * 100_000,
    "names": "process," * 8000,
    "long lists": "process," * 30_000,
    "one word": "a" * 60_000,
    "long word": "a" * 250_000,
    "digits": "9" * 60_000,
    "brackets": "[" * 60_000,
    "objects": '{"a":' * 12_000,
    "groups": "(" * 60_000,
    "classes": r"\pL" * 20_000,
    "repeats": "(a{1,1000}){1,1000}",
    "dashes": "-" * 60_000,
    "now": "now-" + "1s" * 30_000,
    "cursor": "W1tb" * 15_000,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("flooded")
    config = folder / "kernelscope.yaml"
    config.write_text(
        f"database: {{sqlite: kernelscope.db}}\ncategories: [builtin, {EVERY_TYPE}]\n"
    )
    with serving(folder, "--config", config) as running:
        yield running


def parameters() -> list[tuple[str, str]]:
    """Every question with its parameters; each operator of each type of column once."""
    everything = catalog().get("everything")
    assert everything is not None
    found = []
    for question in QUESTIONS.values():
        names = ["from", "to", *(each.name for each in question.parameters), "nosuch", "stack__x"]
        if question.compares:
            names += ["base.from", "base.to", "base.any", "base.process", "base.nosuch"]
        found += [(question.name, name) for name in names]
    by_type = {column.type.name: column for column in everything.all_columns}
    return found + [
        ("rows", f"{column.name}__{suffix}")
        for column in by_type.values()
        for suffix in allowed(column.type.storage)
    ]


def address(question: str, name: str, value: str) -> str:
    path = f"/api/v1/{question}/everything"
    if question == "values":
        path += f"/{quote(value, safe='')}" if name == "column" else "/process"
    return f"{path}?{quote(name)}={quote(value, safe='')}"


def cpu_seconds(pid: int) -> float:
    found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


def peak(pid: int) -> int:
    """Megabytes that the process had at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def asked(server: Serving, path: str) -> httpx.Response:
    # httpx itself refuses addresses of more than 64 KB.
    import http.client  # noqa: PLC0415

    host = server.read.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        # An address that is much too long is refused before all of it has arrived.
        with suppress(BrokenPipeError):
            connection.request("GET", path)
        answer = connection.getresponse()
        return httpx.Response(answer.status, content=answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flooded_parameter_costs_little(server: Serving, flood: str) -> None:
    """Below a second of CPU, 100 MB and 100 KB of answer for each parameter of each question."""
    server.get("/api/v1/top/everything", by="process")
    before = peak(server.process.pid)
    for question, name in parameters():
        spent = cpu_seconds(server.process.pid)
        answer = asked(server, address(question, name, FLOODS[flood]))
        spent = cpu_seconds(server.process.pid) - spent
        place = (question, name, answer.status_code)
        assert answer.status_code in (200, *REFUSED), (place, answer.text[:500])
        assert len(answer.content) < 100_000, place
        assert spent < 1, (place, spent)
    assert peak(server.process.pid) - before < 100
    assert "Traceback" not in server.log


@pytest.mark.parametrize("count", [5000, 100_000, 1_000_000])
@pytest.mark.parametrize("kind", ["nosuch{}=1", "process__ne={}", "base.pid={}", "from={}", "="])
def test_a_flood_of_parameters_costs_little(server: Serving, count: int, kind: str) -> None:
    """They are counted before any is read."""
    before, spent = peak(server.process.pid), cpu_seconds(server.process.pid)
    query = "&".join(kind.format(i) for i in range(count))
    for question in ("rows", "compare"):
        answer = asked(server, f"/api/v1/{question}/everything?{query}")
        assert answer.status_code in REFUSED, answer.text[:200]
        assert len(answer.content) < 2000
    assert cpu_seconds(server.process.pid) - spent < 1
    assert peak(server.process.pid) - before < 100


def test_at_most_a_hundred_mistakes_are_explained(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Likely corrections are sought for those shown alone."""
    sought = []
    close = difflib.get_close_matches
    monkeypatch.setattr(
        difflib,
        "get_close_matches",
        lambda word, *rest, **options: sought.append(word) or close(word, *rest, **options),
    )
    query = [(f"proces{i}", "1") for i in range(MAX_PARAMETERS)]
    answer = world.get("/api/v1/rows/everything", query)
    assert len(answer.json()["errors"]) == len(sought) == errors.MOST_COMPLAINTS
    assert "Did you mean 'process'?" in answer.json()["errors"][0]["detail"]
    assert len(answer.content) < 100_000
    refused = world.get("/api/v1/rows/everything", [*query, ("pid", "1")])
    assert f"use at most {MAX_PARAMETERS}" in refused.json()["detail"]
    assert len(sought) == errors.MOST_COMPLAINTS


def test_a_question_of_too_many_bytes_is_refused(server: Serving) -> None:
    """The answer says how many there may be."""
    answer = asked(server, f"/api/v1/rows/everything?process={'x' * MAX_QUERY}")
    assert (answer.status_code, f"use at most {MAX_QUERY:,}" in answer.text) == (414, True)


SEED = {
    "elements": ({"elements": ["pid"] * 100_000}, 200),
    "wrong elements": ({"elements": [f"x{i}" for i in range(100_000)]}, 400),
    "nested elements": ({"elements": [[["pid"]]] * 100_000}, 400),
    "groups": ({"elements": ["pid"], "constraints": [{"conditions": []}] * 40_000}, 400),
    "conditions": (
        {
            "elements": ["pid"],
            "constraints": [{"oper": "or", "conditions": [{"pid": 1, "expr": "="}] * 40_000}],
        },
        400,
    ),
    "a long number": ({"elements": ["pid"], "limit": 10**4000}, 400),
    "a long text": ({"elements": ["pid"], "format": "x" * 900_000}, 400),
    "keys": ({"elements": ["pid"], **{f"k{i}": 1 for i in range(80_000)}}, 400),
}


@pytest.mark.parametrize("kind", SEED)
def test_a_flooded_question_of_2016_costs_little(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status that says whose mistake it is, a small answer, few conditions read."""
    read: list[object] = []
    real = filters.condition
    monkeypatch.setattr(
        "kscope.query.parse.api_2016.condition", lambda *given: read.append(given) or real(*given)
    )
    body, status = SEED[kind]
    answer = world.post("/api", json={"everything": body})
    assert answer.status_code == status, answer.text[:500]
    assert len(answer.content) < 10_000
    assert len(read) <= filters.MAX_CONDITIONS


def test_ten_thousand_tables_of_2016_are_refused(world: World) -> None:
    """The first that is not there is named."""
    body = {f"t{i}": {"elements": ["pid"]} for i in range(10_000)}
    answer = world.post("/api", json=body)
    assert answer.status_code == 404
    assert len(answer.content) < 10_000
