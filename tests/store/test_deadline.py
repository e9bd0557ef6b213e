"""One deadline for a question, and nothing goes on for someone who has left."""

from __future__ import annotations

import concurrent.futures
import json
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from tests.databases import ClickHouseDatabase, Database, MariaDBDatabase, scalar
from tests.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "table: waits\ncolumns:\n  - {name: stack, type: stack}\n  - {name: n, type: count}\n"
FLAMEGRAPH = "/api/v1/flamegraph/waits"


@contextmanager
def slow_server(database: Database, folder: Path, deadline: str) -> Iterator[Serving]:
    """Serve a category whose rows take the engine hours to read."""
    (folder / "mine").mkdir()
    (folder / "mine/waits.yaml").write_text(FILE)
    config = folder / "kernelscope.yaml"
    chosen = json.dumps(database.configuration)
    config.write_text(
        f"categories: [{folder}/mine]\nquery_deadline: {deadline}\ndatabase: {chosen}\n"
    )
    with serving(folder, "--config", config) as server:
        server.post({"hostname": "h", "waits": [{"stack": "a;b", "n": 1}] * 2000})
        database.run(
            "RENAME TABLE kscope_rows_waits TO some"
            if isinstance(database, ClickHouseDatabase)
            else "ALTER TABLE kscope_rows_waits RENAME TO some",
            "CREATE VIEW kscope_rows_waits AS SELECT a.time AS time, a.seq AS seq,"
            " a.hostname AS hostname, a.stack AS stack, a.n + b.n * c.n * d.n AS n"
            " FROM some a, some b, some c, some d",
        )
        yield server


def questions(database: Database) -> str:
    """Return what asks a server how many questions it still answers."""
    match database:
        case MariaDBDatabase():
            return (
                "SELECT count(*) FROM information_schema.processlist WHERE command = 'Query'"
                f" AND db = '{database.database}' AND info LIKE '%kscope_rows_waits%'"
                " AND info NOT LIKE '%processlist%'"
            )
        case ClickHouseDatabase():
            return (
                "SELECT count() FROM system.processes WHERE query LIKE '%kscope_rows_waits%'"
                " AND query NOT LIKE '%system.processes%' AND NOT is_cancelled"
            )
    return ""


def busy(server: Serving) -> int:
    found = re.search(r"^kscope_readers_busy (\d+)$", server.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])


def until(server: Serving, readers: int) -> None:
    deadline = time.monotonic() + 20
    while busy(server) != readers:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_question_ends_at_its_deadline_and_says_what_to_do(
    database: Database, tmp_path: Path
) -> None:
    """504 with advice; those that found no reader free until then may ask again."""
    with slow_server(database, tmp_path, "3s") as server:
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: server.get(FLAMEGRAPH), range(12)))
        statuses = {answer.status_code for answer in answers}
        # Whether one of the last gets a reader just before its own deadline is a matter of luck.
        assert {504} <= statuses <= {503, 504}
        for answer in answers:
            if answer.status_code == 504:
                assert "ask for a shorter range" in answer.json()["detail"]
            else:
                assert "ask again later" in answer.json()["detail"]
                assert int(answer.headers["retry-after"]) > 0
        until(server, 0)
        assert server.get("/readyz").status_code == 200
        assert "Traceback" not in server.log


def test_the_question_of_someone_who_left_ends(database: Database, tmp_path: Path) -> None:
    """The page was closed: the engine stops at once, not at the deadline."""
    with slow_server(database, tmp_path, "300s") as server:
        for _ in range(3):
            try:
                httpx.get(f"{server.read}{FLAMEGRAPH}", timeout=httpx.Timeout(5, read=0.3))
            except httpx.ReadTimeout:
                pass
            else:
                raise AssertionError("it was answered")
        until(server, 0)
        running = questions(database)
        if running:
            deadline = time.monotonic() + 10
            while scalar(database, running):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert "Traceback" not in server.log
