"""ClickHouse's errors, and its driver's -> ours, with advice for the person who set it up."""

from clickhouse_connect.driver.exceptions import ClickHouseError, DataError
from urllib3.exceptions import HTTPError

from kscope.config import ClickHouse
from kscope.store.backends.errors import (
    FAILED,
    BatchRefused,
    QueryTimeout,
    StoreAway,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFault,
)

FAULTS = (ClickHouseError, HTTPError, OSError)


def server(chosen: ClickHouse) -> str:
    """Name the server in a message."""
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    return f"ClickHouse at {host}:{chosen.port}"


def translated(chosen: ClickHouse, error: Exception) -> StoreError:
    """Return the StoreError for an error of the server or the driver, by its code."""
    where, code = server(chosen), getattr(error, "code", None)
    text = _short(error)
    if isinstance(error, DataError):
        return BatchRefused(f"{where}: {text}")
    if code in _TIMEOUTS:
        return QueryTimeout("the statement was cancelled at its deadline")
    if code in _BUSY:
        return StoreBusy(f"{where}: {text}", 2, public="the database is busy: send again")
    if code in _REFUSED:
        return BatchRefused(f"{where}: {text}")
    if code in _ADVICE:
        advice = _ADVICE[code].format(user=chosen.user, database=chosen.database)
        return StoreError(f"{where}: {text}; {advice}", public=FAILED)
    if code in _FAULTS:
        kind = StoreDamaged if code in _DAMAGED else StoreFault
        return kind(f"{where}: {text}; {_FAULTS[code]}", public=f"the database {_FAULTS[code]}")
    if code is None or code in _AWAY:
        return StoreAway(f"{where} does not answer: {text}", public="the database does not answer")
    return StoreError(f"{where}: {text}", public=FAILED)


# Numbers of the engine's src/Common/ErrorCodes.cpp.
_TIMEOUTS = frozenset({159, 160, 394, 735})
# Too many queries, parts or bytes in memory; a quorum or keeper that waits; a guard that was late;
# a table that takes no rows while it changes.
_BUSY = frozenset({202, 241, 242, 252, 254, 285, 286, 289, 319, 395, 425, 469, 473, 999})
_AWAY = frozenset({32, 198, 209, 210, 236, 279})
_REFUSED = frozenset({6, 27, 33, 53, 69, 70, 72, 117, 131, 349})
_ADVICE = {
    81: "create it first: CREATE DATABASE `{database}`",
    164: "the user must be able to write: GRANT ALL ON `{database}`.* TO `{user}`",
    192: "check user and password",
    193: "check user and password",
    194: "check user and password",
    497: "GRANT ALL ON `{database}`.* TO `{user}`",
    516: "check user and password",
}
_FULL = "has no room: free some space, nothing that was acknowledged is lost"
_BROKEN = "is damaged: restore a backup"
_FAULTS = {
    243: _FULL,
    **dict.fromkeys((40, 228, 246, 271), _BROKEN),
}
_DAMAGED = frozenset(code for code, text in _FAULTS.items() if text == _BROKEN)


def _short(error: BaseException) -> str:
    """Return the first line of an error, without the statement that it may repeat."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return line if len(line) <= 400 else f"{line[:400]}..."
