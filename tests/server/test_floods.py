"""A request costs what its rows are worth: every way to be refused, with 10^5 to 10^7 items.

The server is a separate process, whose memory and processor time the kernel counts.
"""

from __future__ import annotations

import gzip
import json
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
import zstandard
from msgspec import msgpack

from kscope.declare.files.catalog import load_catalog
from kscope.server.http.problems import HttpProblem
from kscope.server.ingest.decode import Decoder
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kscope.server.ingest.fair_queue import Steps
    from kscope.store.write.batch import Batch

MIB = 1024 * 1024
ROW = b'{"process":"mysqld","pid":1234,"stack":"main;futex_wait","elapsed":5123}'
BAD = ROW.replace(b"1234", b'"1234"')
# The limits for a refused request, in bytes and in seconds of processor time.
_MEMORY = 100 * MIB
_SECONDS = 1.0
# Others who use the caches of a busy machine make the same work take longer: the least time counts.
_TRIES = 3
_TICK = os.sysconf("SC_CLK_TCK")


def of(rows: bytes, head: bytes = b'"hostname":"flood"', table: bytes = b"offcputime") -> bytes:
    return b"{" + head + b',"' + table + b'":[' + rows + b"]}"


def many(item: bytes, size: int = 30 * MIB) -> bytes:
    return b",".join([item] * (size // (len(item) + 1)))


def named(form: bytes, count: int) -> bytes:
    return b",".join(form % number for number in range(count))


def with_value(name: bytes, value: bytes) -> bytes:
    return ROW[:-1] + b',"' + name + b'":' + value + b"}"


# The body, the status, the place of the first problem, and a part of the answer.
Case = tuple["Callable[[], bytes]", int, str | None, str]
NO = None
CASES: dict[str, Case] = {
    "rows that are arrays": (lambda: of(many(b"[]")), 422, "/offcputime/0", "not an object"),
    "rows that are empty": (lambda: of(many(b"{}")), 422, "/offcputime/0", "is missing"),
    "rows that are numbers": (lambda: of(many(b"1")), 422, "/offcputime/0", "not an object"),
    "rows that are texts": (lambda: of(many(b'""')), 422, "/offcputime/0", "not an object"),
    "rows that are null": (lambda: of(many(b"null")), 422, "/offcputime/0", "not an object"),
    "every row wrong": (lambda: of(many(BAD)), 422, "/offcputime/0/pid", "type int"),
    "long wrong values": (
        lambda: of(many(ROW.replace(b"1234", b'"' + b"y" * 100_000 + b'"'))),
        422,
        "/offcputime/0/pid",
        "type int",
    ),
    "the last row wrong": (
        lambda: of(many(ROW) + b"," + BAD),
        422,
        "/offcputime/430921/pid",
        "type int",
    ),
    "the last place wrong": (
        lambda: of(many(ROW) + b"," + ROW.replace(b'"main;futex_wait"', b"7")),
        422,
        "/offcputime/430921/stack",
        "outside `stacks`",
    ),
    "the last of unusual numbers wrong": (
        lambda: of(many(ROW.replace(b"5123", b"5.0")) + b"," + BAD),
        422,
        "/offcputime/436906/pid",
        "type int",
    ),
    "cut off": (lambda: of(many(ROW))[:-5], 400, NO, "not JSON"),
    "not UTF-8 at the end": (
        lambda: of(many(ROW) + b"," + ROW.replace(b"mysqld", b"\xff")),
        400,
        NO,
        "not UTF-8",
    ),
    "not UTF-8 throughout": (
        lambda: of(many(ROW.replace(b"mysqld", b"\xff"))),
        400,
        NO,
        "not UTF-8",
    ),
    "more after the end": (lambda: of(many(ROW)) + b"x", 400, NO, "not JSON"),
    "deep": (lambda: b"[" * (32 * MIB), 422, NO, "not an object"),
    "deep and small": (lambda: b"[" * 200_000, 400, NO, "nested"),
    "a deep host": (lambda: b'{"hostname":' + b"[" * (30 * MIB), 422, "/hostname", "too large"),
    "a deep row": (lambda: of(b'{"pid":' * (4 * MIB)), 422, "/offcputime/0", "nested too deeply"),
    "a host of arrays": (
        lambda: b'{"hostname":[' + b"[]," * (5 * MIB) + b"[]]}",
        422,
        "/hostname",
        "too large",
    ),
    "a long host": (
        lambda: b'{"hostname":"' + b"x" * (30 * MIB) + b'"}',
        422,
        "/hostname",
        "too large",
    ),
    "a long time": (
        lambda: b'{"hostname":"h","time":"' + b"2" * (30 * MIB) + b'"}',
        422,
        "/time",
        "too large",
    ),
    "blanks": (lambda: b" " * (32 * MIB), 422, NO, "not an object"),
    "unknown categories": (
        lambda: b"{" + named(b'"offcputim%d":1', 1_000_000) + b"}",
        422,
        "/offcputim0",
        "Did you mean 'offcputime'?",
    ),
    "a category with a long name": (
        lambda: b'{"' + b"k" * (30 * MIB) + b'":1}',
        422,
        "/" + "k" * 80,
        "there is no category",
    ),
    "an unknown category with rows": (
        lambda: of(many(ROW), table=b"offcputimes"),
        422,
        "/offcputimes",
        "Did you mean 'offcputime'?",
    ),
    "a host again and again": (
        lambda: b"{" + many(b'"hostname":"h"') + b"}",
        422,
        "/hostname",
        "twice",
    ),
    "a table again and again": (
        lambda: b'{"hostname":"h",' + many(b'"offcputime":[]') + b"}",
        422,
        "/offcputime",
        "twice",
    ),
    "rows that are an object": (
        lambda: b'{"hostname":"h","offcputime":{' + named(b'"n%d":1', 10**6) + b"}}",
        422,
        "/offcputime",
        "too large",
    ),
    "unknown columns": (
        lambda: of(b"{" + named(b'"n%d":1', 1_000_000) + b"}"),
        422,
        "/offcputime/0",
        "too large",
    ),
    "unknown columns in each row": (
        lambda: of(many(b"{" + named(b'"pi%d":1', 4000) + b"}")),
        422,
        "/offcputime/0/pi0",
        "Did you mean 'pid'?",
    ),
    "a column with a long name": (
        lambda: of(b'{"' + b"k" * (30 * MIB) + b'":1}'),
        422,
        "/offcputime/0",
        "too large",
    ),
    "columns with long names": (
        lambda: of(many(b'{"' + b"k" * 900_000 + b'":1}')),
        422,
        "/offcputime/0/" + "k" * 80,
        "there is no column",
    ),
    "a large number": (
        lambda: of(many(ROW.replace(b"1234", b"1" * 100_000))),
        400,
        NO,
        "not JSON",
    ),
    "an endless number": (
        lambda: of(ROW.replace(b"1234", b"1" * (30 * MIB))),
        422,
        "/offcputime/0",
        "too large",
    ),
    "a large exponent": (
        lambda: of(many(ROW.replace(b"1234", b"1e999999"))),
        400,
        NO,
        "not JSON",
    ),
    "a long fraction": (
        lambda: of(many(ROW.replace(b"1234", b"0." + b"1" * 100_000))),
        422,
        "/offcputime/0/pid",
        "type int",
    ),
    "too many stacks": (
        lambda: of(ROW, b'"hostname":"h","stacks":[' + many(b'"a"', 4 * MIB) + b"]"),
        413,
        NO,
        "stacks",
    ),
    "stacks of wrong types": (
        lambda: of(ROW, b'"hostname":"h","stacks":[' + many(b"{}") + b"]"),
        422,
        "/stacks/0",
        "is not of type",
    ),
    "stacks that are long": (
        lambda: of(ROW, b'"hostname":"h","stacks":[' + many(b'"' + b"f" * 70_000 + b'"') + b"]"),
        422,
        "/stacks/0",
        "maxLength",
    ),
    "an endless stack": (
        lambda: of(ROW, b'"hostname":"h","stacks":["' + b"f" * (30 * MIB) + b'"]'),
        422,
        "/stacks/0",
        "too large",
    ),
    "stacks for a wrong row": (
        lambda: of(BAD, b'"hostname":"h","stacks":[' + named(b'"%0110d"', 240_000) + b"]"),
        422,
        "/offcputime/0/pid",
        "type int",
    ),
    "a histogram of a million slots": (
        lambda: of(with_value(b"lengths", b"[" + many(b"1", 2 * MIB) + b"]")),
        422,
        "/offcputime/0",
        "too large",
    ),
    "long histograms": (
        lambda: of(many(with_value(b"lengths", b"[" + many(b"1", 8000) + b"]"))),
        422,
        "/offcputime/0/lengths",
        "maxItems",
    ),
    "histograms of texts": (
        lambda: of(many(with_value(b"lengths", b"[" + many(b'"a"', 9000) + b"]"))),
        422,
        "/offcputime/0/lengths",
        "maxItems",
    ),
    "days that never were": (
        lambda: of(
            b",".join(
                with_value(b"time", b'"2026-02-30T00:00:00.%06dZ"' % number)
                for number in range(250_000)
            )
        ),
        422,
        "/offcputime/",
        "is not a time",
    ),
    "addresses that are none": (
        lambda: of(
            named(
                b'{"direction":"in","local_address":"10.0.0.%d","local_port":1,'
                b'"remote_address":"::1","remote_port":1,"elapsed":1}',
                230_000,
            ),
            table=b"tcplife",
        ),
        422,
        "/tcplife/256/local_address",
        "type ip",
    ),
    "NUL in each row": (
        lambda: of(many(ROW.replace(b"mysqld", b"\\u0000"))),
        422,
        "/offcputime/0/process",
        "NUL",
    ),
    "more rows than a body may have": (
        lambda: of(many(b'{"process":"","pid":1,"stack":"","elapsed":1}', 32 * MIB - 100)),
        413,
        NO,
        "fewer rows",
    ),
    "texts that look like rows": (
        lambda: of(many(ROW.replace(b"mysqld", b"},{" * 300)) + b"," + BAD),
        422,
        "/offcputime/",
        "type int",
    ),
}


def columns(rows: int, *, head: bytes = b"", **others: bytes) -> bytes:
    """Return a body of columns; `others` replace some of them, and empty ones are left out."""
    usual = {
        "process": b'{"strings":[' + same(b"0", rows) + b"]}",
        "pid": b"[" + same(b"12345", rows) + b"]",
        "stack": b"[" + same(b"0", rows) + b"]",
        "elapsed": b"[" + same(b"5123", rows) + b"]",
    }
    table = b",".join(
        b'"' + name.encode() + b'":' + column for name, column in (usual | others).items() if column
    )
    head = head or b'"strings":["mysqld"],"stacks":["main;futex_wait"]'
    return b'{"hostname":"flood",' + head + b',"offcputime":{' + table + b"}}"


def same(value: bytes, count: int) -> bytes:
    return b",".join([value] * count)


def lengths(slots: bytes, counts: bytes, ends: bytes) -> bytes:
    return b'{"slots":[' + slots + b'],"counts":[' + counts + b'],"ends":[' + ends + b"]}"


MOST = 400_000
COLUMNS: dict[str, Case] = {
    "unknown columns": (
        lambda: b'{"hostname":"h","offcputime":{' + named(b'"pi%d":[1]', 1_000_000) + b"}}",
        422,
        "/offcputime/pi0",
        "Did you mean 'pid'?",
    ),
    "an unknown column that is long": (
        lambda: columns(1, pids=b"[" + many(b"1") + b"]"),
        422,
        "/offcputime/pids",
        "Did you mean 'pid'?",
    ),
    "a column with a long name": (
        lambda: b'{"offcputime":{"' + b"k" * (30 * MIB) + b'":[]}}',
        422,
        "/offcputime/" + "k" * 80,
        "there is no column",
    ),
    "a column again and again": (
        lambda: b'{"offcputime":{' + many(b'"pid":[1]') + b"}}",
        422,
        "/offcputime/pid",
        "twice",
    ),
    "a part again and again": (
        lambda: b'{"offcputime":{"process":{' + many(b'"strings":[0]') + b"}}}",
        422,
        "/offcputime/process/strings",
        "twice",
    ),
    "a column that is a number": (
        lambda: columns(1, pid=b"1" * (30 * MIB)),
        422,
        "/offcputime/pid",
        "too large",
    ),
    "more values than a body may have": (
        lambda: columns(1, pid=b"[" + many(b"1") + b"]"),
        413,
        NO,
        "fewer rows",
    ),
    "more rows than a body may have": (
        lambda: columns(1, pid=b"[" + same(b"1", 600_000) + b"]"),
        413,
        NO,
        "fewer rows",
    ),
    "every number wrong": (
        lambda: columns(1, pid=b"[" + many(b'"1"') + b"]"),
        422,
        "/offcputime/pid/0",
        "type int",
    ),
    "the last number wrong": (
        lambda: columns(MOST, count=b"[" + same(b"77", MOST) + b',"1"]'),
        422,
        f"/offcputime/count/{MOST}",
        "type count",
    ),
    "the last of unusual numbers wrong": (
        lambda: columns(MOST, pid=b"[" + same(b"77.0", MOST) + b",0.5]"),
        422,
        f"/offcputime/pid/{MOST}",
        "type int",
    ),
    "numbers of many digits": (
        lambda: columns(1, pid=b"[" + many(b"1" * 100_000) + b"]"),
        400,
        NO,
        "not JSON",
    ),
    "numbers that are arrays": (
        lambda: columns(1, pid=b"[" + many(b"[]") + b"]"),
        422,
        "/offcputime/pid/0",
        "type int",
    ),
    "a deep column": (
        lambda: columns(MOST, pid=b"[" * (20 * MIB)),
        422,
        "/offcputime/pid/0",
        "nested too deeply",
    ),
    "a column of one long text": (
        lambda: columns(1, process=b'["' + b"x" * (30 * MIB) + b'"]'),
        422,
        "/offcputime/process/0",
        "too large",
    ),
    "texts that begin like ends": (
        lambda: columns(1, process=b"[" + many(b'"]"') + b",5]"),
        413,
        NO,
        "fewer rows",
    ),
    "texts that look like ends": (
        lambda: columns(1, process=b"[" + many(b'"],\\",[\\"]"', 5 * MIB) + b",5]"),
        422,
        "/offcputime/process/",
        "type string",
    ),
    "columns of different lengths": (
        lambda: columns(MOST, count=b"[" + same(b"1", MOST - 1) + b"]"),
        422,
        "/offcputime/count",
        "send one for each row",
    ),
    "every place wrong": (
        lambda: columns(MOST, process=b'{"strings":[' + same(b"1", MOST) + b"]}"),
        422,
        "/offcputime/process/strings/0",
        "outside `strings`",
    ),
    "the last place wrong": (
        lambda: columns(MOST, cgroup=b'{"strings":[' + same(b"0", MOST - 1) + b",7]}"),
        422,
        f"/offcputime/cgroup/strings/{MOST - 1}",
        "outside `strings`",
    ),
    "the last stack wrong": (
        lambda: columns(MOST, stack=b"[" + same(b"0", MOST - 1) + b",1]"),
        422,
        f"/offcputime/stack/{MOST - 1}",
        "outside `stacks`",
    ),
    "places that are texts": (
        lambda: columns(1, process=b'{"strings":[' + many(b'"mysqld"') + b"]}"),
        422,
        "/offcputime/process/strings/0",
        "is not of type",
    ),
    "too many strings": (
        lambda: columns(1, head=b'"strings":[' + many(b'"a"', 4 * MIB) + b"]"),
        413,
        NO,
        "strings",
    ),
    "strings of wrong types": (
        lambda: columns(1, head=b'"strings":[' + many(b"{}") + b"]"),
        422,
        "/strings/0",
        "is not of type",
    ),
    "strings that are long": (
        lambda: columns(1, head=b'"strings":[' + many(b'"' + b"f" * 70_000 + b'"') + b"]"),
        422,
        "/strings/0",
        "maxLength",
    ),
    "many strings that are no times": (
        lambda: columns(
            249_000,
            head=b'"stacks":[""],"strings":['
            + named(b'"2026-02-30T00:00:00.%06dZ"', 249_000)
            + b"]",
            time=b'{"strings":[' + b",".join(b"%d" % n for n in reversed(range(249_000))) + b"]}",
        ),
        422,
        "/offcputime/time/strings/",
        "is not a time",
    ),
    "many strings that are too long for a label": (
        lambda: columns(
            80_000,
            head=b'"stacks":[""],"strings":[' + named(b'"%0300d"', 80_000) + b"]",
            reason=b'{"strings":[' + b",".join(b"%d" % n for n in reversed(range(80_000))) + b"]}",
        ),
        422,
        "/offcputime/reason/strings/79999",
        "maxLength",
    ),
    "a wrong text now and then": (
        lambda: columns(
            MOST // 2,
            head=b'"stacks":[""],"strings":['
            + b",".join(b'"%s"' % (b"x" * (300 if n % 1100 == 0 else 3)) for n in range(MOST // 2))
            + b"]",
            reason=b'{"strings":[' + b",".join(b"%d" % n for n in range(MOST // 2)) + b"]}",
        ),
        422,
        "/offcputime/reason/strings/0",
        "maxLength",
    ),
    "one long text for all rows": (
        lambda: (
            b'{"hostname":"h","strings":["a","' + b"x" * 8000 + b'"],"opensnoop":{'
            b'"process":{"strings":[' + same(b"0", MOST) + b"]},"
            b'"pid":[' + same(b"1", MOST) + b"],"
            b'"path":{"strings":[' + same(b"1", MOST) + b"]},"
            b'"access":{"strings":[' + same(b"0", MOST) + b"]},"
            b'"elapsed":[' + same(b"1", MOST) + b"]}}"
        ),
        413,
        NO,
        "more memory",
    ),
    "days that never were": (
        lambda: columns(1, time=b"[" + named(b'"2026-02-30T00:00:00.%06dZ"', 400_000) + b"]"),
        422,
        "/offcputime/time/0",
        "is not a time",
    ),
    "NUL in each text": (
        lambda: columns(1, process=b"[" + many(b'"\\u0000"') + b"]"),
        422,
        "/offcputime/process/0",
        "NUL",
    ),
    "slots that are too many": (
        lambda: columns(1, lengths=lengths(many(b"1"), b"1", b"1")),
        413,
        NO,
        "fewer rows",
    ),
    "slots that repeat": (
        lambda: columns(1, lengths=lengths(same(b"5", MOST), same(b"1", MOST), b"%d" % MOST)),
        422,
        "/offcputime/lengths/slots/1",
        "slot 5 follows 5",
    ),
    "the last slot wrong": (
        lambda: columns(
            MOST,
            lengths=lengths(
                same(b"5", 2 * MOST),
                same(b"1", 2 * MOST),
                b",".join(b"%d" % n for n in [*range(1, MOST), 2 * MOST]),
            ),
        ),
        422,
        f"/offcputime/lengths/slots/{MOST}",
        "slot 5 follows 5",
    ),
    "the last end wrong": (
        lambda: columns(
            MOST,
            lengths=lengths(
                same(b"5", MOST),
                same(b"1", MOST),
                b",".join(b"%d" % n for n in [*range(1, MOST), 3]),
            ),
        ),
        422,
        f"/offcputime/lengths/ends/{MOST - 1}",
        "less than the end before",
    ),
    "histograms of a million slots": (
        lambda: columns(1, lengths=b"[[" + many(b"1", 3 * MIB) + b"]]"),
        422,
        "/offcputime/lengths/0",
        "too large",
    ),
    "long histograms": (
        lambda: columns(1, lengths=b"[" + many(b"[" + many(b"1", 8000) + b"]") + b"]"),
        422,
        "/offcputime/lengths/0",
        "maxItems",
    ),
    "cut off": (lambda: columns(MOST)[:-5], 400, NO, "not JSON"),
}


def packed(**members: Any) -> bytes:
    """Return a body of MessagePack."""
    usual = {"hostname": "h", "strings": ["mysqld"], "stacks": ["main;futex_wait"]}
    return msgpack.encode(usual | members)


def packed_columns(rows: int, **others: Any) -> bytes:
    usual = {
        "process": {"strings": msgpack.Ext(1, bytes(rows))},
        "pid": msgpack.Ext(4, bytes(4 * rows)),
        "stack": msgpack.Ext(1, bytes(rows)),
        "elapsed": msgpack.Ext(4, bytes(4 * rows)),
    }
    return packed(offcputime=usual | others)


def packed_array(item: bytes, size: int = 8 * MIB - 1000) -> msgspec.Raw:
    """Return so many bytes of an array that repeats an item."""
    count = size // len(item)
    return msgspec.Raw(b"\xdd" + count.to_bytes(4, "big") + item * count)


PACKED: dict[str, Case] = {
    "too large": (lambda: packed(more="x" * (9 * MIB)), 413, NO, "at most 8192 KiB"),
    "cut off": (lambda: packed_columns(MOST)[:-5], 400, NO, "not MessagePack"),
    "deep": (lambda: b"\x91" * (8 * MIB), 400, NO, "nested"),
    "a deep column": (
        lambda: packed_columns(1, pid=msgspec.Raw(b"\x91" * 20 + b"\x90")),
        422,
        "/offcputime/pid/0",
        "nested too deeply",
    ),
    "members that are too many": (
        lambda: b"\xdf\x00\x20\x00\x00" + b"\xa0\x00" * (2 * MIB),
        422,
        "",
        "more than there can be",
    ),
    "unknown columns": (
        lambda: packed(offcputime={f"pi{number}": [1] for number in range(4000)}),
        422,
        "/offcputime/pi0",
        "Did you mean 'pid'?",
    ),
    "a long array": (lambda: packed_columns(1, pid=packed_array(b"\0")), 413, NO, "fewer rows"),
    "an array of large numbers": (
        lambda: packed_columns(1, pid=packed_array(b"\xcf" + b"\xff" * 8, 4 * MIB)),
        422,
        "/offcputime/pid/0",
        "18446744073709551615",
    ),
    "an array of arrays": (
        lambda: packed_columns(
            1, pid=packed_array(b"\xdc\xff\xff" + b"\0" * 0xFFFF, 8 * MIB - 1000)
        ),
        422,
        "/offcputime/pid/0",
        "type int",
    ),
    "an array in an array": (
        lambda: packed_columns(1, pid=[packed_array(b"\0")]),
        422,
        "/offcputime/pid/0",
        "too large",
    ),
    "numbers that are maps": (
        lambda: packed_columns(1, pid=packed_array(b"\x81\xa0\xc0", 3 * 450_000)),
        422,
        "/offcputime/pid/0",
        "type int",
    ),
    "rows that are empty": (
        lambda: packed(offcputime=packed_array(b"\x80", 450_000)),
        422,
        "/offcputime/0",
        "is missing",
    ),
    "a row of many names": (
        lambda: packed(offcputime=[{f"{number:x}": None for number in range(700_000)}]),
        422,
        "/offcputime/0",
        "too large",
    ),
    "rows of many names": (
        lambda: packed(offcputime=[{f"{number:x}": None for number in range(100_000)}] * 9),
        422,
        "/offcputime/0/0",
        "there is no column",
    ),
    "integers that are too many": (
        lambda: packed_columns(1, pid=msgpack.Ext(1, bytes(7 * MIB))),
        413,
        NO,
        "fewer rows",
    ),
    "integers that are wrong": (
        lambda: packed_columns(1, elapsed=msgpack.Ext(8, b"\xff" * (7 * MIB))),
        422,
        "/offcputime/elapsed/0",
        "-1",
    ),
    "the last place wrong": (
        lambda: packed_columns(MOST, cgroup={"strings": msgpack.Ext(1, bytes(MOST - 1) + b"\1")}),
        422,
        f"/offcputime/cgroup/strings/{MOST - 1}",
        "outside `strings`",
    ),
    "strings that are empty": (
        lambda: packed(strings=packed_array(b"\xa0")),
        413,
        NO,
        "strings",
    ),
    "strings that are binary": (
        lambda: packed(strings=packed_array(b"\xc4\0", 400_000)),
        422,
        "/strings/0",
        "bytes",
    ),
    "texts that are not UTF-8": (
        lambda: packed_columns(1, process=packed_array(b"\xa1\xff", 900_000)),
        400,
        NO,
        "not MessagePack",
    ),
    "numbers that are none": (
        lambda: packed_columns(1, pid=packed_array(b"\xcb\x7f\xf8" + bytes(6), 4 * MIB)),
        422,
        "/offcputime/pid/0",
        "nan",
    ),
}


@dataclass(frozen=True)
class Process:
    """A server's memory and processor time, as the kernel counts them."""

    pid: int

    def forget_peak(self) -> int:
        """Return what it has now, in bytes."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    def peak(self) -> int:
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

    def seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("floods")) as running:
        running.post({"hostname": "first", "offcputime": [json.loads(ROW)]})
        yield running


def refused(server: Serving, body: bytes, **headers: str) -> dict[str, Any]:
    """Send it, and hold its cost and its answer to their bounds."""
    answer, seconds = measured(server, body, **headers)
    for _ in range(_TRIES - 1):
        if seconds < _SECONDS:
            break
        answer, seconds = measured(server, body, **headers)
    assert seconds < _SECONDS
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:200]
    assert len(answer.content) < 64 * 1024
    found: dict[str, Any] = answer.json()
    assert len(found.get("errors", [])) <= 100
    assert all(len(each["detail"]) < 500 for each in found.get("errors", []))
    return found


def measured(server: Serving, body: bytes, **headers: str) -> tuple[httpx.Response, float]:
    """Send it once; return the answer, and the seconds of the server's processors."""
    process = Process(server.process.pid)
    before, spent = process.forget_peak(), process.seconds()
    answer = server.send(body, **headers)
    assert process.peak() - before < _MEMORY
    return answer, process.seconds() - spent


@pytest.mark.parametrize("name", CASES)
def test_a_refused_body_costs_little(server: Serving, name: str) -> None:
    """Memory, time and answer are bounded for every body, and the first problem is named."""
    make, status, pointer, says = CASES[name]
    answer = refused(server, make())
    assert answer["status"] == status, answer
    assert says in str(answer)
    if pointer is not None:
        assert answer["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("name", COLUMNS)
def test_refused_columns_cost_little(server: Serving, name: str) -> None:
    """The same bounds hold for columns."""
    make, status, pointer, says = COLUMNS[name]
    answer = refused(server, make(), path="/api/v1/ingest")
    assert answer["status"] == status, answer
    assert says in str(answer)
    if pointer is not None:
        assert answer["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("name", PACKED)
def test_refused_messagepack_costs_little(server: Serving, name: str) -> None:
    """And for MessagePack, also if it is compressed."""
    make, status, pointer, says = PACKED[name]
    kind = {"path": "/api/v1/ingest", "Content_Type": "application/msgpack"}
    for answer in (
        refused(server, make(), **kind),
        refused(server, gzip.compress(make(), 1), Content_Encoding="gzip", **kind),
    ):
        assert answer["status"] == status, answer
        assert says in str(answer)
        if pointer is not None:
            assert answer["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
@pytest.mark.parametrize("name", ["rows that are arrays", "every row wrong", "the last row wrong"])
def test_a_small_body_that_unfolds_costs_little(
    server: Serving, encoding: str, compress: Callable[[bytes], bytes], name: str
) -> None:
    """A few KiB that stand for 30 MiB."""
    make, status, _, says = CASES[name]
    answer = refused(server, compress(make()), Content_Encoding=encoding)
    assert answer["status"] == status
    assert says in str(answer)


@pytest.mark.parametrize("text", ["\u0001", "\U0001f600", "~", '"', "\\"])
def test_an_answer_is_bounded_whatever_it_quotes(server: Serving, text: str) -> None:
    """Names and values that double when they are written, a hundred of them."""
    names = {text * 900 + str(number): 1 for number in range(200)}
    assert refused(server, json.dumps({"hostname": "h"} | names).encode())["status"] == 422
    rows = [json.loads(ROW) | {"pid": text * 5000} | names for _ in range(3)]
    body = json.dumps({"hostname": "h", "offcputime": rows}).encode()
    assert refused(server, body)["status"] == 422


def test_good_rows_in_any_form_are_stored(server: Serving) -> None:
    """Good rows are stored from long bodies, with odd numbers, blanks and brackets in texts."""
    forms = [
        ROW,
        ROW.replace(b"5123", b"5.123e3"),
        ROW.replace(b":", b" : ").replace(b",", b" ,\n"),
        ROW.replace(b"mysqld", b'}],[{\\"}, {'),
        ROW.replace(b"mysqld", b"\\\\\\\\u0000"),
        ROW.replace(b"main;futex_wait", b"f" * 60_000),
    ]
    for number, form in enumerate(forms):
        host = b'"hostname":"good-%d"' % number
        rows = min(3 * MIB // len(form), 20_000)
        for body in (of(b",".join([form] * rows), host), of(b"\n,\t".join([form] * rows), host)):
            answer = server.send(body)
            assert answer.json()["stored"] == {"offcputime": rows}, answer.text[:300]
        found = server.get("/api/v1/rows/offcputime", hostname=f"good-{number}", limit=1).json()
        stored = dict(zip(found["columns"], found["rows"][0], strict=True))
        sent = json.loads(form)
        assert (stored["process"], stored["elapsed"]) == (sent["process"], sent["elapsed"])


def test_tables_and_names_in_any_order(server: Serving) -> None:
    """The host, the time and the stacks may come after the rows that need them."""
    rows = many(ROW.replace(b'"main;futex_wait"', b"1"), MIB)
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
    rest = {"tcplife": [], "stacks": ["a", "b;c"], "time": moment.isoformat(), "hostname": "late"}
    body = b'{"offcputime":[' + rows + b"]," + json.dumps(rest).encode()[1:]
    count = rows.count(b"process")
    assert server.send(body).json()["stored"] == {"offcputime": count, "tcplife": 0}
    answer = server.get("/api/v1/rows/offcputime", hostname="late", limit=1)
    found = answer.json()
    stored = dict(zip(found["columns"], found["rows"][0], strict=True))
    # The address of 2016 takes stacks leaf first.
    assert stored["stack"] == "c;b"
    assert stored["time"] == moment.timestamp() * 1_000_000


def test_wrong_rows_of_many_senders_delay_no_good_ones(server: Serving) -> None:
    """Good bodies do not wait in one line with wrong ones."""
    ended = threading.Event()
    wrong = of(b",".join([BAD] * 200))
    answers: list[int] = []

    def attack() -> None:
        with httpx.Client(timeout=60) as client:
            while not ended.is_set():
                answers.append(client.post(f"{server.ingest}/", content=wrong).status_code)

    attackers = [threading.Thread(target=attack) for _ in range(16)]
    for each in attackers:
        each.start()
    try:
        for number in range(40):
            server.post({"hostname": "honest", "offcputime": [json.loads(ROW)] * 50})
            server.client.get(f"{server.ingest}/healthz").raise_for_status()
            if number == 0:
                answers.clear()
        between = len(answers)
    finally:
        ended.set()
        for each in attackers:
            each.join()
    assert set(answers) <= {422}
    # In one line for all there would be sixteen for each good one; a busy machine has seen five.
    assert between < 8 * 40


@pytest.mark.parametrize(
    ("rows", "most"),
    [
        (lambda: many(BAD), 4),
        (lambda: many(b"[]"), 4),
        (lambda: many(ROW, 29 * MIB) + b"," + BAD, 200),
    ],
)
def test_what_is_examined_is_bounded(rows: Callable[[], bytes], most: int) -> None:
    """Reading ends at a hundred faults, a short way beyond the first, or at the end."""
    decoder = Decoder(load_catalog())
    assert 0 < taken(decoder.steps(of(rows()), 0)) <= most


def taken(work: Steps[Batch]) -> int:
    """Return after how many steps it is refused."""
    count = 0
    with suppress(HttpProblem):
        for _ in work:
            count += 1
        raise AssertionError("it was not refused")
    return count
