"""The read API of 2016, for its clients: `GET /api/getcategories` and `POST /api`."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope.declare.model import Catalog
from kscope.declare.types.base import Role
from kscope.query.answers.rows import RowsQuestion, stream
from kscope.query.answers.stacks import FlamegraphQuestion, drawn, folded
from kscope.query.export.nested import nested
from kscope.query.parse.api_2016 import OldQuestion, parse, weight
from kscope.query.parse.columns import Value
from kscope.query.parse.errors import complain
from kscope.query.parse.timerange import iso
from kscope.query.responses import begun
from kscope.query.scan.paging import Order
from kscope.server.http.question_deadline import reader_of
from kscope.server.http.request_body import read_small
from kscope.server.http.streaming import Streamed
from kscope.server.openapi.components import OldColumn
from kscope.server.read.routes import json_response
from kscope.store.reader import Reader
from kscope.store.schema.interning import turned_round

MAX_BODY = 1 << 20


async def _getcategories(request: Request) -> Response:
    return json_response(
        {
            category.table: [
                OldColumn(each.name, each.type.name, each.prettyname)
                for each in category.all_columns
            ]
            for category in request.app.state.reader.catalog.stored
        }
    )


async def _post(request: Request) -> Response:
    reader = reader_of(request)
    body = await read_small(request, MAX_BODY, f"a question has at most {MAX_BODY} bytes")
    questions, flamegraph = parse(Catalog(reader.catalog.stored), _decoded(body))
    if flamegraph:
        with reader.deadline.running():
            drawing = await _flamegraph(reader, questions[0])
        return Response(drawing, media_type="application/json")
    content = await begun(_listed(reader, questions))
    return Streamed(content, media_type="application/json")


async def _flamegraph(reader: Reader, question: OldQuestion) -> bytes:
    stack, value = weight(question)
    asked = FlamegraphQuestion(question.scope, stack, Value(value), limit=question.limit)
    stacks = await folded(reader, asked)
    return await drawn(stacks, lambda stacks: nested(stacks, root="root"))


async def _listed(reader: Reader, questions: Sequence[OldQuestion]) -> AsyncIterator[bytes]:
    """{"offcputime": [{"process": "dd", ...}, ...]} in pieces; the oldest rows first.

    Stacks are leaf first, as the clients of 2016 sent them.
    """
    # With rows only, or at the end: what fails before has not begun to answer.
    opening = b"{"
    for question in questions:
        opening += msgspec.json.encode(question.scope.category.table) + b":["
        async for piece in _rows(reader, question):
            yield opening + piece
            opening = b""
        opening += b"],"
    yield opening.removesuffix(b",") + b"}"


async def _rows(reader: Reader, question: OldQuestion) -> AsyncIterator[bytes]:
    names = [column.name for column in question.elements]
    stacks = [i for i, each in enumerate(question.elements) if each.type.role is Role.STACK]
    oldest_first = Order(question.scope.category.all_columns[0], descending=False)
    asked = RowsQuestion(question.scope, question.elements, oldest_first, question.limit)
    separator = b""
    async for piece in stream(reader, asked, lambda time: iso(time).removesuffix("Z")):
        for row in piece:
            for i in stacks:
                row[i] = turned_round(row[i])
        rows = [dict(zip(names, row, strict=True)) for row in piece]
        yield separator + msgspec.json.encode(rows)[1:-1]
        separator = b","


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise complain("", f"the body is not JSON: {error}") from None
    except RecursionError:
        raise complain("", "the body is nested too deep") from None


routes = [
    Route("/api/getcategories", _getcategories, methods=["GET"]),
    Route("/api", _post, methods=["POST"]),
]
