"""The OpenAPI document of the ingest listener: rows, markers, and the receivers that are on."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope import __version__
from kscope.config import ReceiveSettings
from kscope.declare.model import Catalog
from kscope.generate.jsonschema import body_schema
from kscope.server.http.problems import MEDIA_TYPE, ProblemDocument
from kscope.server.ingest.live_catalog import LiveCatalog
from kscope.server.ingest.markers import NewMarker
from kscope.server.ingest.routes import PATH, STATUSES
from kscope.server.openapi.components import REFERENCE, components, refer
from kscope.server.receive import otlp, pyroscope

_PLACES = "#/$defs/"
_JSON, _TEXT = "application/json", {"type": "string"}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_MORE = {
    405: "this address does not accept this method",
    414: "the address is too long",
    500: "the server failed; see its log",
}


class OldRows(msgspec.Struct, frozen=True):
    """Rows of a table that are older than the `kept` seconds of its retention."""

    rows: int
    kept: int


class StoredRows(msgspec.Struct, frozen=True, omit_defaults=True):
    """The number of rows of each table; `duplicate` if they were stored before.

    `past_retention` has those that the next removal by age takes, and `detail` says so.
    """

    stored: dict[str, int]
    duplicate: bool
    past_retention: dict[str, OldRows] = {}
    detail: str = ""


def document(catalog: Catalog, receivers: Collection[str]) -> dict[str, Any]:
    """Return OpenAPI 3.1, with the receivers of these protocols."""
    body = body_schema(catalog.stored)
    tables = _with_references(body.pop("$defs"))
    body = _with_references({name: each for name, each in body.items() if name != "$schema"})
    paths = {
        PATH: _post("ingest", "Store rows, or columns; also as MessagePack.", refer("Body")),
        "/": _post("ingest_of_2016", "Store rows, whose stacks are leaf first.", refer("OldBody")),
        "/api/v1/markers": _post("marker", "Store a marker.", refer("NewMarker")),
        **_pushes(receivers),
        "/api/v1/openapi.json": _get("openapi", "This document.", _JSON),
        "/healthz": _get("healthz", "Whether the server runs; no token needed.", "text/plain"),
        "/readyz": _get("readyz", "Whether the database responds; no token.", "text/plain", 503),
        "/metrics": _get("metrics", "Counters of the server, for Prometheus.", "text/plain"),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kernelscope: rows in",
            "version": __version__,
            "description": "Rows are stored whole or not at all, and once under an"
            " `Idempotency-Key`. Bodies may have the Content-Encoding gzip or zstd.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                **components([ProblemDocument, StoredRows, NewMarker]),
                **tables,
                "Body": body,
                "OldBody": _rows_alone(body),
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _with_references(schema: Any) -> Any:
    """Return the schema with references to the document's components."""
    if isinstance(schema, list):
        return [_with_references(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _with_references(each) for name, each in schema.items()}
    match found:
        case {"$ref": str(place)}:
            found["$ref"] = REFERENCE.format(name=place.removeprefix(_PLACES))
    return found


def _rows_alone(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a body without columns."""
    properties = {
        name: each["anyOf"][0] if "anyOf" in each else each
        for name, each in body["properties"].items()
    }
    return {**body, "properties": properties}


def _post(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {_JSON: {"schema": refer(StoredRows)}}
    return {
        "post": {
            "operationId": name,
            "summary": text,
            "requestBody": {"required": True, "content": {_JSON: {"schema": schema}}},
            "responses": {"200": {"description": STATUSES[200], "content": content}}
            | _problems(*(status for status in STATUSES if status != 200)),
        }
    }


def _problems(*statuses: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": refer(ProblemDocument)}}
    told = {status: STATUSES[status] for status in (401, 403, 429, 431, *statuses)} | _MORE
    return {
        str(status): {"description": text, "content": content}
        for status, text in sorted(told.items())
    }


def _get(name: str, text: str, kind: str, *statuses: int) -> dict[str, Any]:
    schema = {"type": "object"} if kind == _JSON else _TEXT
    answer = {"description": "the answer", "content": {kind: {"schema": schema}}}
    found = {"200": answer, **_problems(*statuses)}
    return {"get": {"operationId": name, "summary": text, "responses": found}}


def _pushes(receivers: Collection[str]) -> dict[str, Any]:
    """Return the addresses of receivers; their protocols have their own kinds of errors."""
    found: dict[str, Any] = {}
    if "otlp" in receivers:
        kinds = (_JSON, "application/x-protobuf")
        found[otlp.PATH] = _push("otlp", "Profiles of OpenTelemetry.", kinds)
    if "pyroscope" in receivers:
        kinds = (_JSON, "application/proto")
        found[pyroscope.PUSH] = _push("pyroscope", "Profiles of Pyroscope's clients.", kinds)
        old = _push("pyroscope_ingest", "A profile of an older client.", ("text/plain",))
        names = ("name", "from", "until", "sampleRate", "units", "format")
        old["post"]["parameters"] = [
            {"name": each, "in": "query", "required": False, "schema": _TEXT} for each in names
        ]
        found[pyroscope.INGEST] = old
    return found


def _push(name: str, text: str, kinds: Collection[str]) -> dict[str, Any]:
    anything = {kind: {"schema": {"type": "object"}} if kind == _JSON else _BYTES for kind in kinds}
    statuses = ("400", "401", "403", "408", "413", "415", "422", "429", "431", "500", "503")
    return {
        "post": {
            "operationId": name,
            "summary": text,
            "requestBody": {"required": True, "content": anything},
            "responses": {
                "200": {"description": "taken in"},
                **{status: {"description": "in the words of the protocol"} for status in statuses},
            },
        }
    }


def document_route(live: LiveCatalog, settings: ReceiveSettings) -> Route:
    """Return the route of the document; it follows the categories."""
    receivers = [name for name in ("otlp", "pyroscope") if getattr(settings, name) is not None]

    async def answer(_: Request) -> Response:
        content = msgspec.json.encode(document(live.catalog, receivers))
        return Response(content, media_type=_JSON)

    return Route("/api/v1/openapi.json", answer, methods=["GET"])
