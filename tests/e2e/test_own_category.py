"""A data type of one's own: a file dropped in, one POST, and its page is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.serving import serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

DECLARATION = """\
table: cpu
columns:
  - {name: process, type: string, prettyname: Process}
  - {name: stack, type: stack, prettyname: Stack}
  - {name: ran, type: elapsed, prettyname: CPU time}
"""


@pytest.mark.browser
def test_one_post_later_the_page_shows_a_dropped_in_table(
    built_page: None, page: Page, tmp_path: Path
) -> None:
    """Without a restart and without a line of code: its rows and a flame graph of them."""
    del built_page
    folder = tmp_path / "categories"
    folder.mkdir()
    with serving(tmp_path, "--categories", folder) as server:
        (folder / "cpu.yaml").write_text(DECLARATION)
        row = {"process": "mysqld", "stack": "main;do_work;memcpy", "ran": 5123}
        server.post({"hostname": "web-001", "cpu": [row]})
        page.goto(f"{server.read}/?table=cpu")
        frames = page.get_by_role("table", name="Frames")
        frames.get_by_role("button", name="memcpy").wait_for()
        assert "5.12 ms" in frames.inner_text()
        page.get_by_role("tab", name="Rows").click()
        page.get_by_role("table", name="Rows").get_by_text("mysqld").wait_for()
