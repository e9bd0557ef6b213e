"""The components that all routes refer to: the types of answers, and the refusals."""

from collections.abc import Iterable
from typing import Any

import msgspec

from kscope.query.answers.categories import Categories, Charts, Checked
from kscope.query.answers.heard import HeardHosts
from kscope.query.answers.markers import Markers
from kscope.query.questions import OF_ALL, QUESTIONS
from kscope.server.http.problems import MEDIA_TYPE, ProblemDocument

REFERENCE = "#/components/schemas/{name}"


class ServerInfo(msgspec.Struct, frozen=True):
    """Rows are sent to `ingest`, with a token if `token`; with `links` it keeps short links."""

    version: str
    ingest: str
    token: bool
    links: bool


class TokenInfo(msgspec.Struct, frozen=True):
    """A token without its hash. `expires` is in microseconds, None for never; without `hosts` it is
    for all; a quota that is None does not bound it.
    """

    name: str
    scopes: list[str]
    hosts: list[str]
    expires: int | None
    rows_per_minute: int | None
    bytes_per_minute: int | None


class TokenList(msgspec.Struct, frozen=True):
    """The tokens that the server accepts, and those that have expired."""

    tokens: list[TokenInfo]


class OldColumn(msgspec.Struct, frozen=True):
    """A column, as `GET /api/getcategories` lists it."""

    name: str
    type: str
    prettyname: str


# Of the read API, without the files that other programs read.
ANSWERS: tuple[type, ...] = (
    *(question.answer for question in QUESTIONS.values()),
    *(question.answer for question in OF_ALL.values()),
    Categories,
    Charts,
    Checked,
    HeardHosts,
    Markers,
    ServerInfo,
    TokenList,
    ProblemDocument,
)


def components(types: Iterable[type]) -> dict[str, Any]:
    """Return the JSON Schema of these types, and of those that they hold, by name."""
    return msgspec.json.schema_components(types, ref_template=REFERENCE)[1]


def refer(name: str | type) -> dict[str, Any]:
    """Return a reference to a component."""
    return {"$ref": REFERENCE.format(name=name if isinstance(name, str) else name.__name__)}


# Status -> name and description. Every route has the first ones.
_ALWAYS = {
    "401": ("Unauthorized", "a token is needed"),
    "403": (
        "Forbidden",
        "the token does not have this scope, or the host name is not this server's",
    ),
    "405": ("NotAllowed", "this address does not accept this method"),
    "414": ("LongAddress", "the address is too long"),
    "429": ("Throttled", "this client sent too many wrong tokens"),
    "431": ("LargeHead", "the request has too many headers, or too large ones"),
    "500": ("Failed", "the server failed; see its log"),
}
_ASKED = {
    "400": ("Question", "the question has mistakes; each is listed with the allowed values"),
    "404": ("Unknown", "there is no such table"),
    "413": ("TooLarge", "the question is too large"),
    "503": ("Unavailable", "the database cannot answer now"),
    "504": ("Late", "the question took too long"),
}
# An address asks the database.
QUESTION = ("400", "404", "503", "504")
POSTED = ("400", "404", "413", "503", "504")


def refusals(statuses: Iterable[str] = ()) -> dict[str, Any]:
    """References to the responses that are not 200: those of every route, and `statuses`."""
    named = _ALWAYS | {status: _ASKED[status] for status in statuses}
    return {
        status: {"$ref": f"#/components/responses/{name}"}
        for status, (name, _) in sorted(named.items())
    }


def meanings() -> dict[str, str]:
    """Return the meaning of each status that is not 200."""
    return {status: text for status, (_, text) in sorted((_ALWAYS | _ASKED).items())}


def responses() -> dict[str, Any]:
    """The components that `refusals` refers to."""
    content = {MEDIA_TYPE: {"schema": refer(ProblemDocument)}}
    return {
        name: {"description": text, "content": content}
        for name, text in (_ALWAYS | _ASKED).values()
    }
