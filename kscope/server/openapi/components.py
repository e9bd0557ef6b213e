"""The types of all answers, as the components of the document and of the page's types."""

from collections.abc import Iterable
from typing import Any

import msgspec

from kscope.query.answers.categories import Categories, Charts, Checked
from kscope.query.questions import QUESTIONS
from kscope.server.http.problems import ProblemDocument

REFERENCE = "#/components/schemas/{name}"


class ServerInfo(msgspec.Struct, frozen=True):
    """Rows are sent to `ingest`, with a token if `token`."""

    version: str
    ingest: str
    token: bool


class OldColumn(msgspec.Struct, frozen=True):
    """A column, as `GET /api/getcategories` lists it."""

    name: str
    type: str
    prettyname: str


# Of the read API, without the files that other programs read.
ANSWERS: tuple[type, ...] = (
    *(question.answer for question in QUESTIONS.values()),
    Categories,
    Charts,
    Checked,
    ServerInfo,
    ProblemDocument,
)


def components(types: Iterable[type]) -> dict[str, Any]:
    """Return the JSON Schema of these types, and of those that they hold, by name."""
    return msgspec.json.schema_components(types, ref_template=REFERENCE)[1]


def refer(name: str | type) -> dict[str, Any]:
    """Return a reference to a component."""
    return {"$ref": REFERENCE.format(name=name if isinstance(name, str) else name.__name__)}
