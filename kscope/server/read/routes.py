"""The read API, `/api/v1`: one route per question."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope import __version__
from kscope.query import responses
from kscope.query.across.question import QuestionOfAll
from kscope.query.answers.categories import categories
from kscope.query.answers.question import BASE, Question
from kscope.query.export import STACKS, TABLES, titles
from kscope.query.export.base import JSON
from kscope.query.parse.parameters import check_count
from kscope.query.parse.scope import category_of
from kscope.query.questions import OF_ALL, QUESTIONS
from kscope.server.http.front import is_proxied
from kscope.server.http.problems import HttpProblem, problem
from kscope.server.http.question_deadline import reader_of
from kscope.server.http.streaming import Streamed
from kscope.server.openapi.components import ServerInfo
from kscope.server.openapi.document import document

# Bytes of a query string. The HTTP parser takes no address beyond 64 KiB.
MAX_QUERY = 60_000
# Bytes of an answer that are compressed in a millisecond or two.
_LARGE = 1 << 17
_ANY_HOST = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound to


class CachedAnswers:
    """Answers that depend only on the categories: each is built once, not for each request."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[tuple[Any, ...], bytes]] = {}
        self._lock = asyncio.Lock()

    async def answer(self, name: str, make: Callable[..., Any], *of: Any) -> Response:
        """Return `make(*of)`, which is called again if `of` has changed."""
        async with self._lock:
            before, content = self._made.get(name, ((), b""))
            if before != of:
                content = await asyncio.to_thread(lambda: msgspec.json.encode(make(*of)))
                self._made[name] = of, content
        return _response(responses.Response(JSON.media_type, content))


async def _categories(request: Request) -> Response:
    state = request.app.state
    of = (
        state.reader.catalog,
        titles(STACKS),
        titles(TABLES),
        state.live.problems,
        state.live.leftovers,
    )
    answer: Response = await state.described.answer("categories", categories, *of)
    return answer


async def _server(request: Request) -> Response:
    settings = request.app.state.settings
    token = request.app.state.tokens.grant("ingest")
    links = settings.links is not None
    return json_response(ServerInfo(__version__, _ingest(request), token, links))


def _ingest(request: Request) -> str:
    """Return the URL of the ingest listener, as seen by the client of this request.

    Behind a trusted proxy both listeners have the proxy's address.
    """
    settings = request.app.state.settings
    if is_proxied(request.scope):
        return f"{request.url.scheme}://{request.url.netloc}{settings.base_path}"
    ingest, scheme = settings.ingest, "https" if settings.tls else "http"
    host = request.url.hostname if ingest.host in _ANY_HOST else ingest.host
    host = f"[{host}]" if host and ":" in host else host
    return f"{scheme}://{host}:{ingest.port}{settings.base_path}" if ingest.port else ""


async def _rows(request: Request) -> Response:
    """Answer clients of 2016, when one listener also received rows."""
    detail = f"rows are not stored here: send them to {_ingest(request)}/"
    return problem(405, detail, headers={"Allow": "GET", "Connection": "close"})


async def _heard(request: Request) -> Response:
    watching = request.app.state.watching
    return json_response(watching.hosts())


async def _openapi(request: Request) -> Response:
    state = request.app.state
    of = state.reader.catalog, state.settings.base_path
    answer: Response = await state.described.answer("openapi", document, *of)
    return answer


def json_response(answer: Any) -> Response:
    return Response(msgspec.json.encode(answer), media_type=JSON.media_type)


def _endpoint(question: Question) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        reader = reader_of(request)
        category = category_of(reader.catalog, request.path_params["table"])
        check_size(request)
        given = [
            *request.query_params.multi_items(),
            *((name, request.path_params[name]) for name in question.in_path),
        ]
        asked = question.read(category, given)
        # The work between the statements counts against the deadline as well.
        with reader.deadline.running():
            body = await responses.respond(reader, question, asked)
        return _response(body)

    return endpoint


def _endpoint_of_all(question: QuestionOfAll) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        reader = reader_of(request)
        check_size(request)
        asked = question.read(reader.catalog, request.query_params.multi_items())
        stream = responses.NDJSON.media_type in request.headers.get("accept", "")
        with reader.deadline.running():
            body = await responses.respond_of_all(reader, question, asked, stream=stream)
        return _response(body)

    return endpoint


def check_size(request: Request) -> None:
    """Raise before the query string is parsed, which takes time for each parameter."""
    query = request.scope["query_string"]
    if len(query) > MAX_QUERY:
        detail = f"the question has {len(query):,} bytes; use at most {MAX_QUERY:,}"
        raise HttpProblem(414, detail)
    check_count(query.count(b"&") + 1)


def _response(body: responses.Response) -> Response:
    headers = {}
    if body.filename:
        headers["Content-Disposition"] = f'attachment; filename="{body.filename}"'
    content = body.content
    if isinstance(content, bytes) and len(content) <= _LARGE:
        return Response(content, headers=headers, media_type=body.media_type)
    if isinstance(content, bytes):
        # Compress and send piece by piece, so that other requests are served in between.
        headers["Content-Length"] = str(len(content))
        content = _cut(content)
    return Streamed(_full(content), headers=headers, media_type=body.media_type)


async def _full(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Leave out empty pieces, since one could end the answer, and cut large ones."""
    async for piece in pieces:
        async for part in _cut(piece):
            yield part


async def _cut(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _LARGE):
        yield content[start : start + _LARGE]
        await asyncio.sleep(0)


routes = [
    Route(f"{BASE}/categories", _categories, methods=["GET"]),
    Route(f"{BASE}/server", _server, methods=["GET"]),
    Route(f"{BASE}/heard", _heard, methods=["GET"]),
    Route(f"{BASE}/openapi.json", _openapi, methods=["GET"]),
    # Only to say where rows go.
    Route("/", _rows, methods=["POST"], include_in_schema=False),
    Route(f"{BASE}/ingest", _rows, methods=["POST"], include_in_schema=False),
    *(
        Route(f"{BASE}{question.path}", _endpoint(question), methods=["GET"])
        for question in QUESTIONS.values()
    ),
    *(
        Route(f"{BASE}{question.path}", _endpoint_of_all(question), methods=["GET"])
        for question in OF_ALL.values()
    ),
]
