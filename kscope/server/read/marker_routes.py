"""Markers of all data types: `GET /api/v1/markers`. The ingest listener takes new ones."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope.query.answers.markers import markers, read_question
from kscope.query.answers.question import BASE
from kscope.query.responses import with_missing
from kscope.server.http.question_deadline import reader_of
from kscope.server.read.routes import check_size, json_response


async def _markers(request: Request) -> Response:
    reader = reader_of(request)
    check_size(request)
    asked = read_question(reader.catalog, request.query_params.multi_items())
    with reader.deadline.running():
        return json_response(with_missing(reader, await markers(reader, asked)))


routes = [Route(f"{BASE}/markers", _markers, methods=["GET"])]
