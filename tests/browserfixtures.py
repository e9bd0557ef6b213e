"""Fixtures of the page: built from its sources, and driven in a real Chromium."""

from __future__ import annotations

import importlib.util
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

# Without these, Chromium sends requests to hosts of other people.
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def built_page() -> None:
    """Build what `pip install .` builds, unless it is as new as its sources."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    hook.build_page(ROOT)
    if not (ROOT / "web/node_modules/axe-core").is_dir():
        hook.npm(ROOT, "ci", "--ignore-scripts", "--no-audit", "--no-fund")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a Chromium; it stops with its module, since the thread's event loop runs as long.

    A later test in the same process could not start another loop.
    """
    with launched(needs.chromium()) as browser:
        yield browser


@contextmanager
def launched(program: str | Path, *arguments: str) -> Iterator[Browser]:
    """Yield a browser of this program."""
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415 - it may be missing

    # A machine with other work takes twice as long.
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(program), args=[*QUIET, *arguments]
        )
        yield browser
        browser.close()


class Complaints(list[str]):
    """Collect the browser's errors: a broken policy, a failed script, a missing file.

    A test that provokes one says so in `expected`, with a part of its text.
    """

    expected = ""

    @property
    def unexpected(self) -> list[str]:
        return [line for line in self if not self.expected or self.expected not in line]

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.append(str(error.stack or error)))
        page.on("console", lambda line: self.append(line.text) if line.type == "error" else None)
        page.on("request", self._stay_home)

    def _stay_home(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not re.match(r"(blob:)?https?://127\.0\.0\.1\b", url):
            self.append(f"a request to another host: {url}")


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def context(browser: Browser, complaints: Complaints) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(10_000)
    context.on("page", complaints.watch)
    yield context
    context.close()
    assert complaints.unexpected == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
