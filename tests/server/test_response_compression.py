"""Answers are compressed for those who take it and who gain by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.serving import Serving

ROWS = [{"process": f"p{n}", "pid": n, "stack": "main", "elapsed": n} for n in range(3000)]
ELSEWHERE = "203.0.113.9"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("encoding")) as running:
        running.post({"hostname": "h", "offcputime": ROWS})
        yield running


def ask(server: Serving, path: str, accepted: str | None, client: str = "") -> httpx.Response:
    headers = {"X-Forwarded-For": client} if client else {}
    request = server.client.build_request("GET", f"{server.read}{path}", headers=headers)
    if accepted is None:
        del request.headers["accept-encoding"]
    else:
        request.headers["accept-encoding"] = accepted
    return server.client.send(request)


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_other_machines_get_gzip(server: Serving, form: str) -> None:
    """A third or less goes over the network, and unfolds to the same; streamed answers as well."""
    path = f"/api/v1/rows/offcputime?format={form}&limit=3000"
    plain = ask(server, path, None, ELSEWHERE)
    assert plain.status_code == 200
    assert "content-encoding" not in plain.headers
    small = ask(server, path, "gzip, br", ELSEWHERE)
    assert small.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["vary"]
    assert small.text[:100_000] == plain.text[:100_000]
    assert small.num_bytes_downloaded < plain.num_bytes_downloaded / 3


@pytest.mark.parametrize(
    ("accepted", "client"),
    [("gzip;q=0", ELSEWHERE), ("identity", ELSEWHERE), (None, ELSEWHERE), ("gzip", "")],
)
def test_others_get_it_as_it_is(server: Serving, accepted: str | None, client: str) -> None:
    """Those who do not take it, and those on this machine, where it would only cost."""
    answer = ask(server, "/api/v1/openapi.json", accepted, client)
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("br;q=0.9, gzip", "br"), ("br;q=0, gzip;q=0.5", "gzip"), ("br;q=0.0", None)],
)
def test_the_page_comes_in_the_smallest_form_that_is_taken(
    server: Serving, accepted: str, encoding: str | None
) -> None:
    """A weight is a number: 0.9 takes it, 0 and 0.0 refuse it."""
    named = re.findall(r"/assets/[\w-]+\.js", ask(server, "/", None).text)
    # The build leaves the smallest files as they are.
    script = max(named, key=lambda path: len(ask(server, path, None).content))
    assert ask(server, script, accepted).headers.get("content-encoding") == encoding
