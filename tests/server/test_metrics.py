"""/metrics: every metric is declared, figures are right, and a scrape costs no question."""

from __future__ import annotations

import json
import re
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kscope.server.http.metric_list import METRICS, PARTS
from kscope.server.http.problems import HttpProblem
from kscope.server.http.refusals import REASONS
from kscope.store.backends.errors import StoreError
from tests import needs
from tests.commands import command
from tests.server.test_tokens import bearer, made
from tests.serving import ROOT, few, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.serving import Serving

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
PATIENCE = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with serving(folder, *few(folder), "--sqlite", folder / "m.db") as running:
        yield running


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def scraped(server: Serving, headers: dict[str, str] | None = None) -> dict[str, float]:
    """Return the value of each series by its name and labels."""
    text = server.client.get(f"{server.read}/metrics", headers=headers or {}).text
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def eventually(
    server: Serving,
    holds: Callable[[dict[str, float]], bool],
    headers: dict[str, str] | None = None,
) -> dict[str, float]:
    """Scrape until it holds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = scraped(server, headers)
        if holds(found):
            return found
        time.sleep(0.2)
    raise AssertionError(found)


def test_a_scrape_has_every_metric_and_no_other(server: Serving) -> None:
    """The reference page is made of the same list."""
    # Housekeeping removes rows for the first time after the figures were read.
    eventually(server, lambda found: "kscope_retention_last_run_timestamp_seconds" in found)
    text = server.get("/metrics").text
    described = set(re.findall("^# HELP ([a-z_]+) [A-Z]", text, re.MULTILINE))
    assert described <= METRICS.keys()
    assert METRICS.keys() - described == {
        metric.name for metric in METRICS.values() if metric.only and "SQLite" not in metric.only
    }
    page = (ROOT / "docs/reference/metrics.md").read_text()
    assert all(f"| `{name}` |" in page for name in METRICS)
    for name, kind in re.findall("^# TYPE ([a-z_]+) ([a-z]+)$", text, re.MULTILINE):
        assert METRICS[name].kind == kind
    series = {name.partition("{")[0] for name in scraped(server)}
    histograms = {name for name in METRICS if METRICS[name].kind == "histogram"}
    ends = {f"{name}{part}" for name in histograms for part in PARTS}
    assert series <= described - histograms | ends


def test_prometheus_takes_the_exposition(server: Serving) -> None:
    """Its own tool finds nothing to say about names, types and help."""
    promtool = needs.program("promtool", "prometheus")
    text = server.get("/metrics").content
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_time_of_commits_is_a_histogram(server: Serving) -> None:
    before = scraped(server)
    server.post({"hostname": "h", "offcputime": [ROW]})
    after = scraped(server)
    name = "kscope_commit_duration_seconds"
    assert after[f"{name}_count"] == before[f"{name}_count"] + 1
    assert after[f"{name}_sum"] > before[f"{name}_sum"]
    buckets = [value for series, value in after.items() if series.startswith(f"{name}_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == after[f'{name}_bucket{{le="+Inf"}}'] == after[f"{name}_count"]


def test_figures_of_the_database_follow_it(server: Serving, folder: Path) -> None:
    """Its size, its newest rows, and that sums and removal are up to date."""
    sent = time.time()
    server.post({"hostname": "h", "offcputime": [{**ROW, "time": iso(sent)}]})
    newest = 'kscope_category_last_row_timestamp_seconds{category="offcputime"}'
    found = eventually(server, lambda found: found.get(newest, 0) >= sent - 0.001)
    assert found[newest] == pytest.approx(sent, abs=0.001)
    assert found["kscope_database_bytes"] >= (folder / "m.db").stat().st_size
    assert found["kscope_database_free_bytes"] > 0
    assert found['kscope_rollup_lag_seconds{category="offcputime"}'] == 0
    assert found['kscope_retention_lag_seconds{category="offcputime"}'] == 0
    assert found["kscope_retention_last_run_timestamp_seconds"] > sent - 3600
    assert found["kscope_database_read_timestamp_seconds"] > sent - 60
    assert found["kscope_rows_waiting"] == found["kscope_oldest_waiting_seconds"] == 0


def test_losses_that_agents_report_are_in_a_scrape(tmp_path: Path) -> None:
    """By the probe's table; a name that is no table makes no series."""
    rows = [
        {"probe": probe, "state": "running", "lost_events": 5}
        for probe in ("offcputime", "offcputime", "forged")
    ]
    with serving(tmp_path, *few(tmp_path, "agent"), "--sqlite", tmp_path / "m.db") as server:
        server.post({"hostname": "h", "agent": rows})
    with serving(tmp_path, *few(tmp_path, "agent"), "--sqlite", tmp_path / "m.db") as server:
        found = eventually(server, lambda found: any("agent_lost" in name for name in found))
    lost = {name: value for name, value in found.items() if "agent_lost" in name}
    assert lost == {'kscope_agent_lost_events{category="offcputime"}': 10}


def test_a_scrape_asks_the_database_nothing(tmp_path: Path) -> None:
    """Without its file there are no answers, but the metrics are there."""
    with serving(tmp_path, *few(tmp_path), "--sqlite", tmp_path / "m.db") as server:
        eventually(server, lambda found: "kscope_database_bytes" in found)
        for file in tmp_path.glob("m.db*"):
            file.unlink()
        assert server.get("/readyz").status_code == 503
        assert "kscope_database_bytes" in scraped(server)


def test_refusals_are_counted_by_reason(tmp_path: Path) -> None:
    """Each from the way in that it has: the parser, the token, the body, its rows."""
    file = tmp_path / "tokens.yaml"
    free, bound = (
        made(file, "--name", "free", "--scope", "ingest", "--scope", "read"),
        made(file, "--name", "bound", "--scope", "ingest", "--host", "db-*"),
    )
    few(tmp_path)
    config = tmp_path / "few.yaml"
    config.write_text(f"{config.read_text()}tokens_file: {file}\nmax_body: 64KiB\n")
    with serving(tmp_path, "--config", config, "--sqlite", tmp_path / "m.db") as server:
        url = f"{server.ingest}/api/v1/ingest"

        def send(content: bytes, token: str = free, **headers: str) -> int:
            return server.client.post(
                url, content=content, headers={**bearer(token), **headers}
            ).status_code

        assert send(b"{") == 400
        assert send(b'{"hostname": "h", "offcputime": [{"elapsed": "no"}]}') == 422
        assert send(b" " * 100_000) == 413
        assert send(b"{}", **{"content-type": "image/png"}) == 415
        assert send(b"{}", origin="http://evil.example") == 403
        assert send(b'{"hostname": "h", "offcputime": []}', "wrong") == 401
        assert server.client.get(server.read, headers=bearer(bound)).status_code == 403
        row = {"hostname": "web-1", "offcputime": [ROW]}
        assert send(json.dumps(row).encode(), bound) == 403
        assert server.client.get(f"{server.read}/nosuch", headers=bearer(free)).status_code == 404
        found = scraped(server, bearer(free))
    refused = {name: value for name, value in found.items() if "requests_refused" in name}
    assert refused == {
        f'kscope_requests_refused_total{{listener="{listener}",reason="{reason}"}}': 1
        for listener, reason in (
            *(("ingest", each) for each in ("damaged", "schema", "too large", "format")),
            *(("ingest", each) for each in ("web page", "no token", "other host")),
            *(("read", each) for each in ("scope", "not found")),
        )
    }


def kinds(error: type[HttpProblem | StoreError]) -> Iterator[type[HttpProblem | StoreError]]:
    yield error
    for each in error.__subclasses__():
        yield from kinds(each)


def test_every_reason_is_in_the_reference() -> None:
    """No problem has a reason that the page does not explain."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    for kind in (*kinds(HttpProblem), *kinds(StoreError)):
        assert kind.reason == "" or kind.reason in REASONS, kind
    assert all(f"| `{reason}` |" in page for reason in REASONS)


def test_a_silent_host_is_named(tmp_path: Path) -> None:
    """By the page's API, by `kscope hosts`, and by a number in /metrics; also after a restart."""
    few(tmp_path)
    config = tmp_path / "few.yaml"
    config.write_text(f"{config.read_text()}silent_after: 2s\n")
    arguments = ("--config", config, "--sqlite", tmp_path / "m.db")
    with serving(tmp_path, *arguments) as server:
        server.post({"hostname": "web-1", "offcputime": [ROW]}, user_agent="kscope/9.9.9")
        old = {**ROW, "time": iso(time.time() - 2 * 86400)}
        server.post({"hostname": "imported", "offcputime": [old]})
        server.post({"hostname": "recording:web-1", "offcputime": [ROW]})
        found = eventually(server, lambda found: found["kscope_hosts_silent"] == 1)
        assert found["kscope_hosts"] == 1
        server.post({"hostname": "web-2", "offcputime": [ROW]})
        answer = server.get("/api/v1/heard").json()
        assert [(each["host"], each["silent"]) for each in answer["hosts"]] == [
            ("web-1", True),
            ("web-2", False),
        ]
        assert (answer["silent"], answer["silent_after"]) == (1, 2.0)
        assert answer["hosts"][0]["program"] == "kscope/9.9.9"
        listed = command("hosts", "--server", server.read)
        assert re.search(r"^web-1 +silent .* kscope/9.9.9$", listed.stdout, re.MULTILINE)
        assert re.search(r"^web-2 +(sends|silent) ", listed.stdout, re.MULTILINE)
        eventually(server, lambda found: found["kscope_hosts_silent"] == 2)
        time.sleep(1)
        noted = time.monotonic() + PATIENCE
        while "web-2" not in command("hosts", *arguments_of(config, tmp_path)).stdout:
            assert time.monotonic() < noted
            time.sleep(0.5)
    direct = command("hosts", "--silent", "--format", "json", *arguments_of(config, tmp_path))
    assert direct.returncode == 0
    assert '"host":"web-2"' in direct.stdout
    with serving(tmp_path, *arguments) as server:
        eventually(server, lambda found: found.get("kscope_hosts_silent") == 2)


def arguments_of(config: Path, folder: Path) -> tuple[str | Path, ...]:
    """Return the options of a database that a command asks directly."""
    whole = folder / "direct.yaml"
    whole.write_text(f"{config.read_text()}database: {{sqlite: {folder / 'm.db'}}}\n")
    return ("--config", whole)


def test_hosts_without_rows(tmp_path: Path) -> None:
    """A new server has none, and says so."""
    with serving(tmp_path, *few(tmp_path), "--sqlite", tmp_path / "m.db") as server:
        listed = command("hosts", "--server", server.read)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout == "0 hosts in the last day, 0 silent for more than 10 min\n"
