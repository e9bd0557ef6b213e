"""A script's row, with JSON values."""

import re
import time
from collections.abc import Mapping
from typing import Any

from kscope.client.answers import one_line
from kscope.client.encoding import timestamp
from kscope.client.values import plain, time_of
from kscope.errors import KscopeError

_TABLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ENVELOPE = frozenset({"hostname", "time", "stacks", "strings"})
_VALUE_BYTES = 16


def row_of(table: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with JSON values. KscopeError names the column, and shows the row."""
    if not isinstance(table, str) or not _TABLE.fullmatch(table) or table in _ENVELOPE:
        raise KscopeError(f"'{one_line(str(table), 60)}' is not the name of a table")
    row = {}
    for name, value in columns.items():
        try:
            row[name] = time_of(value) if name == "time" and value is not None else plain(value)
        except Exception as error:  # noqa: BLE001 - a value's own methods may raise anything
            raise KscopeError(
                f"{table}: column {name}: {error} (in the row {_repr(columns)})"
            ) from None
    if row.get("time") is None:
        row["time"] = timestamp(time.time())
    return row


def _repr(columns: Mapping[str, Any]) -> str:
    """Return the row as text, or its columns if a value has no text."""
    try:
        return one_line(repr(columns))
    except Exception:  # noqa: BLE001 - as above; a huge int has no text either
        return f"with the columns {one_line(', '.join(columns))}"


def size_of(row: Mapping[str, Any]) -> int:
    """Return the approximate size of the row in bytes."""
    long = [len(value) for value in row.values() if isinstance(value, (str, list))]
    return sum(long) + _VALUE_BYTES * len(row)
