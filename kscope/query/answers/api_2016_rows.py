"""The list answer of the API of 2016, streamed: {"offcputime": [{"process": "dd", ...}, ...]}.

Stacks are leaf first, as the clients of 2016 sent them.
"""

from collections.abc import AsyncIterator, Sequence

import msgspec

from kscope.declare.types.base import Role
from kscope.query.answers.rows import RowsQuestion, stream
from kscope.query.parse.api_2016 import OldQuestion
from kscope.query.parse.timerange import iso
from kscope.query.scan.paging import Order
from kscope.store.reader import Reader
from kscope.store.schema.interning import turned_round


class OldColumn(msgspec.Struct, frozen=True):
    """A column, as `GET /api/getcategories` lists it."""

    name: str
    type: str
    prettyname: str


async def listed_rows(reader: Reader, questions: Sequence[OldQuestion]) -> AsyncIterator[bytes]:
    """The JSON document in pieces; the oldest rows first, in the order they were logged."""
    # With rows only, or at the end: what fails before has not begun to answer.
    opening = b"{"
    for question in questions:
        opening += msgspec.json.encode(question.scope.category.table) + b":["
        async for piece in _table(reader, question):
            yield opening + piece
            opening = b""
        opening += b"],"
    yield opening.removesuffix(b",") + b"}"


async def _table(reader: Reader, question: OldQuestion) -> AsyncIterator[bytes]:
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
