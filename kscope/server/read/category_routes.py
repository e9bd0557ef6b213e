"""The charts of a category, and the check of a category file, which stores nothing."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kscope.declare.charts import chart_configs
from kscope.declare.files.category import Reading, read_category
from kscope.declare.files.union import with_unions
from kscope.declare.model import Catalog, Category
from kscope.errors import Problem
from kscope.generate.render import render
from kscope.query.answers.categories import Charts, Checked, TextProblem, category_answer
from kscope.query.declared_filters import filter_problems
from kscope.query.parse.scope import category_of
from kscope.server.http.problems import HttpProblem
from kscope.server.http.request_body import read_small
from kscope.server.read.routes import json_response

# Running and waiting.
_MOST_CHECKS = 4
# A category file is a page of text; a longer text is not one.
MAX_TEXT = 64 * 1024
_FILE = "new.yaml"
# Files that are generated from all categories together.
_COMMON = ("schema/category.schema.json", "docs/")


async def _charts(request: Request) -> Response:
    category = category_of(request.app.state.reader.catalog, request.path_params["table"])
    return json_response(Charts(category.table, chart_configs(category)))


class CategoryChecks:
    """One thread for checks, which only use processor time, and a short queue."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "check")
        self._under_way = 0

    async def answer(self, text: str, catalog: Catalog) -> Checked:
        """Return the result of `check`. Raise 503 if the queue is full."""
        if self._under_way >= _MOST_CHECKS:
            detail = "other category files are being checked; send this one again in a second"
            raise HttpProblem(503, detail, headers={"Retry-After": "1"})
        self._under_way += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, check, text, catalog)
        work.add_done_callback(self._done)
        return await work

    def _done(self, _: object) -> None:
        self._under_way -= 1


async def _check(request: Request) -> Response:
    refuse_foreign_page(request.headers)
    text = await _text(request)
    checks: CategoryChecks = request.app.state.checks
    return json_response(await checks.answer(text, request.app.state.reader.catalog))


def refuse_foreign_page(headers: Headers) -> None:
    """Raise 403 if a page of another site sends the request through its visitor's browser."""
    site = headers.get("sec-fetch-site", "")
    origin = headers.get("origin")
    own = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    if site not in ("", "same-origin", "none") or (not site and not own):
        raise HttpProblem(403, "only this server's own page can ask for this")


async def _text(request: Request) -> str:
    too_large = f"a category file has at most {MAX_TEXT // 1024} KiB"
    body = await read_small(request, MAX_TEXT, too_large)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise HttpProblem(400, f"the text is not UTF-8: {error}") from None


def check(text: str, catalog: Catalog) -> Checked:
    reading = read_category(text, _FILE)
    category, problems = _among(reading, catalog)
    known = catalog.get(category.table) if category else None
    return Checked(
        problems=[TextProblem(each.line, each.path, each.message) for each in problems],
        category=category_answer(category) if category else None,
        declared_in=PurePath(known.file).name if known else None,
        files=_files(category) if category else {},
        charts=chart_configs(category) if category else [],
    )


def _among(reading: Reading, catalog: Catalog) -> tuple[Category | None, list[Problem]]:
    """Return the category beside the others, if it is right, and all its problems."""
    if reading.category is None:
        return None, [*reading.problems]
    table = reading.category.table
    others = (each for each in catalog.stored if each.table != table)
    found, problems = with_unions([reading.category, *others])
    if not problems:
        problems = [each for each in filter_problems(found) if each.file == _FILE]
    return (None if problems else found[0]), problems


def _files(category: Category) -> dict[str, str]:
    files = render(Catalog((category,)))
    return {path: text for path, text in files.items() if not path.startswith(_COMMON)}


routes = [
    Route("/api/v1/charts/{table}", _charts, methods=["GET"]),
    Route("/api/v1/check", _check, methods=["POST"]),
]
