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
    return re.findall(r'(?:src|href)="(/assets/[^"]+)"', server.get("/").text)


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


def test_the_first_load_is_small(server: Serving) -> None:
    """The page with its charts takes at most 60 kB on the wire."""
    total = 0
    for path in ("/", *_assets(server)):
        with httpx.stream("GET", server.read + path, headers={"accept-encoding": "gzip"}) as answer:
            total += len(b"".join(answer.iter_raw()))
    assert total <= 60_000


@pytest.mark.parametrize("name", ["..%2fpage.py", "%2e%2e/page.py", "nothing.js", "a%00b"])
def test_nothing_else_on_the_disk_is_served(server: Serving, name: str) -> None:
    """A path that leads out of the built files, or nowhere, is not found."""
    assert server.get(f"/assets/{name}").status_code == 404
