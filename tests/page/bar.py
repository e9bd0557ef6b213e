"""The bar on top, as a person uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def field(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Filter or search frames")


def add_filter(page: Page, text: str) -> None:
    """Type it as a person does, after what is in the field."""
    field(page).press("End")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def token(page: Page, words: str) -> Locator:
    """Return the button that edits the filter."""
    return page.locator(".bar .chip").get_by_title(words, exact=True)


def offered(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Completions").get_by_role("option")


def choose_type(page: Page, name: str) -> None:
    page.get_by_role("button", name="Data type").click()
    item = page.get_by_role("menuitemradio").filter(has_text=name)
    item.first.click()
    expect(page.get_by_role("menu")).to_have_count(0)
