"""Hosts that have stopped sending are named on the page, however long ago that was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.server.test_metrics import eventually, iso
from tests.serving import few, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ROW = {"process": "mysqld", "pid": 1, "stack": "main;futex_wait", "elapsed": 5000}


def test_home_names_hosts_that_are_silent_now(built_page: None, tmp_path: Path, page: Page) -> None:
    """Its last rows may be before the range, or in it."""
    del built_page
    few(tmp_path)
    config = tmp_path / "few.yaml"
    config.write_text(f"{config.read_text()}silent_after: 2s\n")
    with serving(tmp_path, "--config", config, "--sqlite", tmp_path / "s.db") as server:
        before = {**ROW, "time": iso(time.time() - 1800)}
        server.post({"hostname": "db-2", "offcputime": [before]})
        server.post({"hostname": "db-3", "offcputime": [before]})
        server.post({"hostname": "web-1", "offcputime": [ROW]})
        eventually(server, lambda found: found["kscope_hosts_silent"] == 3)
        page.goto(f"{server.read}/?from=now-10m&to=now")
        gone = page.locator(".home .group.gone")
        expect(gone.get_by_role("heading")).to_have_text(
            "3 hosts silent for more than 2 s", timeout=60_000
        )
        expect(gone.get_by_role("listitem").filter(has_text="db-2")).to_contain_text("last seen")
        expect(gone).to_contain_text("web-1")
        page.locator(".home button.host").filter(has_text="web-1").click()
        expect(gone).to_have_count(0)
