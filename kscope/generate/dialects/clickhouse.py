"""ClickHouse 25.3 and later."""

import sqlalchemy as sa

from kscope.generate.clickhouse.dialect import NAME, ClickHouseDDL, HistogramMap
from kscope.generate.clickhouse.statements import lease_creation
from kscope.generate.dialects.base import Dialect

# The sum of 64-bit numbers wraps without a word. `least` takes no notice of NULL.
_TOTAL = "toInt64(least(ifNull(sum(toInt128({{0}})){0}, 0), toInt128(9223372036854775807)))"
_LOG2 = "toInt64(round(log2(greatest(roundToExp2(toUInt64({})), 1))))"
CLICKHOUSE = Dialect(
    name=NAME,
    file="clickhouse",
    functions={
        "readable_time": "fromUnixTimestamp64Micro({0}, 'UTC')",
        "position": "position({0}, {1})",
        "exact": "{0}",
        # No divisor is 0: one that could be is NULL already, which makes groups slower.
        "whole_divide": "intDiv({0}, {1})",
        "whole": "toInt64({0})",
        "whole_mean": "intDivOrZero({0}, {1})",
        # Both lists as constants of one type, as the number has it.
        "place_among": (
            "transform(roundDown(ifNull({0}, 0), CAST([{1}] AS Array(Int64))),"
            " CAST([{1}] AS Array(Int64)), CAST([{2}] AS Array(Int64)), 0)"
        ),
        # CAST AS DOUBLE fails on NULL.
        "as_double": "toFloat64({0})",
        "newest": "max(concat(leftPad(toString({0}), 20, '0'), toString({1})))",
        # A constant once it is bound, so that the table's order serves IN.
        "listed": "JSONExtract({0}, 'Array(Int64)')",
        "ids_by_hash": "JSONExtract({1}, 'Array(Int64)')",
        "listed_texts": "JSONExtract({0}, 'Array(String)')",
        "listed_pairs": (
            "(SELECT tupleElement(pair, 1) AS first, tupleElement(pair, 2) AS second FROM (SELECT"
            " arrayJoin(JSONExtract({0}, 'Array(Tuple(Int64, Int64))')) AS pair))"
        ),
        "has_slot": "mapContains({0}, toUInt8({1}))",
        # Exact on whole numbers: a power of two, and its logarithm. Without a weight it is 62.
        "log2_slot": _LOG2.format("greatest(ifNull({0}, 0), 0)"),
        "log2_slot_of_mean": (
            "if(ifNull({1}, 0) <= 0, 62, "
            + _LOG2.format("intDivOrZero(greatest(ifNull({0}, 0), 0), {1})")
            + ")"
        ),
        "sum_of_slots": "sumMap({0})",
        "total": _TOTAL.format(""),
        "grand_total": _TOTAL.format(" OVER ()"),
    },
    types={"string_id": sa.BigInteger(), "histogram": HistogramMap()},
    texts_by_hash=True,
    reads_in_parallel=True,
    columnar=True,
    locks_tables=False,
    seq_is_unique=False,
    correlates=False,
    transactional=False,
    preamble=(lease_creation(ClickHouseDDL()),),
    maker=ClickHouseDDL,
)
DIALECTS = (CLICKHOUSE,)
