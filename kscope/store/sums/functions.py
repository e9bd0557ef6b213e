"""SQL functions of sums that each engine spells in its own way."""

from __future__ import annotations

import sqlalchemy as sa

from kscope.generate.expressions import Spelled

# Cut to 64 bits first, so that the engine need not warn of it.
_MYSQL = "COALESCE(CAST(LEAST(SUM(CAST({{0}} AS DOUBLE)){0}, 9223372036854775807) AS SIGNED), 0)"


class total(Spelled):  # noqa: N801 - SQL functions are lower case
    """The sum of whole numbers, of which none is negative; 0 if there are none.

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
