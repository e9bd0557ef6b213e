"""Compiled regular expressions of filters."""

from collections.abc import Iterator, Sequence
from typing import Any

import re2

from kscope.query.parse.errors import complain
from kscope.query.sql.conditions import Condition

# Bytes of one compiled pattern and its states. One that needs more is refused, and so is a long
# one: to compile takes time in which nothing else runs.
_MEMORY = 1 << 20
_MAX_PATTERN = 1000
# Of several patterns in one: it has room for the states of all, and is thrown away after use.
_MEMORY_OF_SEVERAL = 32 << 20


def compiled(where: Condition) -> Any:
    """Compile the pattern of a filter. Raise QueryError if it is none, or too large."""
    if len(where.value) > _MAX_PATTERN:
        fault = f"the pattern has {len(where.value):,} characters"
        raise complain(where.parameter, f"{fault}; use at most {_MAX_PATTERN:,}")
    try:
        return re2.compile(where.value, options=_options(_MEMORY))
    except re2.error as error:
        said = error.args[0] if error.args else "not understood"
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise complain(where.parameter, f"not a regular expression (RE2): {said}") from None
    finally:
        # The library would keep the last 128 permanently.
        re2.purge()


class SeveralPatterns:
    """Patterns of category files: a text is searched for all at once, then for fewer and fewer."""

    def __init__(self, wanted: Sequence[Condition]) -> None:
        """Raise QueryError if a pattern is none, or too large."""
        self._wanted = wanted
        alone = len(wanted) == 1
        middle = len(wanted) // 2
        self._search = (compiled(wanted[0]) if alone else _joined(wanted)).search
        halves = () if alone else (wanted[:middle], wanted[middle:])
        self._halves = [SeveralPatterns(half) for half in halves]

    @property
    def patterns(self) -> list[str]:
        return [each.value for each in self._wanted]

    def matching(self, text: str) -> Iterator[str]:
        """Yield the patterns that match a text: most texts match none."""
        if not self._search(text):
            return
        if not self._halves:
            yield self._wanted[0].value
        for half in self._halves:
            yield from half.matching(text)


def _joined(wanted: Sequence[Condition]) -> Any:
    """Compile one pattern that matches where any of several does."""
    text = "|".join(f"(?:{each.value})" for each in wanted)
    return re2.compile(text, options=_options(_MEMORY_OF_SEVERAL))


def _options(memory: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    # Groups are not used, and each would make a search slower.
    options.never_capture = True
    return options
