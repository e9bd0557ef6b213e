"""A day that is always recent: rows of it are not yet removed by age, whenever the tests run."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_FIRST = datetime.fromtimestamp(time.time(), UTC) - timedelta(days=4)
DAY, DAY_AFTER, _THIRD = (f"{_FIRST + timedelta(days=each):%Y-%m-%d}" for each in range(3))
NOON = f"{DAY}T12:00:00Z"
NOON_SECONDS = int(datetime.fromisoformat(NOON).timestamp())
# As parameters of a question; and that day's noon, as options of `kscope import`.
SPAN = {"from": DAY, "to": DAY_AFTER}
TWO_DAYS = {"from": DAY, "to": _THIRD}
MOMENT = ("--time", NOON)
