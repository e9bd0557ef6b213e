"""Category files come from people, and the page's checker takes text from anyone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kscope.declare.files.category import Reading, read_category
from kscope.declare.model import Catalog
from kscope.generate.render import render

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = [
    yaml.safe_load(file.read_text())
    for file in [
        *sorted((ROOT / "categories").glob("*.yaml")),
        ROOT / "tests/cases/every_type/categories/everything.yaml",
    ]
]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["stack", "elapsed", "1h", "14d", "key.comm", "select", "flamegraph"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, child in items for place in places(child, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


@st.composite
def mutated(draw: st.DrawFn) -> str:
    value = draw(st.sampled_from(EXAMPLES))
    for _ in range(draw(st.integers(1, 3))):
        value = put(value, draw(st.sampled_from(places(value))), draw(ANYTHING))
    return yaml.safe_dump(value, allow_unicode=True)


def is_sound(reading: Reading) -> bool:
    """It is either refused with words, or it is a category that everything can be made from."""
    if reading.category is None:
        return bool(reading.problems) and all(p.message and p.line >= 0 for p in reading.problems)
    return not reading.problems and bool(render(Catalog((reading.category,))))


@settings(max_examples=100, deadline=None)
@given(mutated())
def test_a_file_with_anything_in_any_place_is_refused_with_words_or_works(text: str) -> None:
    """No value in any place of a category file raises, and what is accepted renders."""
    assert is_sound(read_category(text, "x.yaml"))


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text(alphabet="{}[]:,&*!|>-#'\"\n\t %@`?ab1~", max_size=60))
def test_any_text_is_refused_with_words(text: str) -> None:
    """Text that is no category at all is refused, and never raises."""
    assert is_sound(read_category(text, "x.yaml"))


def test_what_unfolds_or_nests_is_refused_quickly() -> None:
    """Billions of laughs, deep nesting and great size are refused before they cost anything."""
    laughs = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)
    )
    for text in (laughs, "[" * 100_000, "x: " * 50, "a" * 300_000, "n: " + "9" * 10_000):
        reading = read_category(text, "x.yaml")
        assert reading.category is None
        assert reading.problems
