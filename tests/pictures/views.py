"""The pictures of the docs: where each is taken, and the part of the page that it waits for."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH, HEIGHT = 1440, 900
THEMES = ("light", "dark")


@dataclass(frozen=True)
class View:
    """An address of the page and a selector of what is there once it is drawn.

    `{range}` is all that is shown, `{release}` a selection of the time since the release.
    """

    address: str
    shown: str
    height: int = HEIGHT


_FRAMES = "table[aria-label=Frames] tbody tr"
_STACKS = "/?table=offcputime&{range}"
VIEWS = {
    "home": View("/?{range}", ".home .type", height=540),
    "flame": View(f"{_STACKS}&filter=hostname=web-1{{release}}", _FRAMES),
    "changes": View(f"{_STACKS}{{release}}&panel=changes", ".panel .remarks"),
    "compare": View(f"{_STACKS}{{release}}&view=compare&filter=process=shop", _FRAMES),
    "rows": View(f"{_STACKS}{{release}}&view=rows", "table[aria-label=Rows] tbody tr"),
}


def files() -> list[str]:
    """Return the names of all pictures."""
    return [f"{name}-{theme}.png" for name in VIEWS for theme in THEMES]
