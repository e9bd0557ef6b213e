"""Links between the documents: files, headings and pictures that they name exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from benchmarks.report.markdown import anchor
from tests.pictures.views import files
from tests.serving import ROOT

DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for folder in (".", "docs", "docs/reference", "packaging", "web", "benchmarks")
    for path in (ROOT / folder).glob("*.md")
)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_SOURCE = re.compile(r"(?:srcset|src)=\"([^\"]+)\"")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
PICTURES = "docs/pictures"
MOST_OF_ONE, MOST_OF_ALL = 200_000, 1_500_000


@cache
def text_of(document: Path) -> str:
    """Return the document without its code."""
    return _CODE.sub("", (ROOT / document).read_text())


@cache
def headings(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(), re.MULTILINE)
    return {anchor(title) for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    """To a file, and if it has one, to a heading of it."""
    for name, place in _LINK.findall(text_of(document)):
        target = (ROOT / document.parent / unquote(name)).resolve() if name else ROOT / document
        assert target.exists(), name
        if place and target.suffix == ".md":
            assert place in headings(target.relative_to(ROOT)), f"{name}#{place}"


def test_every_page_is_in_the_index() -> None:
    """A reader who starts at docs/README.md can reach each page."""
    index = text_of(Path("docs/README.md"))
    listed = {Path(name).name for name, _ in _LINK.findall(index)}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages - {"README.md"} <= listed


def test_pictures_are_those_of_the_script() -> None:
    """Each picture that a document shows is one that scripts/pictures takes; none is left over."""
    there = {path.name for path in (ROOT / PICTURES).iterdir()}
    assert there == set(files())
    shown = {
        Path(name).name
        for document in DOCUMENTS
        for name in _SOURCE.findall((ROOT / document).read_text())
        if f"{PICTURES.rpartition('/')[2]}/" in name
    }
    assert shown == there


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_pictures_that_are_named_exist(document: Path) -> None:
    for name in _SOURCE.findall((ROOT / document).read_text()):
        if not name.startswith("http"):
            assert (ROOT / document.parent / name).is_file(), name


def test_pictures_are_small() -> None:
    """A clone stays small."""
    sizes = [path.stat().st_size for path in (ROOT / PICTURES).iterdir()]
    assert max(sizes) < MOST_OF_ONE
    assert sum(sizes) < MOST_OF_ALL
