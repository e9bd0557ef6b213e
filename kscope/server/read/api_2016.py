"""The read API of 2016, for its clients: `GET /api/getcategories` and `POST /api`."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kscope.query.answers.api_2016_rows import OldColumn, listed_rows
from kscope.query.answers.stacks import FlamegraphQuestion, drawn, folded
from kscope.query.export.nested import nested
from kscope.query.parse.api_2016 import OldQuestion, parse, weight
from kscope.query.parse.columns import Value
from kscope.query.parse.errors import complain
from kscope.query.responses import begun
from kscope.server.http.question_deadline import reader_of
from kscope.server.http.request_body import read_small
from kscope.server.read.routes import json_response
from kscope.store.reader import Reader

MAX_BODY = 1 << 20


async def _getcategories(request: Request) -> Response:
    return json_response(
        {
            category.table: [
                OldColumn(each.name, each.type.name, each.prettyname)
                for each in category.all_columns
            ]
            for category in request.app.state.reader.catalog
        }
    )


async def _post(request: Request) -> Response:
    reader = reader_of(request)
    body = await read_small(request, MAX_BODY, f"a question has at most {MAX_BODY} bytes")
    asked = parse(reader.catalog, _decoded(body))
    if asked.flamegraph:
        with reader.deadline.running():
            drawing = await _flamegraph(reader, asked.questions[0])
        return Response(drawing, media_type="application/json")
    content = await begun(listed_rows(reader, asked.questions))
    return StreamingResponse(content, media_type="application/json")


async def _flamegraph(reader: Reader, question: OldQuestion) -> bytes:
    stack, value = weight(question)
    asked = FlamegraphQuestion(question.scope, stack, Value(value), limit=question.limit)
    stacks = await folded(reader, asked)
    return await drawn(stacks, lambda stacks: nested(stacks, root="root"))


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
