"""Answers as they are sent: encoded in a thread, or row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kscope.declare.types.base import Storage
from kscope.query.answers.flamegraph import drawn, folded
from kscope.query.answers.rows import stream
from kscope.query.export.formats import JSON, STACKS, TABLES, Format
from kscope.query.export.tables import encoder, heading, number_places, table
from kscope.query.parse.timerange import iso
from kscope.query.scan.release import consumed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from kscope.query.answers.flamegraph import FlamegraphQuestion
    from kscope.query.answers.rows import RowsQuestion
    from kscope.query.parse.parameters import Asked
    from kscope.store.reader import Reader


# Numbers or texts, and lists or objects, to an encoder's call.
_AT_ONCE = 20_000
_LARGE_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Response:
    """An encoded answer, whole or in pieces; with a `filename` it is there to be kept."""

    media_type: str
    content: bytes | AsyncIterator[bytes]
    filename: str = ""


async def table_or_json(asked: Asked, answer: Any) -> Response:
    if asked["format"] not in TABLES:
        return await json(answer)
    form = TABLES[asked["format"]]

    def encoded() -> bytes:
        names, rows = table(answer)
        numbers = number_places(answer, asked.category)
        return heading(form.name, names) + encoder(form.name, names, numbers)(rows)

    content = await consumed(lambda *_: encoded(), *_fields(answer))
    return Response(form.media_type, content, _filename(asked, form))


def _filename(asked: Asked, form: Format) -> str:
    return f"{asked.category.table}.{form.ending}"


async def json(answer: Any) -> Response:
    return Response(JSON.media_type, await consumed(lambda *_: encoded(answer), *_fields(answer)))


def _fields(answer: msgspec.Struct) -> Iterator[Any]:
    return (getattr(answer, each.name) for each in msgspec.structs.fields(answer))


def encoded(answer: msgspec.Struct) -> bytes:
    """Encode an answer in pieces: no other thread runs while the encoder works on one."""
    fields = (
        msgspec.json.encode(each.encode_name) + b":" + b"".join(_value(getattr(answer, each.name)))
        for each in msgspec.structs.fields(answer)
    )
    return b"{" + b",".join(fields) + b"}"


def _value(value: Any) -> Iterator[bytes]:
    if not isinstance(value, list) or not value:
        yield msgspec.json.encode(value)
        return
    size = _AT_ONCE if isinstance(value[0], int | float | str) else _LARGE_AT_ONCE
    yield b"["
    for start in range(0, len(value), size):
        yield b"," * bool(start) + msgspec.json.encode(value[start : start + size])[1:-1]
    yield b"]"


async def stacks(reader: Reader, asked: Asked, question: FlamegraphQuestion) -> Response:
    """A flame graph in one of the other programs' formats."""
    form = STACKS[asked["format"]]
    found = await folded(reader, question)
    content = await drawn(found, lambda found: form.encode(question, found))
    return Response(form.media_type, content, _filename(asked, form))


async def streamed(reader: Reader, asked: Asked, question: RowsQuestion) -> Response:
    """Rows as CSV or NDJSON, however many, with their times as ISO 8601."""
    form = TABLES[asked["format"]]
    pieces = _row_pieces(reader, question, form.name)
    # The first is waited for, so that what fails at once is still answered with a status.
    first = await anext(pieces, b"")

    async def content() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return Response(form.media_type, content(), _filename(asked, form))


async def _row_pieces(reader: Reader, question: RowsQuestion, form: str) -> AsyncIterator[bytes]:
    names = [column.name for column in question.columns]
    times = [i for i, each in enumerate(question.columns) if each.type.storage is Storage.TIME]
    encode = encoder(form, names)
    begin = heading(form, names)
    async for piece in stream(reader, question):
        for row in piece:
            for i in times:
                row[i] = None if row[i] is None else iso(row[i])
        yield begin + encode(piece)
        begin = b""
    if begin:
        yield begin
