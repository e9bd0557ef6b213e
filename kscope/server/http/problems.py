"""RFC 9457 problem documents: the one shape of every error answer."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import ClassVar

import msgspec
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kscope.errors import KscopeError
from kscope.log_fields import fields
from kscope.query.parse.errors import Complaint, QueryError
from kscope.server.http.log_throttle import ThrottledLog
from kscope.server.http.refusals import Refusals
from kscope.server.http.request_id import FIELD
from kscope.store.backends.errors import BatchRefused, QueryTimeout, StoreError

# Open to all, because a load balancer has no token. Busy servers answer these first.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
MEDIA_TYPE = "application/problem+json"
_FAULTS_BYTES = 48 * 1024

log = logging.getLogger(__name__)


class Fault(msgspec.Struct, frozen=True):
    """One fault in a request.

    `pointer` is a JSON pointer into its body; outside of the body `parameter` names one of the
    query or the path instead.
    """

    detail: str
    pointer: str | msgspec.UnsetType = msgspec.UNSET
    parameter: str | msgspec.UnsetType = msgspec.UNSET


class ProblemDocument(msgspec.Struct, frozen=True):
    """RFC 9457: the answer to each request that fails.

    `request` is its id, which the lines of the server's log have as well.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | msgspec.UnsetType = msgspec.UNSET
    request: str | msgspec.UnsetType = msgspec.UNSET


@dataclass
class HttpProblem(Exception):  # noqa: N818 - RFC 9457's word
    """Raise it anywhere below a route. `type` is RFC 9457's, by which a program may decide.

    `reason` is one of REASONS; empty for that of most answers of this status.
    """

    type: ClassVar[str] = "about:blank"
    reason: ClassVar[str] = ""
    status: int
    detail: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """Return the reason; if the store's error is the cause, that of it."""
        return self.__cause__.reason if isinstance(self.__cause__, StoreError) else self.reason


def problem(
    status: int,
    detail: str,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
    kind: str = HttpProblem.type,
) -> Response:
    errors = _bounded(faults) if faults else msgspec.UNSET
    request = fields().get(FIELD, msgspec.UNSET)
    body = ProblemDocument(kind, HTTPStatus(status).phrase, status, detail, errors, request)
    return Response(
        msgspec.json.encode(body), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def raw_problem(status: int, detail: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return an HTTP response, for a connection that ends after it, as bytes."""
    answer = problem(status, detail, headers={"Connection": "close"})
    fields = [name + b": " + value for name, value in (*headers, *answer.raw_headers)]
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    return b"\r\n".join([first, *fields, b"", bytes(answer.body)])


def _bounded(faults: Sequence[Fault]) -> list[Fault]:
    """Return the first faults, up to a size: they quote names and values of the request."""
    room = _FAULTS_BYTES
    for count, fault in enumerate(faults, 1):
        room -= len(msgspec.json.encode(fault))
        if room < 0:
            return list(faults[:count])
    return list(faults)


def _fault(complaint: Complaint) -> Fault:
    # A parameter's name holds no slash, a pointer begins with one or is empty.
    if complaint.parameter == "" or complaint.parameter.startswith("/"):
        return Fault(complaint.detail, pointer=complaint.parameter)
    return Fault(complaint.detail, parameter=complaint.parameter)


async def _answer(request: Request, error: Exception) -> Response:
    answer = _answer_to(request, error)
    refusals: Refusals | None = getattr(request.app.state, "refusals", None)
    if refusals is not None:
        refusals.note(answer.status_code, _reason(error))
    return answer


def _reason(error: Exception) -> str:
    match error:
        case HttpProblem():
            return error.why
        case StoreError():
            return error.reason
        case ClientDisconnect():
            return "late"
        case KscopeError():
            return "question"
    return ""


def _answer_to(request: Request, error: Exception) -> Response:
    match error:
        case HttpProblem():
            _note(request, error)
            return problem(error.status, error.detail, error.faults, error.headers, error.type)
        case HTTPException():
            return problem(error.status_code, error.detail, headers=error.headers)
        case QueryTimeout():
            detail = f"{error}: ask for a shorter range, or filter by a host or a process"
            return problem(504, detail)
        case StoreError():
            found = store_problem(request.app.state, error)
            return problem(found.status, found.detail, headers=found.headers)
        case QueryError():
            return problem(error.status, str(error), [_fault(each) for each in error.complaints])
        case KscopeError():
            return problem(400, str(error))
        case ClientDisconnect():
            # Without a line in the log.
            return problem(400, "the client disconnected before the end of the body")
    # The path as sent: its percent signs keep line breaks out of the log.
    path = request.scope["raw_path"].decode("latin-1")
    log.error("%s %s failed", request.method, path, exc_info=error)
    return problem(500, "the server failed to answer this; its log says why")


def _note(request: Request, refusal: HttpProblem) -> None:
    """Let the listener's audit have it, if it has one; a server that is busy refuses nothing."""
    audit = getattr(request.app.state, "audit", None)
    if audit is not None and refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        audit.refused(request.scope, refusal.status, refusal.detail)


def store_problem(state: State, error: StoreError) -> HttpProblem:
    """Return the problem of a database that refuses rows or fails, which the log has whole."""
    if isinstance(error, BatchRefused):
        # The text names the database and its tables, which the sender must not see.
        log.error("rows refused by the database: %s", error)
        return HttpProblem(422, "the database refuses these rows; the server's log says why")
    if not error.logged:
        _failures(state, type(error)).warning(str(error))
    return HttpProblem(503, error.public, headers={"Retry-After": str(error.retry_after)})


def _failures(state: State, kind: type[StoreError]) -> ThrottledLog:
    """Return the log of one kind: while the database fails, all requests fail alike."""
    logs: dict[type[StoreError], ThrottledLog] = getattr(state, "failures", {})
    state.failures = logs
    return logs.setdefault(kind, ThrottledLog(log))


_HANDLED = (HttpProblem, HTTPException, KscopeError, ClientDisconnect, Exception)
HANDLERS = dict.fromkeys(_HANDLED, _answer)
