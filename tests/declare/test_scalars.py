"""Unquoted words are read as PyYAML reads them, or refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kscope.declare.files import yaml_words as scalars

WORDS = st.text(alphabet="0123456789abcdefxoXO_.:+-eE~TtZ ", min_size=1, max_size=24) | (
    st.sampled_from(["yes", "NO", "On", "off", "y", "n", "null", "Null", "~", "true", "FALSE"])
    | st.from_regex(r"\A[-+]?0[0-7_]{1,5}\Z")
    | st.from_regex(r"\A\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d)?(Z|[+-]\d\d)?)?\Z")
    | st.from_regex(r"\A[-+]?\d{1,3}(:[0-5]?\d){1,3}(\.\d*)?\Z")
)


def by_pyyaml(word: str) -> Any:
    """Resolve and construct the word as one plain scalar; the error if that raises."""
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, word, (True, False))
    try:
        return loader.construct_object(yaml.ScalarNode(tag, word))
    except (ValueError, OverflowError, yaml.YAMLError) as error:
        return error


@settings(max_examples=1500, deadline=None)
@given(WORDS)
@example("12:30:45.5")
@example("1e3")
@example("0o17")
@example(".5")
@example("-.5")
@example("5.5e3")
@example("-.5e3")
@example("5.e+3")
@example("1e9999")
def test_a_word_has_pyyamls_value_or_is_refused(word: str) -> None:
    """Nothing is read as a third thing; what raises there is refused here or stays text."""
    read, expected = scalars.read(word), by_pyyaml(word)
    if read.refused:
        assert read.cure
        assert read.value is None
        return
    if isinstance(expected, Exception):
        assert read.value == word
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(read.value)
    else:
        assert (read.value, type(read.value)) == (expected, type(expected))


@pytest.mark.parametrize("word", ["no", "On", "~", "1_000", "0x1F", "1e3", ".inf", ""])
def test_a_word_of_two_meanings_has_a_cure(word: str) -> None:
    assert scalars.read(word).cure


@pytest.mark.parametrize("word", ["true", "false", "5", "-1", "0", "0.5", "y", "n", "8080", "a b"])
def test_a_plain_word_has_none(word: str) -> None:
    assert not scalars.read(word).cure
