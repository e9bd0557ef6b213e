"""Questions: addresses of the read side, the API of 2016, categories to be checked, links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from kscope.server.openapi.document import document
from tests.fuzz.http import FOLDERS, TABLES, address, server
from tests.fuzz.rows_in import ROWS
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILTERS = (
    "process=mysqld", "process__not=a,b", "process__like=*sql*", "process__re=^my.*d$",
    "pid__gte=5",
    "pid__in=1,2,3", "latency__gte=5ms", "written__lt=2MiB", "peer__in=10.0.0.0/8", "direct=true",
    "stack__has=main", "stack__lacks=futex", "started__gte=now-1h", "busy__gt=0.5", "state=",
    "from=now-7d", "to=now", "base.from=now-14d", "step=5m", "n=5", "by=process", "value=latency",
    "stack=user_stack", "order=-time", "limit=10", "root=process", "at=now", "hostname=web-001",
    "where=process:mysqld", "format=svg", "format=pprof", "search=ma.n", "group=role",
    "presets=none",
)  # fmt: skip
OF_2016: tuple[Any, ...] = (
    {"offcputime": {"elements": ["process", "stack", "time"], "limit": 10}},
    {"everything": {"elements": ["stack", "latency"], "format": "flamegraph"}},
    {"offcputime": {"elements": ["pid"], "constraints": [
        {"oper": "or", "conditions": [
            {"pid": 100, "expr": "="}, {"process": "a", "expr": "contains"},
            {"oper": "and", "conditions": [{"pid": 1, "expr": "<="}, {"pid": 2, "expr": "!="}]},
        ]},
    ]}},
)  # fmt: skip


def _catalog() -> Catalog:
    found = load_catalog(list(FOLDERS))
    return Catalog(tuple(each for each in found if each.table in TABLES))


def _addresses() -> Iterator[bytes]:
    """Yield an address for each question, as the document has it, and some filters of each kind."""
    for number, (path, operations) in enumerate(document(_catalog())["paths"].items()):
        get = operations.get("get")
        if get is None:
            continue
        asked, given = path, {}
        for each in get.get("parameters", ()):
            if each["in"] == "path":
                example = str(each.get("example", "offcputime"))
                asked = asked.replace(f"{{{each['name']}}}", example)
            elif "example" in each:
                given[each["name"]] = each["example"]
        few = [FILTERS[(number + step) % len(FILTERS)] for step in (0, 7, 13)]
        query = urlencode(
            {name: each for name, each in given.items() if not isinstance(each, dict)}
        )
        yield from (asked.encode(), f"{asked}?{query}".encode())
        yield f"{asked}?{'&'.join(few)}".encode()
    for path in ("/", "/s/abc", "/assets/x.js", "/speedscope/x", "/metrics", "/readyz", "/new"):
        yield path.encode()


def _filled() -> Any:
    """Return a server with a few rows, so that there is something to answer."""
    found = server()
    body = json.dumps(ROWS).encode()
    found.ask(found.ingest, "POST", "/api/v1/ingest", body, content_type="application/json")
    return found


def _asking() -> Callable[[bytes], object]:
    found = _filled()
    return lambda data: found.ask(found.read, "GET", address(data.partition(b"\n")[0]))


def _posting(path: str, kind: str) -> Callable[[], Callable[[bytes], object]]:
    def open_() -> Callable[[bytes], object]:
        found = _filled()
        return lambda data: found.ask(found.read, "POST", path, data, content_type=kind)

    return open_


def _files() -> list[bytes]:
    from tests.fuzz.files_in import category_files  # noqa: PLC0415 - it has other needs

    return category_files()


TARGETS = (
    Target(
        "questions",
        _asking,
        lambda: [*_addresses()],
        words=[each.encode() for text in FILTERS for each in (text, f"&{text}")],
    ),
    Target(
        "questions-2016",
        _posting("/api", "application/json"),
        lambda: [json.dumps(each).encode() for each in OF_2016],
        "json",
    ),
    Target("check", _posting("/api/v1/check", "text/plain"), _files),
    Target(
        "links",
        _posting("/api/v1/links", "application/json"),
        lambda: [b'{"address": "/?table=offcputime"}', b"/?table=offcputime#x"],
    ),
)
