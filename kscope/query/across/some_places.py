"""The rows of a table at some of its places, as a condition that costs little for each row."""

import functools
import operator
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.generate.dialects import DIALECTS
from kscope.query.scan.scan import Scan
from kscope.query.sql.expressions import ids
from kscope.store.sums.planner import Segment

# Of a place: numbers that tell most places apart, as one number of 64 bits.
_BITS = 2**40 - 1
_PRIMES = (1, 786_433, 393_241, 196_613, 98_317, 49_157)
_WHOLE = (Storage.STRING_ID, Storage.STACK_ID, Storage.INTEGER, Storage.BOOLEAN)


def numbers_of(by: Sequence[Column], wanted: Iterable[tuple[Any, ...]]) -> list[int]:
    """Return a number for each of the places; few others have the same."""
    places = [(i, prime) for (i, _), prime in zip(_whole(by), _PRIMES, strict=False)]
    return list({sum((key[i] & _BITS) * prime for i, prime in places) for key in wanted})


def only(scan: Scan, by: Sequence[Column], numbers: Sequence[int]) -> Scan:
    """Return the scan of the rows at some places, and of few others that have the same number."""

    def chosen(segment: Segment) -> sa.FromClause:
        table = segment.table
        # Ids of texts have no more bits, unless they are hashes; truth values never have.
        hashes = DIALECTS[scan.reader.dialect].texts_by_hash
        small = (Storage.BOOLEAN,) if hashes else (Storage.BOOLEAN, Storage.STRING_ID)
        parts = (
            _bits(table.c[column.name], column, small) * prime
            for (_, column), prime in zip(_whole(by), _PRIMES, strict=False)
        )
        number = functools.reduce(operator.add, parts)
        return sa.select(table).where(segment.within, ids(number, numbers)).subquery()

    return scan.over(chosen)


def _bits(
    stored: sa.ColumnElement[int], column: Column, small: Collection[Storage]
) -> sa.ColumnElement[int]:
    """Return the last bits of a number; those of a `small` storage have no more."""
    return stored if column.type.storage in small else stored.bitwise_and(_BITS)


def _whole(by: Sequence[Column]) -> list[tuple[int, Column]]:
    return [(i, each) for i, each in enumerate(by) if each.type.storage in _WHOLE]
