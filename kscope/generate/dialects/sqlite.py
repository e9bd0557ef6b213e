"""SQLite."""

import sqlalchemy as sa

from kscope.generate.dialects.base import Dialect

_LISTED = "(SELECT value FROM json_each({0}))"
SQLITE = Dialect(
    name="sqlite",
    functions={
        # Julian-day arithmetic would round the microseconds: they are printed from the integer.
        "readable_time": (
            "(strftime('%Y-%m-%d %H:%M:%S', {0} / 1000000, 'unixepoch')"
            " || printf('.%06d', {0} % 1000000))"
        ),
        "exact": "{0}",
        "whole": "CAST({0} AS INTEGER)",
        # As text a number would lose its last two digits.
        "newest": "max(printf('%020d', {0}) || iif({1} IS NULL, NULL, printf('%!.17g', {1})))",
        "listed": _LISTED,
        "listed_texts": _LISTED,
        "listed_pairs": (
            "(SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS second"
            " FROM json_each({0}))"
        ),
        "slots_of": (
            "json_each(CASE {0} WHEN '' THEN '{{}}' ELSE"
            """ '{{"' || replace(replace({0}, ',', ',"'), ':', '":') || '}}' END)"""
        ),
        "total": "CAST(total({0}) AS INTEGER)",
        "grand_total": "CAST(total({0}) OVER () AS INTEGER)",
    },
    updates={
        "max": "max({0}, {1})",
        "total": "CAST({0} + 0e0 + {1} AS INTEGER)",
        "join": "trim({0} || ',' || {1}, ',')",
    },
    sorts_groups=True,
    # Only INTEGER PRIMARY KEY is the table's own key.
    types={"serial": sa.Integer()},
    clustered_options={"sqlite_with_rowid": False},
    # Setting it later would take a VACUUM of the whole file.
    preamble=("PRAGMA auto_vacuum=INCREMENTAL",),
    create_view=("DROP VIEW IF EXISTS {0}", "CREATE VIEW {0}"),
)
DIALECTS = (SQLITE,)
