"""The work of one commit on an engine without transactions: in steps, each of which may be the last.

A batch with a key is stored once, whatever dies and whoever sends it again:

1. its key is noted as begun,
2. its rows are stored: all rows of one table and day by one statement, whole or not at all,
3. the sums of those that come late are stored, by table, level and day,
4. its key is noted as done, and the sender gets its answer.

A key that is begun and not done is in doubt. While its statements may still run, its sender hears
that it should come again. Afterwards the rows that are there are counted, and only the others are
stored. Two clocks do not matter: every time is the engine's, and it refuses rows that come late.

Buckets are closed in the background, see housekeeping/close_in_engine.py. A row of a bucket that is
being closed, or is closed, is late: it is marked so, and the sums of the bucket leave it out.
"""

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from kscope.generate.clickhouse.tables import BEGUN, COMMIT, DONE, LATE, STATE, UNTIL
from kscope.generate.tables import CategoryTables
from kscope.store.backends.clickhouse import WRITE_SECONDS, ClickHouseSession
from kscope.store.backends.errors import BatchInDoubt, StaleDeclaration
from kscope.store.backends.in_thread import in_thread
from kscope.store.schema.closing import Closing, closing_note, closing_of
from kscope.store.schema.interning import STACKS, STRINGS
from kscope.store.schema.meta import can_hold, category_note, declared_types
from kscope.store.sums.grouping import Columns, summed, summed_names
from kscope.store.write.batch import Batch, Stored, TableRows
from kscope.store.write.transaction import Transaction, by_table, counts_of, merged
"""placeholder"""
