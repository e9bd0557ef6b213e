"""The routes of Pyroscope's two push APIs."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.fair_queue import Steps
from kscope.server.receive.gather import Gathered
from kscope.server.receive.intake import Intake, Reader
from kscope.server.receive.pyroscope_ingest import add_ingest, read_query
from kscope.server.receive.pyroscope_push import add_push

PUSH = "/push.v1.PusherService/Push"
INGEST = "/ingest"
_JSON = "application/json"
_PROTO = frozenset({"application/proto", "application/x-protobuf", "application/protobuf"})
# Connect's codes; a status that is not here is the client's fault.
_CODES = {401: "unauthenticated", 403: "permission_denied", 413: "resource_exhausted",
          415: "unimplemented", 429: "resource_exhausted", 503: "unavailable"}  # fmt: skip


@dataclass(frozen=True)
class Pyroscope:
    intake: Intake

    async def push(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            with self.intake.counted():
                gathered = await self.intake.store(request, _push_reader(kind))
            _refuse_if_nothing_is_taken(gathered)
        except HttpProblem as problem:
            return _connect_error(problem)
        # An empty PushResponse, in the type of the request.
        return Response(b"{}" if kind == _JSON else b"", media_type=kind)

    async def ingest(self, request: Request) -> Response:
        content_type = request.headers.get("content-type", "")
        with self.intake.counted():
            asked = read_query(request.query_params, content_type, _now())

            def read(body: bytearray, gathered: Gathered) -> Steps[None]:
                return add_ingest(body, asked, content_type, gathered)

            gathered = await self.intake.store(request, read)
        _refuse_if_nothing_is_taken(gathered)
        return Response(b"")


def _push_reader(kind: str) -> Reader:
    """Return the reader of a body by its type. Raises HttpProblem."""
    if kind != _JSON and kind not in _PROTO:
        detail = f"Content-Type {kind[:80]!r} is not taken: send application/proto"
        raise HttpProblem(415, f"{detail} or application/json, without gRPC")

    def read(body: bytearray, gathered: Gathered) -> Steps[None]:
        return add_push(body, gathered, _now(), json=kind == _JSON)

    return read


def _now() -> int:
    return time.time_ns() // 1000


def _refuse_if_nothing_is_taken(gathered: Gathered) -> None:
    if gathered.refused and not gathered.taken:
        raise HttpProblem(422, gathered.why_untaken())


def _connect_error(problem: HttpProblem) -> Response:
    code = _CODES.get(problem.status, "invalid_argument")
    body = msgspec.json.encode({"code": code, "message": problem.detail})
    return Response(body, problem.status, dict(problem.headers), _JSON)


Endpoint = Callable[[Request], Awaitable[Response]]


def pyroscope_routes(intake: Intake) -> list[Route]:
    """Return the routes; clients whose server address ends in `/` send two of them."""
    receiver = Pyroscope(intake)
    routes: dict[str, Endpoint] = {PUSH: receiver.push, INGEST: receiver.ingest}
    return [
        Route(path, endpoint, methods=["POST"])
        for own, endpoint in routes.items()
        for path in (own, f"/{own}")
    ]
