"""Why requests were refused: a bounded set of reasons, each counted."""

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus

# Reason -> its meaning. No request makes another one.
REASONS: Mapping[str, str] = {
    "no token": "a token is needed, and none came, or a wrong one",
    "expired token": "its token has expired",
    "throttled": "too many wrong tokens came from its address",
    "scope": "its token has not the scope that this needs",
    "other host": "its token is for the rows of other hosts",
    "quota": "the quota of its token is used up",
    "web page": "a web page of another site sent it",
    "name": "it was sent to a name that is not this server's",
    "damaged": "the body is not what its type and coding say",
    "format": "a type or a coding of the body that is not supported",
    "schema": "rows or columns that do not fit their category",
    "time": "rows too long before or after the server's time",
    "invalid": "samples of a profile that the category's own check refuses",
    "old layout": "a profile in the layout of an older release",
    "too large": "the body, the head, the address or the question is too large",
    "late": "the request did not arrive in time, or its client went away",
    "full queue": "too many rows wait for a commit",
    "full memory": "the bodies under way use all the memory that they may",
    "busy": "the server handles too many requests of this kind, or is stopping",
    "declaration": "the category changed while the rows arrived",
    "in doubt": "an earlier attempt to store the same batch may still run",
    "database": "the database is away, full or damaged, or refuses the rows",
    "deadline": "the question took too long",
    "question": "the question has mistakes",
    "not found": "there is nothing at this address, or not for this method",
    "not HTTP": "the request is not HTTP/1.1",
    "failed": "the server has a mistake; the log has it whole",
}
_OF_STATUS: Mapping[int, str] = {
    400: "damaged", 401: "no token", 403: "web page", 404: "not found", 405: "not found",
    408: "late", 413: "too large", 414: "too large", 415: "format", 422: "schema", 429: "quota",
    431: "too large", 500: "failed", 503: "busy", 504: "deadline",
}  # fmt: skip


def reason_of(status: int, own: str = "") -> str:
    """Return the reason of an answer: its own, or that of most answers of this status."""
    if own in REASONS:
        return own
    return _OF_STATUS.get(
        status, "damaged" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "busy"
    )


class Refusals:
    """The refusals of one listener, by reason."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def note(self, status: int, own: str = "") -> None:
        """Count a request that was answered with this status; `own` is its reason, if known."""
        self.counts[reason_of(status, own)] += 1
