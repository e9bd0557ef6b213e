"""Compiled regular expressions of filters."""

from collections.abc import Callable, Iterator, Sequence
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
        return _compile(where.value, _MEMORY)
    except re2.error as error:
        said = error.args[0] if error.args else "not understood"
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise complain(where.parameter, f"not a regular expression (RE2): {said}") from None


class SeveralPatterns:
    """Patterns of category files: a text is searched for all at once, then for fewer and fewer."""

    def __init__(self, wanted: Sequence[Condition]) -> None:
        """Raise QueryError if a pattern is none, or too large."""
        self._wanted = wanted
        middle = len(wanted) // 2
        halves = (wanted[:middle], wanted[middle:]) if middle else ()
        self._halves = [SeveralPatterns(half) for half in halves]
        search = None if halves else compiled(wanted[0]).search
        self._search = search or _search_of_any(wanted)

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


def _search_of_any(wanted: Sequence[Condition]) -> Callable[[str], Any]:
    """Return a search that finds something where any of the patterns does."""
    text = "|".join(f"(?:{each.value})" for each in wanted)
    try:
        return _compile(text, _MEMORY_OF_SEVERAL).search  # type: ignore[no-any-return]
    except re2.error:
        # Each alone is none too large: all texts are searched for each half.
        return lambda _: True


def _compile(text: str, memory: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    # Groups are not used, and each would make a search slower.
    options.never_capture = True
    try:
        return re2.compile(text, options=options)
    finally:
        # The library would keep the last 128 permanently.
        re2.purge()
