"""Short links of the page: kept in one small file, if it is configured."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from kscope.server.read.links import MAX_ADDRESS, Links
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "/?table=offcputime&from=now-1h&filters=stack__has%3Dext4_sync"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("links")
    config = folder / "kernelscope.yaml"
    config.write_text("database: {sqlite: k.db}\nlinks: links.db\n")
    with serving(folder, "--config", config) as running:
        yield running


def test_a_link_leads_back_to_its_address(server: Serving) -> None:
    """The same address has one link."""
    assert server.get("/api/v1/server").json()["links"] is True
    made = [server.client.post(f"{server.read}/api/v1/links", content=ADDRESS) for _ in range(2)]
    assert [each.status_code for each in made] == [200, 200]
    path = made[0].json()["path"]
    assert path == made[1].json()["path"]
    assert len(path) == len("/s/") + 10
    followed = server.get(path)
    assert (followed.status_code, followed.headers["location"]) == (302, ADDRESS)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("//evil.example/?table=x", 422),
        ("https://evil.example/", 422),
        ("/\\evil.example", 422),
        ("/s/0123456789", 422),
        ("/?table=x\r\nSet-Cookie: a=b", 422),
        ("/?table=\N{EURO SIGN}", 422),
        ("", 422),
        (f"/?{'x' * MAX_ADDRESS}", 413),
        (f"/?{'x' * 10_000_000}", 413),
    ],
)
def test_only_addresses_of_the_page_are_kept(server: Serving, address: str, status: int) -> None:
    """No other path, no other site, no header; and none of any length."""
    answer = server.client.post(f"{server.read}/api/v1/links", content=address.encode())
    assert answer.status_code == status, answer.text


def test_a_page_of_another_site_makes_no_links(server: Serving) -> None:
    """Its visitor's browser would send the request."""
    headers = {"Origin": "https://elsewhere.example"}
    answer = server.client.post(f"{server.read}/api/v1/links", content=ADDRESS, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["0123456789", "x", "x" * 5000, "%00" * 10, "..%2f..%2fetc"])
def test_a_link_that_is_none_is_not_found(server: Serving, name: str) -> None:
    """Also one of odd characters."""
    assert server.get(f"/s/{name}").status_code == 404


def test_without_the_setting_there_are_no_links(tmp_path: Path) -> None:
    """The answer says how to have some; nothing is written."""
    with serving(tmp_path) as server:
        assert server.get("/api/v1/server").json()["links"] is False
        answer = server.client.post(f"{server.read}/api/v1/links", content=ADDRESS)
        assert (answer.status_code, "set `links`" in answer.text) == (404, True)


def test_the_oldest_links_make_room(tmp_path: Path) -> None:
    """Those that were used last stay; one that was not used for a year is gone."""
    file = tmp_path / "links.db"
    links = Links(file, most=3)
    names = [asyncio.run(links.add(f"/?n={i}")) for i in range(3)]
    with closing(sqlite3.connect(file)) as database, database:
        for age, name in enumerate(names, 1):
            database.execute("UPDATE link SET used = used - ? WHERE id = ?", (age * 86400, name))
    assert asyncio.run(links.find(names[2])) == "/?n=2"
    newest = asyncio.run(links.add("/?n=3"))
    kept = [asyncio.run(links.find(each)) for each in (*names, newest)]
    assert kept == ["/?n=0", None, "/?n=2", "/?n=3"]
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE link SET used = used - 366 * 86400")
    assert asyncio.run(links.find(newest)) is None
