"""Compiled regular expressions of filters."""

from typing import Any

import re2

from kscope.query.parse.errors import complain
from kscope.query.sql.conditions import Condition

# Bytes of one compiled pattern and its states. One that needs more is refused, and so is a long
# one: to compile takes time in which nothing else runs.
_MEMORY = 1 << 20
_MAX_PATTERN = 1000


def compiled(where: Condition) -> Any:
    """Compile the pattern of a filter. Raise QueryError if it is none, or too large."""
    if len(where.value) > _MAX_PATTERN:
        fault = f"the pattern has {len(where.value):,} characters"
        raise complain(where.parameter, f"{fault}; use at most {_MAX_PATTERN:,}")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    # Groups are not used, and each would make a search slower.
    options.never_capture = True
    try:
        return re2.compile(where.value, options=options)
    except re2.error as error:
        said = error.args[0] if error.args else "not understood"
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise complain(where.parameter, f"not a regular expression (RE2): {said}") from None
    finally:
        # The library would keep the last 128 permanently.
        re2.purge()
