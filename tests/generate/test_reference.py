"""docs/reference has every flag of every probe, and every error that a user can meet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kscope.declare.files.catalog import load_catalog
from kscope.server.ingest.routes import STATUSES
from tests.commands import command
from tests.serving import ROOT, serving

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = ROOT / "docs/reference"
PROBES = (REFERENCE / "probes.md").read_text()
ERRORS = (REFERENCE / "errors.md").read_text()
TRACED = sorted(each.table for each in load_catalog() if each.probe or each.union)
# Of rows, and of questions; the ports and a table that there is are filled in.
WRONG = [
    ("ingest", "POST", "/api/v1/ingest", b"{", {}),
    ("ingest", "POST", "/api/v1/ingest", b"{}", {"Content-Type": "image/png"}),
    ("ingest", "POST", "/api/v1/ingest", b"\xff", {}),
    ("ingest", "POST", "/api/v1/ingest", b"{}", {"Content-Encoding": "br"}),
    ("ingest", "POST", "/api/v1/ingest", b"{}", {"Idempotency-Key": "x" * 300}),
    ("ingest", "POST", "/api/v1/ingest", b"{}", {"Origin": "http://elsewhere"}),
    ("ingest", "POST", "/api/v1/markers", b"{}", {}),
    ("read", "GET", "/api/v1/rows/marker", b"", {"Host": "elsewhere.example.com"}),
    ("read", "GET", "/api/v1/links/nosuch", b"", {}),
]


@pytest.mark.parametrize("probe", TRACED)
def test_each_flag_of_a_probe_is_in_the_reference(probe: str) -> None:
    """Each flag that `--help` lists is in the section of the probe, or in that of all probes."""
    shared = PROBES.partition("\n## Flags of all probes\n")[2].partition("\n## `")[0]
    own = PROBES.partition(f"\n## `kscope agent {probe}`\n")[2].partition("\n## `")[0]
    printed = command("agent", probe, "--help").stdout
    flags = re.findall(r"^ +(?:(-\w), )?(--[\w-]+)", printed, re.MULTILINE)
    assert len(flags) > 10
    for name in {each for pair in flags for each in pair if each} - {"-h", "--help"}:
        assert f"`{name}`" in own + shared, name


def test_each_status_has_a_fix() -> None:
    """A new status needs a fix."""
    answers = ERRORS.partition("## Answers")[2]
    rows = re.findall(r"^\| (\d{3}) \|.*\| ([^|]*) \|$", answers, re.MULTILINE)
    assert {int(status) for status, _ in rows} >= {s for s in STATUSES if s >= 400}
    assert [status for status, fix in rows if not fix] == []


def test_the_messages_of_a_server_are_in_the_reference(tmp_path: Path) -> None:
    """A user who searches the page for a message finds it, except for its own values."""
    listed = re.findall(r"^- (?:`` (.*) ``|`(.*)`)$", ERRORS, re.MULTILINE)
    patterns = [
        re.compile(".*".join(map(re.escape, (one or other).split("…")))) for one, other in listed
    ]
    with serving(tmp_path) as server:
        for listener, method, path, body, headers in WRONG:
            url = getattr(server, listener) + path
            answer = server.client.request(method, url, content=body, headers=headers)
            detail = answer.json()["detail"]
            assert answer.status_code >= 400
            assert f"\n### {answer.status_code}\n" in ERRORS
            assert any(each.fullmatch(detail) for each in patterns), detail


def test_exit_codes_are_those_of_the_commands(tmp_path: Path) -> None:
    """The table has all codes; tests/test_exit_codes.py runs the commands."""
    codes = re.findall(r"^\| (\d+) \|", ERRORS.partition("## Answers")[0], re.MULTILINE)
    assert codes == ["0", "1", "2", "130"]
    assert command("generate", "--categories", "nosuch", folder=tmp_path).returncode == 2
