"""Take each picture with a real Chromium, in both themes, in few colours."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

from tests import needs
from tests.browserfixtures import QUIET
from tests.pictures.views import THEMES, VIEWS, WIDTH, View

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.serving import Serving

# Enough for the scales of a heatmap beside the colours of frames; a file has a third of the size.
_COLOURS = "128"
# In milliseconds: a machine with other work draws all the same.
_PATIENCE = 300_000


def take(server: Serving, folder: Path, names: Iterable[str], before: float, after: float) -> None:
    """Write these pictures of a recording, from `before` to `after` seconds around its marker."""
    fields = _fields(server, before, after)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.chromium(), args=QUIET)
        page = browser.new_page()
        page.set_default_timeout(_PATIENCE)
        for name in names:
            page.set_viewport_size({"width": WIDTH, "height": VIEWS[name].height})
            _open(page, server.read, VIEWS[name], fields)
            for theme in THEMES:
                page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
                page.wait_for_timeout(500)
                path = folder / f"{name}-{theme}.png"
                page.screenshot(path=path)
                _reduce(path)
        browser.close()


def _fields(server: Serving, before: float, after: float) -> dict[str, str]:
    """Return the fields of the addresses: times around the marker of the release."""
    (row,) = server.get("/api/v1/rows/marker", **{"from": "now-7d"}).json()["rows"]
    release = int(row[0])
    start, end = release - round(before * 1e6), release + round(after * 1e6)
    return {"range": f"from={_iso(start)}&to={_iso(end)}", "release": f"&box=,{release},{end}"}


def _iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _open(page: Page, address: str, view: View, fields: dict[str, str]) -> None:
    page.goto("about:blank")
    page.goto(address + view.address.format(**fields))
    expect(page.locator(view.shown).first).to_be_visible(timeout=_PATIENCE)
    page.wait_for_load_state("networkidle")


def _reduce(path: Path) -> None:
    pngquant = needs.program("pngquant", "pngquant")
    options = ("--force", "--skip-if-larger", "--strip", "--speed=1", f"--output={path}")
    done = subprocess.run([pngquant, *options, _COLOURS, path], check=False)
    assert done.returncode in (0, 98), done
