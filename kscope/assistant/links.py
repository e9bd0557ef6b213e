"""The page's view of an answer, if the address of the page is known."""

from urllib.parse import quote

from kscope.assistant.arguments import Call
from kscope.query.across.links import page_link
from kscope.query.parse.parameters import BASE, PRESET
from kscope.query.parse.timerange import TimeRange

_VIEWS = {
    "flamegraph": "flame",
    "search": "flame",
    "compare": "compare",
    "hosts": "hosts",
    "rows": "rows",
}
_USUAL = "charts"
# The page's name of a parameter is the same.
_SAME = ("value", "stack")
_NO_PRESETS = "-"
# Characters: some filters have thousands.
_LONGEST = 4000


def link(page: str, call: Call, span: TimeRange, base: TimeRange | None = None) -> str:
    """Return the address of the view; an empty text without a page, or if it is very long."""
    found = _address(page, call, span, base) if page else ""
    return found if len(found) <= _LONGEST else ""


def _address(page: str, call: Call, span: TimeRange, base: TimeRange | None) -> str:
    if call.tool.name in ("changes", "overview", "markers"):
        panel = "&panel=changes" if call.tool.name == "changes" else ""
        return page + page_link("", span, call.filters).replace("table=&", "") + panel
    own = [each for each in call.filters if not each[0].startswith(BASE)]
    based = [
        (name.removeprefix(BASE), text) for name, text in call.filters if name.startswith(BASE)
    ]
    presets = ";".join(text for name, text in call.request if name == PRESET.name) or _NO_PRESETS
    more = [(name, text) for name, text in call.request if name in _SAME and text]
    more += [("presets", presets), *(("base.filter", f"{name}={text}") for name, text in based)]
    view = _VIEWS.get(call.tool.name, _USUAL)
    address = page_link(call.table, span, own, view, base)
    return page + address + "".join(f"&{name}={quote(text, safe=':=,;/@')}" for name, text in more)
