"""The check of a category being written: for the page's own visitors, and bounded."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = "table: waits\ncolumns:\n  - {name: process, type: string}\n"
FLOODS = {
    "lists of aliases": "a: &a [x,x,x,x]\n"
    + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}' if i else '*a'] * 9)}]\n" for i in range(1500)
    ),
    "aliases": "a: &a x\nb: [" + "*a," * 20_000 + "]",
    "anchors": "".join(f"k{i}: &a{i} v\n" for i in range(4000)),
    "brackets": "[" * 65_000,
    "braces": "{a: " * 16_000,
    "dashes": "- " * 32_000,
    "steps": "".join(" " * i + "a:\n" for i in range(350)),
    "columns": "table: x\ncolumns:\n"
    + "".join(f"  - {{name: c{i}, type: int}}\n" for i in range(2400)),
    "wrong types": "table: x\ncolumns:\n"
    + "".join(f"  - {{name: c{i}, type: strin{i}}}\n" for i in range(1800)),
    "unknown keys": "table: x\n" + "".join(f"colum{i}: 1\n" for i in range(5000)),
    "charts": "table: x\ncolumns:\n  - {name: p, type: string}\ncharts:\n"
    + "  - {kind: top, by: p}\n" * 2800,
    "merges": "a: &a {k: v}\nb: {<<: [" + "*a, " * 15_000 + "]}",
    "a long name": "table: " + "x" * 65_000,
    "digits": "table: " + "9" * 65_000,
    "documents": "---\n" * 16_000,
    "the same key": "table: x\n" * 7000,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("checks")) as running:
        yield running


def cpu_seconds(pid: int) -> float:
    found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


def check(server: Serving, text: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{server.read}/api/v1/check", content=text, headers=named, timeout=60)


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flooded_file_costs_little(server: Serving, flood: str) -> None:
    """64 KiB of anything cost less than a second of CPU, and the answer is small."""
    spent = cpu_seconds(server.process.pid)
    answer = check(server, FLOODS[flood][: 64 * 1024])
    assert answer.status_code == 200
    assert answer.json()["problems"]
    assert len(answer.content) < 100_000
    assert cpu_seconds(server.process.pid) - spent < 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "{own}"}, 200),
        ({"Origin": "{own}", "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "https://proxied.example", "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{own}", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
    ],
)
def test_only_the_page_itself_and_programs_may_check(
    server: Serving, headers: dict[str, str], status: int
) -> None:
    """A page of another site would let its visitor's browser work for it."""
    given = {name: value.format(own=server.read) for name, value in headers.items()}
    assert check(server, GOOD, **given).status_code == status


def test_many_checks_leave_the_others_alone(server: Serving) -> None:
    """Checks beyond a short queue get 503; a question in the meantime finds a free thread."""
    slow = FLOODS["anchors"][: 64 * 1024]
    with ThreadPoolExecutor(40) as pool:
        checks = [pool.submit(check, server, slow) for _ in range(80)]
        answers = [server.get("/api/v1/top/offcputime", by="process") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    statuses = [each.result().status_code for each in checks]
    assert set(statuses) == {200, 503}
    refused = next(each.result() for each in checks if each.result().status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert check(server, GOOD).json()["problems"] == []
