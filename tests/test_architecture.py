"""docs/architecture.md and its picture name files that exist, each once."""

from __future__ import annotations

import re

from tests.serving import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
PICTURE = (ROOT / "docs" / "architecture.svg").read_text()


def test_every_file_on_the_page_exists_and_is_named_once() -> None:
    """A file that moves takes its line on the page along."""
    named = re.findall(r"`([^`]*/[^`]*)`", PAGE)
    assert len(named) > 40
    assert [name for name in named if not (ROOT / name.rstrip("/")).exists()] == []
    files = [name for name in named if not name.endswith("/")]
    assert sorted(files) == sorted(set(files))


def test_the_picture_shows_the_files_of_the_page() -> None:
    """Each number of the picture stands for the file of the same number on the page."""
    lines = dict(re.findall(r"^\| (\d+) \| `([^`]+)` \|", PAGE, re.MULTILINE))
    boxes = dict(re.findall(r">(\d+)</text><text[^>]*>([^<]+)<", PICTURE))
    assert [*lines] == [str(number + 1) for number in range(len(lines))] == [*boxes]
    assert [number for number, name in boxes.items() if not lines[number].endswith(name)] == []
