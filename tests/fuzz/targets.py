"""All that is fuzzed, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz import files_in, questions, rows_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    each.name: each for each in (*rows_in.TARGETS, *questions.TARGETS, *files_in.TARGETS)
}
