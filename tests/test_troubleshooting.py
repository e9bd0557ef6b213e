"""docs/troubleshooting.md: the messages that it quotes are those of the program."""

from __future__ import annotations

import re

import pytest

from tests.serving import ROOT
from tests.source_texts import is_said

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
TABLES = re.findall(r"^\| message \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
MESSAGES = [
    one or other
    for table in TABLES
    for one, other in re.findall(r"^\| (?:`` (.+?) ``|`([^`]+)`)[ ,]", table, re.MULTILINE)
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_the_programs(message: str) -> None:
    """A user finds by it what they see."""
    assert is_said(message)


def test_every_line_of_a_table_quotes_a_message() -> None:
    assert len(MESSAGES) == sum(table.count("\n") for table in TABLES) > 30
