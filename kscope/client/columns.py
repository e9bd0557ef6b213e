"""A body whose rows are columns: smaller than rows, and read faster by a server.

A column is an array of what its rows would hold, or one of two shorter forms:
- texts that repeat: `{"strings": [places]}`, places in the array `strings` of the body;
- histograms: `{"slots": [...], "counts": [...], "ends": [...]}`, the slots that are not empty, one
  row after the other; row i has those from `ends[i - 1]` up to `ends[i]`.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, compress, pairwise, repeat
from operator import itemgetter
from typing import Any

# Fewer rows stay rows: a person can read them, and columns would gain nothing.
_FEWEST_ROWS = 64
# A longer histogram is refused as it is, though its last slots may be empty.
_MOST_SLOTS = 64
_PLAIN = frozenset({str, int, float, bool, type(None)})


def in_columns(body: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    """Return the body with its table's rows as columns; the same one if they are few, or unlike."""
    rows = body[table]
    if len(rows) < _FEWEST_ROWS or "strings" in body:
        return body
    strings: dict[str, int] = {}
    columns = {}
    for name, values in _turned(rows).items():
        column = _column(values, strings)
        if column is None:
            return body
        columns[name] = column
    if not columns:
        return body
    envelope = {name: value for name, value in body.items() if name != table}
    return envelope | ({"strings": list(strings)} if strings else {}) | {table: columns}


def in_rows(body: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    """Return the body with the columns that `in_columns` made as rows; the same one if it has none.

    A damaged body raises any exception.
    """
    columns = body.get(table)
    if not isinstance(columns, dict):
        return body
    envelope = {name: value for name, value in body.items() if name not in ("strings", table)}
    strings = body.get("strings", ())
    values = [_values(column, strings) for column in columns.values()]
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return envelope | {table: rows}


def _turned(rows: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """Return the values of each column; nothing if not all rows have the same columns."""
    names = list(rows[0])
    if not names or set(map(len, rows)) != {len(names)}:
        return {}
    try:
        return {name: list(map(itemgetter(name), rows)) for name in names}
    except KeyError:
        return {}


def _column(values: Sequence[Any], strings: dict[str, int]) -> Any:
    """Return the shortest form of a column, or None for values that only a row can hold."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return _texts(values, strings)
    if kinds == {list}:
        return _histograms(values)
    return values if kinds <= _PLAIN else None


def _texts(texts: Sequence[str], strings: dict[str, int]) -> Any:
    """Return places in `strings`, which new texts are added to; the texts if most occur once."""
    different = dict.fromkeys(texts)
    if 2 * len(different) > len(texts):
        return texts
    for text in different:
        strings.setdefault(text, len(strings))
    return {"strings": list(map(strings.__getitem__, texts))}


def _histograms(rows: Sequence[list[Any]]) -> Any:
    """Return the slots that are not empty, or None if a row has no counts by slot."""
    counts = list(chain.from_iterable(rows))
    if max(map(len, rows)) > _MOST_SLOTS or set(map(type, counts)) - {int}:
        return None
    slots = chain.from_iterable(map(range, map(len, rows)))
    return {
        "slots": list(compress(slots, counts)),
        "counts": list(filter(None, counts)),
        "ends": list(accumulate([len(row) - row.count(0) for row in rows])),
    }


def _values(column: Any, strings: Sequence[str]) -> Sequence[Any]:
    """Return what the rows hold of a column."""
    if not isinstance(column, dict):
        return list(column)
    if "strings" in column:
        return [strings[place] for place in column["strings"]]
    pairs = list(zip(column["slots"], column["counts"], strict=True))
    return [_counts(pairs[start:end]) for start, end in pairwise([0, *column["ends"]])]


def _counts(pairs: Sequence[tuple[int, int]]) -> list[int]:
    last = max((slot for slot, _ in pairs), default=-1)
    if last >= _MOST_SLOTS:
        raise ValueError(f"slot {last} is not one of a histogram's {_MOST_SLOTS}")
    counts = list(repeat(0, last + 1))
    for slot, count in pairs:
        counts[slot] = count
    return counts
