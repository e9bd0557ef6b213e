"""SQL functions of sums, which generate/dialects spells."""

from typing import Any

import sqlalchemy as sa

from kscope.declare.model import Column
from kscope.declare.types.base import Storage
from kscope.generate.expressions import Spelled, slots_of
from kscope.generate.tables import ROLLUP_ROWS


class total(Spelled):  # noqa: N801 - SQL functions are lower case
    """The sum of whole numbers that are not negative; 0 if there are none.

    It is exact below 2**53, floating point above, and stops at 2**63 - 1. MySQL adds floating
    point in a fraction of the time that its decimals take.
    """

    type = sa.BigInteger()


def sum_of(table: sa.FromClause, column: Column) -> sa.ColumnElement[Any]:
    """Return the sum of a value column: one of whole numbers is a `total`."""
    stored = table.c[column.name]
    return total(stored) if column.type.storage is Storage.INTEGER else sa.func.sum(stored)


def weight(table: sa.FromClause) -> sa.ColumnElement[int]:
    """Return the number of rows of the category: counted, or read from finer sums."""
    return total(table.c[ROLLUP_ROWS]) if ROLLUP_ROWS in table.c else sa.func.count()


class grand_total(Spelled):  # noqa: N801
    """The same over all groups of a statement."""

    type = sa.BigInteger()


# Columns of `with_slots`.
SLOT, SLOT_EVENTS = "kscope_slot", "kscope_events"


class sum_of_slots(Spelled):  # noqa: N801
    """The sum of histograms, for dialects that have one: the text of a histogram."""

    everywhere = False
    type = sa.Text()


def with_slots(table: sa.Table, histogram: str) -> sa.Subquery:
    """Return the table with a row for each slot of a histogram column: its number and its events.

    A row without events is not in it.
    """
    listed = slots_of(table.c[histogram]).table_valued("key", "value", name="kscope_slots")
    slot = sa.cast(listed.c.key, sa.BigInteger()).label(SLOT)
    return (
        sa.select(*table.c, slot, listed.c.value.label(SLOT_EVENTS))
        .select_from(table.join(listed, sa.true()))
        .where(listed.c.key.is_not(None))
        .subquery()
    )
