"""Tables, as GitHub's Markdown has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines; a column that is empty in every row is left out."""
    body = [tuple(map(_cell, row)) for row in rows]
    kept = [index for index, _ in enumerate(head) if any(row[index] for row in body)]
    lines = [tuple(head), tuple("---" for _ in head), *body]
    return [f"| {' | '.join(line[index] for index in kept)} |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
