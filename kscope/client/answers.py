"""The meaning of an answer to rows, for every sender.

Only a Kernelscope server's answer counts, by its status, media type and shape. After a page, a
redirect, a login form or noise the rows are kept.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from http import HTTPStatus
from typing import Any

from kscope.errors import UNKNOWN_NAME, without_secrets

INGEST_PATH = "/api/v1/ingest"
MARKERS_PATH = "/api/v1/markers"
_TYPES = frozenset({"about:blank", UNKNOWN_NAME})
# Statuses of a Kernelscope server after which the same bytes will never be stored.
_FINAL = frozenset({400, 413, 415, 422})
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_PASSWORD = re.compile(rb"type\s*=\s*[\"']?password", re.IGNORECASE)
_SHOWN = 200


class Outcome(Enum):
    """The result for the rows. They are kept after UNKNOWN and LATER."""

    STORED = "stored"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class RowFault:
    """One fault in the rows, with its JSON pointer into the body."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; the body is bounded. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the decoded body, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one request, and one line of text that explains it.

    `status` is 0 if no HTTP answer came. `retry_after` is in seconds, `clock_ahead` is the
    server's clock minus ours, in seconds. `old` has, by table, the number of stored rows that are
    older than the server keeps them, and `told` its sentence about them.
    """

    outcome: Outcome
    text: str = ""
    status: int = 0
    retry_after: float | None = None
    clock_ahead: float | None = None
    faults: tuple[RowFault, ...] = ()
    duplicate: bool = False
    old: Mapping[str, int] = field(default_factory=dict)
    told: str = ""

    @property
    def stored(self) -> bool:
        return self.outcome is Outcome.STORED

    def bad_rows(self, table: str) -> set[int]:
        """Return the numbers of the table's rows that have a fault; none if a fault has no row."""
        row = re.compile(rf"/{table}/(\d{{1,9}})(?![^/])", re.ASCII)
        found = [row.match(fault.pointer) for fault in self.faults]
        return {int(each[1]) for each in found if each} if all(found) else set()


def judge(reply: Reply, rows: Mapping[str, int], url: str) -> Answer:
    """Return the meaning of an answer to a request to `url` with this number of rows per table."""
    answer = Answer(
        Outcome.LATER,
        status=reply.status,
        retry_after=_seconds(reply.headers.get("retry-after")),
        clock_ahead=clock_ahead(reply.headers.get("date")),
    )
    match reply.status, reply.media_type, reply.json():
        case (
            200,
            "application/json",
            {"stored": dict(stored), "duplicate": bool(duplicate), **more},
        ):
            answer = _with_old(replace(answer, duplicate=duplicate), more)
            if stored == dict(rows):
                return replace(answer, outcome=Outcome.STORED)
            said, sent = one_line(json.dumps(stored)), json.dumps(dict(rows))
            text = f"the server answers that it stored {said}, and {sent} was sent"
            return replace(answer, text=text)
        case (
            status,
            "application/problem+json",
            {"type": str(kind), "title": str(), "status": int(told), "detail": str(detail), **more},
        ) if kind in _TYPES and status == told:
            faults = _faults(more.get("errors", []))
            if faults is not None:
                text = _of_problem(status, detail, faults, url)
                return replace(answer, outcome=_outcome(status, kind), text=text, faults=faults)
    return replace(answer, text=_likeness(reply, url))


def _with_old(answer: Answer, more: Mapping[Any, Any]) -> Answer:
    match more:
        case {"past_retention": dict(tables), "detail": str(told)}:
            counts = {t: each.get("rows") for t, each in tables.items() if isinstance(each, dict)}
            old = {table: rows for table, rows in counts.items() if isinstance(rows, int)}
            return replace(answer, old=old, told=one_line(told, 500))
    return answer


def one_line(text: str, limit: int = _SHOWN) -> str:
    """Return foreign text on one line, without control characters."""
    line = "".join(c if c.isprintable() else " " for c in text[: limit + 1])
    return f"{line[:limit]}..." if len(line) > limit else line


def _outcome(status: int, kind: str) -> Outcome:
    if status not in _FINAL:
        return Outcome.LATER
    return Outcome.UNKNOWN if kind == UNKNOWN_NAME else Outcome.REFUSED


def _faults(errors: Any) -> tuple[RowFault, ...] | None:
    """Return the faults of a document, or None if they do not have our shape."""
    found = []
    for error in errors if isinstance(errors, list) else [None]:
        match error:
            case {"detail": str(detail), "pointer": str(pointer)}:
                found.append(RowFault(pointer, detail))
            case {"detail": str(detail), "parameter": str()}:
                found.append(RowFault("", detail))
            case _:
                return None
    return tuple(found)


def _of_problem(status: int, detail: str, faults: Sequence[RowFault], url: str) -> str:
    text = f"HTTP {status} {one_line(detail, 500)}"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{url} is the page's address, not the one for rows: {text}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{url}: {text}; `kscope token` makes a token, --token-file names its file"
    listed = [f"{each.pointer}: {one_line(each.detail)}" for each in faults[:3]]
    # The detail usually contains the first of them.
    return " ".join([text, *(each for each in listed if each not in text)])


def _likeness(reply: Reply, url: str) -> str:
    """Return a description of an answer that is not a Kernelscope server's, with a fix."""
    if 300 <= reply.status < 400:
        return _redirect(reply, url)
    by = one_line(reply.headers.get("server", ""), 40)
    said = f"HTTP {reply.status} from {by}" if by else f"HTTP {reply.status}"
    return (
        f"{url}: {said} is {_kind(reply)}, not a Kernelscope server's answer; "
        "--server names the address that takes rows"
    )


def _kind(reply: Reply) -> str:
    if not reply.body:
        return "an empty answer"
    if reply.body.lstrip()[:1] != b"<":
        return f"{one_line(reply.media_type, 40) or 'text without a type'}"
    kind = "a login page" if _PASSWORD.search(reply.body) else "a web page"
    title = _TITLE.search(reply.body)
    return f"{kind}, '{one_line(title[1].decode('utf-8', 'replace').strip())}'" if title else kind


def _redirect(reply: Reply, url: str) -> str:
    # The query may contain a login ticket.
    place = without_secrets(one_line(reply.headers.get("location", ""), 300))
    place = re.split("[?#]", place, maxsplit=1)[0]
    said = f"{url} redirects (HTTP {reply.status})"
    if not place:
        return f"{said} to nowhere; --server names the address that takes rows"
    if place.endswith(INGEST_PATH):
        return f"{said}: write --server {place.removesuffix(INGEST_PATH)}"
    return f"{said} to {place}; --server names the address that takes rows, without a redirect"


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def clock_ahead(header: str | None) -> float | None:
    """Return the server's clock minus ours in seconds, from a Date header."""
    try:
        theirs = datetime.strptime(header or "", "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return theirs.timestamp() - time.time()
