"""docs/operating.md as sections of blocks, each with the machine that it runs on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.serving import ROOT

GUIDE = "docs/operating.md"
_PART = re.compile(
    r"^## (?P<heading>[^\n]+)$|^```sh\n# (?P<place>[^\n]+)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    heading: str
    place: str
    text: str


def guide() -> list[Block]:
    """Return the guide's blocks in their order. Every one begins with the place where it runs."""
    text = (ROOT / GUIDE).read_text()
    blocks, heading = [], ""
    for found in _PART.finditer(text):
        if found["heading"]:
            heading = found["heading"]
        else:
            blocks.append(Block(heading, found["place"], found["text"]))
    assert len(blocks) == text.count("```sh"), "a block does not say where it runs"
    return blocks
