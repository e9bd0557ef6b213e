"""MySQL's errors, and its driver's -> ours, with advice for the person who set it up."""

import asyncmy

from kscope.config import MySQL
from kscope.store.backends.errors import (
    FAILED,
    BatchRefused,
    QueryTimeout,
    StoreAway,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFault,
    WriteConflict,
)


def server(chosen: MySQL) -> str:
    """Name the server in a message."""
    return f"MySQL at {chosen.host}" + ("" if chosen.host[:1] == "/" else f":{chosen.port}")


def translated(chosen: MySQL, error: Exception) -> StoreError:
    """Return the StoreError for an error of the server or the driver, by its code."""
    where = server(chosen)
    code, text = _code_and_text(error)
    if code in _TIMEOUTS:
        return QueryTimeout("the statement was cancelled at its deadline")
    if code == _DEADLOCK:
        return WriteConflict(f"{where}: {text}", public="a concurrent transaction conflicted")
    if code in _BUSY:
        return StoreBusy(f"{where}: {text}", 1, public="the database is busy: send again")
    if code in _REFUSED:
        return BatchRefused(f"{where}: {text}")
    if code in _ADVICE:
        advice = _ADVICE[code].format(user=chosen.user, database=chosen.database)
        return StoreError(f"{where}: {text}; {advice}", public=FAILED)
    if code in _FAULTS:
        kind = StoreDamaged if code in _DAMAGED else StoreFault
        return kind(f"{where}: {text}; {_FAULTS[code]}", public=f"the database {_FAULTS[code]}")
    if code in _GONE or isinstance(error, OSError):
        return StoreAway(f"{where} does not answer: {text}", public="the database does not answer")
    return StoreError(f"{where}: {text}", public=FAILED)


# Numbers from the server's and the client library's error references.
_TIMEOUTS = frozenset({1317, 1969, 3024})
_DEADLOCK = 1213
_BUSY = frozenset({1040, 1203, 1205, 1226})
_GONE = frozenset({0, 1053, 1077, 1079, 1080, 1927, 2002, 2003, 2006, 2013, 2014, 2055})
_REFUSED = frozenset({1048, 1062, 1118, 1153, 1264, 1265, 1366, 1406, 2020, 3988})
_ADVICE = {
    1044: "GRANT ALL ON `{database}`.* TO '{user}'",
    1045: "check user and password",
    1049: "create it first: CREATE DATABASE `{database}` CHARACTER SET utf8mb4",
    1142: "GRANT ALL ON `{database}`.* TO '{user}'",
    1698: "check user and password",
}

_FULL = "has no room: free some space, nothing that was acknowledged is lost"
_READ_ONLY = "is read-only: make the server writable"
_BROKEN = "is damaged: restore a backup"
_FAULTS = {
    **dict.fromkeys((20, 1021, 1114), _FULL),
    **dict.fromkeys((1036, 1290, 1792, 1836), _READ_ONLY),
    **dict.fromkeys((126, 127, 1034, 1035, 1194, 1195, 1712, 1877, 1932), _BROKEN),
}
_DAMAGED = frozenset(code for code, text in _FAULTS.items() if text == _BROKEN)


def _code_and_text(error: BaseException) -> tuple[int, str]:
    if isinstance(error, TimeoutError):
        return 0, "no answer in time"
    match error.args:
        # Of an OSError the number means something else.
        case [int(code), text, *_] if isinstance(error, asyncmy.errors.MySQLError):
            return code, str(text)
        case [int(), text, *_] | [text, *_]:
            return 0, str(text)
    return 0, type(error).__name__
