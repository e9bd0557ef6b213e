"""SQL functions of sums that each engine spells in its own way."""

from __future__ import annotations

import sqlalchemy as sa

from kscope.generate.expressions import Spelled

# Cut to 64 bits first, so that the engine need not warn of it.
_MYSQL = "COALESCE(CAST(LEAST(SUM(CAST({{0}} AS DOUBLE)){0}, 9223372036854775807) AS SIGNED), 0)"


class total(Spelled):  # noqa: N801 - SQL functions are lower case
    """The sum of whole numbers that are not negative; 0 if there are none.

    It is exact below 2**53, floating point above, and stops at 2**63 - 1. MySQL adds floating
    point in a fraction of the time that its decimals take.
    """

    type = sa.BigInteger()
    sqlite = "CAST(total({0}) AS INTEGER)"
    mysql = _MYSQL.format("")


class grand_total(Spelled):  # noqa: N801
    """The same over all groups of a statement."""

    type = sa.BigInteger()
    sqlite = "CAST(total({0}) OVER () AS INTEGER)"
    mysql = _MYSQL.format(" OVER ()")


# Columns of `with_slots`.
SLOT, SLOT_EVENTS = "kscope_slot", "kscope_events"


class _slots(Spelled):  # noqa: N801
    """The text of a histogram, such as `1:3,5:2`, as a table of `slot` and `events`."""

    sqlite = (
        "json_each(CASE {0} WHEN '' THEN '{{}}' ELSE"
        """ '{{"' || replace(replace({0}, ',', ',"'), ':', '":') || '}}' END)"""
    )
    mysql = (
        "JSON_TABLE(CONCAT('[[', REPLACE(REPLACE({0}, ',', '],['), ':', ','), ']]'),"
        " '$[*]' COLUMNS (`key` BIGINT PATH '$[0]', value BIGINT PATH '$[1]'))"
    )


def with_slots(table: sa.Table, histogram: str) -> sa.Subquery:
    """Return the table with a row for each slot of a histogram column: its number and its events.

    A row without events is not in it.
    """
    listed = _slots(table.c[histogram]).table_valued("key", "value", name="kscope_slots")
    slot = sa.cast(listed.c.key, sa.BigInteger()).label(SLOT)
    return (
        sa.select(*table.c, slot, listed.c.value.label(SLOT_EVENTS))
        .select_from(table.join(listed, sa.true()))
        .where(listed.c.key.is_not(None))
        .subquery()
    )
