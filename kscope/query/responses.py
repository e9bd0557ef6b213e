"""Answers as they are sent: encoded in a thread, or row by row."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import msgspec

from kscope.declare.model import Category
from kscope.query.across.question import AskedOfAll, QuestionOfAll
from kscope.query.answers.compare import Comparison
from kscope.query.answers.meta import of_missing
from kscope.query.answers.question import JsonAnswer, Question, TableColumn
from kscope.query.answers.stacks import drawn
from kscope.query.export import COMPARISONS, FORMATS, STACKS, TABLES
from kscope.query.export.base import JSON, ExportFormat, TableFormat
from kscope.query.parse.errors import complain
from kscope.query.parse.parameters import Asked
from kscope.query.scan.facts import informed
from kscope.query.scan.freed_memory import consumed, discard
from kscope.store.backends.errors import StoreAway
from kscope.store.reader import Reader

Answer = TypeVar("Answer", bound=msgspec.Struct)
NDJSON = TABLES["ndjson"]
# Numbers or texts, and lists or objects, to an encoder's call.
_AT_ONCE = 20_000
_LARGE_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Response:
    """An encoded answer, whole or in pieces; with a `filename` it is there to be kept."""

    media_type: str
    content: bytes | AsyncIterator[bytes]
    filename: str = ""


async def respond(reader: Reader, question: Question, asked: Asked) -> Response:
    """Answer a checked question in its format."""
    name = asked["format"]
    if name in FORMATS and (lacking := FORMATS[name].lacking()):
        raise complain("format", lacking)
    if name in STACKS and question.stacks:
        folded = question.stacks
        stacks = await informed(reader, lambda knowing: folded(knowing, asked))
        refuse_missing(reader)
        return _file(asked, STACKS[name], await drawn(stacks, STACKS[name].encode))
    if name in TABLES and question.pieces:
        form = TABLES[name]
        asked = _at_most(asked, form.most) if form.most else asked
        content = await begun(_pieces(reader, form, asked, question.pieces(reader, asked)))
        return _file(asked, form, content)
    found = await informed(reader, lambda knowing: question.ask(knowing, asked))
    answer = with_missing(reader, found)
    if name in TABLES or name in COMPARISONS:
        refuse_missing(reader)
    if name in COMPARISONS and isinstance(answer, Comparison):
        compared, encode = answer, COMPARISONS[name].encode
        whole = await consumed(lambda *_: encode(compared), *_fields(answer))
        return _file(asked, COMPARISONS[name], whole)
    if name in TABLES:
        write = partial(_table, TABLES[name], asked.category, answer)
        return _file(asked, TABLES[name], await consumed(lambda *_: write(), *_fields(answer)))
    body = await asyncio.to_thread(encoded, answer)
    # The client does not wait until the columns are freed.
    discard(*_fields(answer))
    return Response(JSON.media_type, body)


async def respond_of_all(
    reader: Reader, question: QuestionOfAll, asked: AskedOfAll, *, stream: bool
) -> Response:
    """Answer a checked question; a stream has a line for each answer, each better than the last."""
    answers = question.ask(reader, asked)
    if stream:
        return Response(NDJSON.media_type, await begun(_lines(reader, answers)))
    last = None
    async for answer in answers:
        last = answer
    assert last is not None
    whole = with_missing(reader, last)
    return Response(JSON.media_type, await asyncio.to_thread(encoded, whole))


def with_missing(reader: Reader, answer: Answer) -> Answer:
    """Return the answer with a warning, if the rows of some shards are not in it."""
    missing = of_missing(reader.missing())
    told = getattr(answer, "notices", None)
    if not missing or not isinstance(told, list):
        return answer
    return msgspec.structs.replace(answer, notices=[*missing, *told])


def refuse_missing(reader: Reader) -> None:
    """Raise StoreAway if rows of some shards are missing: a file could not say so."""
    for notice in of_missing(reader.missing()):
        raise StoreAway(notice.text)


async def _lines(reader: Reader, answers: AsyncIterator[msgspec.Struct]) -> AsyncIterator[bytes]:
    while True:
        # The work between the statements counts as well; the time to send does not.
        with reader.deadline.running():
            answer = await anext(answers, None)
            told = answer and with_missing(reader, answer)
            line = None if told is None else await asyncio.to_thread(encoded, told)
        if line is None:
            return
        yield line + b"\n"


def _at_most(asked: Asked, most: int) -> Asked:
    """Return the question for at most so many rows. Raise QueryError if it asks for more."""
    given = "limit" in asked.given
    if given and asked["limit"] > most:
        raise complain("limit", f"format={asked['format']} has at most {most:,} rows")
    limit = asked["limit"] if given else most
    return replace(asked, values={**asked.values, "limit": limit}, given=asked.given | {"limit"})


def _file(asked: Asked, form: ExportFormat, content: bytes | AsyncIterator[bytes]) -> Response:
    return Response(form.media_type, content, f"{asked.category.table}.{form.ending}")


def _table(form: TableFormat, category: Category, answer: JsonAnswer) -> bytes:
    """Encode an answer as a table."""
    table = answer.as_table()
    with closing(form.encoder(table.columns(category))) as encoder:
        return encoder.rows(table.rows) + encoder.end()


async def _pieces(
    reader: Reader, form: TableFormat, asked: Asked, pieces: AsyncIterator[list[list[Any]]]
) -> AsyncIterator[bytes]:
    """Yield a table in pieces, some of them empty: a format may wait for more rows."""
    columns = [
        TableColumn(each.name, each.type.storage, each) for each in asked.category.all_columns
    ]
    with closing(form.encoder(columns)) as encoder:
        async for piece in pieces:
            refuse_missing(reader)
            yield await asyncio.to_thread(encoder.rows, piece)
        refuse_missing(reader)
        yield await asyncio.to_thread(encoder.end)


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Wait for the first piece: a question that fails there still gets its status."""
    first = await anext(pieces, b"")

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_pieces()


def _fields(answer: msgspec.Struct) -> Iterator[Any]:
    return (getattr(answer, each.name) for each in msgspec.structs.fields(answer))


def encoded(answer: msgspec.Struct) -> bytes:
    """Encode an answer in pieces: no other thread runs while the encoder works on one."""
    pieces: list[bytes | memoryview] = []
    for each in msgspec.structs.fields(answer):
        pieces += [b",", msgspec.json.encode(each.encode_name), b":"]
        pieces += _value(getattr(answer, each.name))
    # The bytes of a large answer are copied once.
    return b"".join([b"{", *pieces[1:], b"}"])


def _value(value: Any) -> Iterator[bytes | memoryview]:
    if not isinstance(value, list) or not value:
        yield msgspec.json.encode(value)
        return
    size = _AT_ONCE if isinstance(value[0], int | float | str) else _LARGE_AT_ONCE
    yield b"["
    for start in range(0, len(value), size):
        if start:
            yield b","
        yield memoryview(msgspec.json.encode(value[start : start + size]))[1:-1]
    yield b"]"
