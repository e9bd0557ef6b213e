"""Exit codes are as documented: 2 for a mistake in a file, a command or an option, else 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands import command

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("generate --categories bad --output o", 2),
        ("generate --categories nosuch --output o", 2),
        ("migrate --sqlite m.db --categories bad", 2),
        ("migrate --sqlite m.db --drop nosuch", 1),
        ("migrate --sqlite nosuch/m.db", 1),
        ("agent", 2),
        ("agent nosuch", 2),
        ("agent offcputime --pid 999999999", 2),
        ("agent offcputime --duration 1 --server ftp://x", 2),
        ("agent offcputime --duration 1 --token-file nosuch", 2),
        ("agent opensnoop --duration 1 --folded", 2),
        ("agent opensnoop --duration 1 --json --cgroup /nosuch", 2),
        ("agent offcputime --replay nosuch", 1),
        ("import nosuch f.folded", 2),
        ("import offcputime f.folded", 1),
        ("import offcputime f.zzz", 1),
        ("import offcputime empty.folded", 1),
        ("import offcputime f.folded --token-file bad", 2),
        ("import offcputime empty.folded --time zzz", 2),
        ("log nosuch", 2),
        ("log marker --server ftp://x", 2),
        ("log marker --token-file nosuch", 2),
        ("spool list --spool nosuch", 1),
        ("spool drop --spool .", 2),
        ("spool drop x --spool .", 2),
        ("spool send --spool . --server ftp://x", 2),
        (f"doctor --server {NOWHERE}", 1),
        ("doctor --config nosuch", 2),
        ("backup copy --sqlite nosuch.db", 1),
        ("restore copy --sqlite nosuch.db", 1),
        ("retention --sqlite nosuch.db", 1),
        ("query offcputime --sqlite nosuch.db", 1),
        (f"query offcputime --server {NOWHERE}", 1),
        ("serve --config nosuch.yaml", 2),
        ("serve --read 192.0.2.1:0", 2),
        ("serve --sqlite nosuch/k.db --read 127.0.0.1:0 --ingest 127.0.0.1:0", 1),
        ("token --scope nosuch", 2),
        ("token --name a,b", 2),
    ],
)
def test_an_exit_code_says_whose_fault_it_is(line: str, code: int, tmp_path: Path) -> None:
    """Also of a bad category file, and of a file that is missing."""
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.yaml").write_text("tabel: x")
    (tmp_path / "empty.folded").touch()
    ran = command(*line.split(), folder=tmp_path)
    assert ran.returncode == code, ran
    assert "Traceback" not in ran.stderr
