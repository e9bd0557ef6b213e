"""One new marker: a small JSON object, which becomes a row of the category `marker`."""

from typing import Any

import msgspec
from starlette.requests import Request

from kscope.declare.types import TYPES
from kscope.query.answers.markers import ALL_HOSTS, KIND, MESSAGE, TABLE
from kscope.query.parse.timerange import iso, now, parse_moment
from kscope.server.http.problems import HttpProblem
from kscope.server.http.request_body import read_small
from kscope.server.ingest.decoders import decodable

# A message of the longest kind, each character escaped.
MAX_BODY = 64 * 1024
_TOO_LARGE = f"a marker has at most {MAX_BODY // 1024} KiB"
_LABEL, _TEXT = decodable(TYPES["label"].wire), decodable(TYPES["text"].wire)
NewMarker: Any = msgspec.defstruct(
    "NewMarker",
    [
        ("message", _TEXT, ""),
        ("text", _TEXT, ""),
        ("kind", _LABEL, "note"),
        ("hostname", _LABEL, ""),
        ("time", _LABEL, "now"),
    ],
    forbid_unknown_fields=True,
)


async def marker_rows(request: Request) -> bytes:
    """Return the body of `POST /api/v1/markers` as one of `POST /api/v1/ingest`.

    Raise HttpProblem 400, 413 or 422, or QueryError for a wrong time.
    """
    marker = _decoded(await read_small(request, MAX_BODY, _TOO_LARGE))
    message = marker.message or marker.text
    if not message.strip() or (marker.message and marker.text):
        raise HttpProblem(422, "a marker has a `message`, or a `text` in its place")
    row = {KIND: marker.kind, MESSAGE: message}
    body = {
        "hostname": marker.hostname or ALL_HOSTS,
        "time": iso(parse_moment("/time", marker.time, now())),
        TABLE: [row],
    }
    return msgspec.json.encode(body)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body, type=NewMarker)
    except msgspec.ValidationError as error:
        raise HttpProblem(422, f"the marker: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpProblem(400, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise HttpProblem(400, "the body is nested too deeply") from None
