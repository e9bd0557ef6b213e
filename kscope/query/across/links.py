"""Addresses of the page, as its state/address.ts reads them."""

from collections.abc import Sequence
from urllib.parse import quote

from kscope.query.parse.timerange import TimeRange, iso

Filters = Sequence[tuple[str, str]]


def moment(time: int) -> str:
    """Write a time as the page does: without a fraction of zero."""
    return iso(time).replace(".000000Z", "Z")


def page_link(
    table: str, span: TimeRange, filters: Filters, view: str = "", base: TimeRange | None = None
) -> str:
    """Return the address of a table's view with range, filters and the comparison's other range."""
    pairs = [("table", table), ("from", moment(span.start)), ("to", moment(span.end))]
    if view:
        pairs.append(("view", view))
    if base:
        pairs += [("base.from", moment(base.start)), ("base.to", moment(base.end))]
    pairs += [("filter", f"{name}={value}") for name, value in filters]
    return "/?" + "&".join(f"{name}={quote(text, safe=':=,;/@')}" for name, text in pairs)
