"""PostgreSQL's DDL: the whole of a dialect. Copied to kscope/generate/dialects/."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql

from kscope.generate.dialects.base import Dialect

DIALECTS = (
    Dialect(
        name="postgresql",
        functions={"readable_time": "to_timestamp({0} / 1000000.0) AT TIME ZONE 'UTC'"},
        types={"key": postgresql.BYTEA()},
        preamble=("SET timezone = 'UTC'",),
    ),
)
