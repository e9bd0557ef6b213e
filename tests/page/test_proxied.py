"""The page behind a real nginx with TLS, below a path."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.nginx import BASE, PROXY, nginx
from tests.page import world
from tests.page.bar import choose_type
from tests.page.test_looks import PICTURES
from tests.server.test_access import make_token
from tests.server.test_tls import Issuer
from tests.serving import few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.browserfixtures import Complaints

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def token() -> tuple[str, str]:
    return make_token("read", "ingest")


@pytest.fixture(scope="module", params=["kept", "stripped"])
def address(
    request: pytest.FixtureRequest,
    built_page: None,
    token: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The page's, without a slash at the end; nginx keeps the path or takes it away."""
    del built_page
    folder = tmp_path_factory.mktemp("proxied")
    flags = few(folder, "agent", "runqlat")
    with (folder / "few.yaml").open("a") as file:
        file.write(f"database: {{sqlite: k.db}}\nbase_path: {BASE}\nlinks: links.db\n")
        file.write(f"trusted_proxies: [{PROXY}]\ntokens:\n{token[1]}")
    certificate = Issuer(folder / "ca").begin().issue("proxy")
    strips = request.param == "stripped"
    with serving(folder, *flags) as server:
        server.client.headers["Authorization"] = f"Bearer {token[0]}"
        rows = world.fleet(datetime.now(UTC))
        world.send(server, "offcputime", rows)
        world.send(server, "agent", world.reports(rows))
        own = nginx(folder / "nginx", server.read, server.ingest, certificate, strips=strips)
        with own as url:
            yield url


@pytest.fixture
def context(
    browser: Browser, token: tuple[str, str], complaints: Complaints
) -> Iterator[BrowserContext]:
    """A browser whose user gives the token, and trusts the certificate."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900},
        ignore_https_errors=True,
        http_credentials={"username": "any", "password": token[0]},
    )
    context.set_default_timeout(20_000)
    context.on("page", complaints.watch)
    # The browser reports each answer that asks for the password.
    complaints.expected = "401"
    yield context
    context.close()
    assert complaints.unexpected == []


@pytest.fixture
def asked(context: BrowserContext) -> list[str]:
    """The addresses that all pages have asked for."""
    found: list[str] = []
    context.on("request", lambda request: found.append(request.url))
    return found


def test_the_page_is_drawn_below_the_path(address: str, page: Page, asked: list[str]) -> None:
    """Home, a data type with its charts and its parts; each request goes below it."""
    page.goto(address)
    expect(page.locator(".home h1")).to_be_visible(timeout=60_000)
    assert page.url == f"{address}/"
    choose_type(page, "Off-CPU time")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    expect(page).to_have_url(re.compile(rf"^{re.escape(address)}/\?.*table=offcputime"))
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "proxied.png")
    for view in ("Hosts", "Rows", "Compare"):
        page.get_by_role("tab", name=view).click()
    expect(page).to_have_url(re.compile("view=compare"))
    page.reload()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page).to_have_url(re.compile("view=rows"))
    page.get_by_role("link", name="Kernelscope, home").click()
    expect(page.locator(".home h1")).to_be_visible()
    assert [url for url in asked if not f"{url}/".startswith(f"{address}/")] == []


def test_a_short_link_leads_back(address: str, page: Page) -> None:
    """Of a long address, which the server keeps."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    filters = "".join(f"&filter=process!=nosuch{number:040}" for number in range(12))
    page.goto(f"{address}/?table=offcputime{filters}&from=now-2h")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Share").click()
    page.get_by_role("menuitem", name="Link to what is shown now").click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(rf"{re.escape(address)}/s/[\w-]{{10}}", link), link
    page.goto(link)
    expect(page).to_have_url(re.compile(rf"^{re.escape(address)}/\?.*nosuch"))
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()


def test_files_and_speedscope_come_through_it(address: str, page: Page) -> None:
    """Made by the server, and made here."""
    page.goto(f"{address}/?table=offcputime&view=rows")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    assert saved.value.path().read_text().startswith("time,hostname,")
    page.goto(f"{address}/?table=offcputime")
    expect(page.get_by_role("table", name="Frames").locator("tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Export").click()
    with page.context.expect_page() as opened:
        page.get_by_role("menuitem", name="Open in speedscope").click()
    expect(opened.value.locator("body")).to_contain_text("Left Heavy", timeout=30_000)
    assert opened.value.url.startswith(f"{address}/speedscope/")


def test_a_new_category_is_checked_there(address: str, page: Page) -> None:
    """The page of `/new`, and its way home."""
    page.goto(f"{address}/new")
    page.locator("textarea").fill("table: waits\ncolumns:\n  - {name: process, type: nosuch}\n")
    expect(page.locator("body")).to_contain_text("nosuch", timeout=20_000)
    page.get_by_role("link", name="Kernelscope").click()
    expect(page).to_have_url(f"{address}/")


def test_commands_to_copy_have_the_proxys_address(address: str, page: Page) -> None:
    """With its path, for an agent, and for a row that a script sends."""
    page.goto(f"{address}/?table=runqlat")
    command = page.locator(".command code").first
    expect(command).to_contain_text(f"--server {address} --token-file FILE")
    expect(page.locator("body")).not_to_contain_text("Write where your proxy takes rows")
