"""How the built files are served."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.serving import Serving


def _assets(server: Serving) -> list[str]:
    return re.findall(r'(?:src|href)="\.(/assets/[^"]+)"', server.get("/").text)


def test_only_own_scripts_and_styles_may_run(server: Serving) -> None:
    """Every answer that a browser renders forbids inline scripts, eval and other hosts."""
    for path in ("/", "/new", *_assets(server)):
        policy = server.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_the_page_holds_no_inline_code(server: Serving) -> None:
    """The document itself keeps to the policy that it is sent with."""
    html = server.get("/").text
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert "<style" not in html
    assert " style=" not in html


def test_assets_are_cached_for_ever_and_the_page_is_not(server: Serving) -> None:
    """An asset's name changes with its content, so only the page itself is asked for again."""
    assert server.get("/").headers["cache-control"] == "no-cache"
    for path in _assets(server):
        assert "immutable" in server.get(path).headers["cache-control"]


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_assets_are_sent_compressed(server: Serving, encoding: str) -> None:
    """The browser gets the form that the build compressed, in an encoding that it named."""
    for path in _assets(server):
        if len(server.get(path).content) < 1024:
            continue  # as many bytes travel either way
        with httpx.stream(
            "GET", server.read + path, headers={"accept-encoding": encoding}
        ) as answer:
            assert answer.headers["content-encoding"] == encoding
            sent = b"".join(answer.iter_raw())
        if encoding == "gzip":
            assert gzip.decompress(sent) == server.get(path).content


def test_a_refused_encoding_is_not_used(server: Serving) -> None:
    """`q=0` means no."""
    path = _assets(server)[0]
    headers = {"accept-encoding": "br;q=0, gzip;q=0"}
    answer = httpx.get(server.read + path, headers=headers)
    assert "content-encoding" not in answer.headers


def _imported(path: str, server: Serving, found: set[str]) -> set[str]:
    """Add a built script, and all that it imports before it runs, to `found`."""
    if path not in found:
        found.add(path)
        script = server.get(path).text
        for name in re.findall(r"""(?:\bfrom|\bimport)\s*"\./([^"]+)\"""", script):
            _imported(f"/assets/{name}", server, found)
    return found


def _first(server: Serving, part: str, *sheets: str) -> set[str]:
    """Return what is loaded for the first picture of a part: the page, its sheets, its scripts."""
    html = server.get("/").text
    links = re.findall(r'<link rel="(\w+)" href="\.([^"]+)"(?: data-part="(\w+)")?', html)
    found = {"/"} | {
        path for rel, path, of in links if rel == "stylesheet" and (not of or of in sheets)
    }
    (main,) = re.findall(r'<script [^>]*src="\.([^"]+)"', html)
    _imported(main, server, found)
    started = "".join(server.get(path).text for path in found if path.endswith(".js"))
    (name,) = set(re.findall(rf"""import\("\./({part}-[^"]+)"\)""", started))
    return _imported(f"/assets/{name}", server, found)


@pytest.mark.parametrize(
    ("part", "sheets"), [("explore", ()), ("home", ("changes", "home", "empty"))]
)
def test_the_first_load_is_small(server: Serving, part: str, sheets: tuple[str, ...]) -> None:
    """One data type with its charts, and Home, take at most 60 kB on the wire."""
    total = 0
    paths = _first(server, part, *sheets)
    assert sum(path.endswith(".css") for path in paths) == 2 + len(sheets)
    for path in paths:
        with httpx.stream("GET", server.read + path, headers={"accept-encoding": "br"}) as answer:
            total += len(b"".join(answer.iter_raw()))
    assert 40_000 < total <= 60_000


@pytest.mark.parametrize("name", ["..%2fpage.py", "%2e%2e/page.py", "nothing.js", "a%00b"])
def test_nothing_else_on_the_disk_is_served(server: Serving, name: str) -> None:
    """A path that leads out of the built files, or nowhere, is not found."""
    assert server.get(f"/assets/{name}").status_code == 404
