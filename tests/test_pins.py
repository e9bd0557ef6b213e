"""The pinned versions: those of Python's packages, and of the page's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime

from tests.serving import ROOT

CONSTRAINTS = ROOT / "packaging" / "constraints.txt"


def test_the_pins_are_within_the_bounds() -> None:
    """Each package that pyproject.toml names, of all shipped extras, has a version in bounds."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/pin", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_pins_have_the_day_of_their_check_and_no_address() -> None:
    text = CONSTRAINTS.read_text()
    checked = re.search(r"^# Checked: (\S+)$", text, re.MULTILINE)
    assert checked
    assert date(2026, 11, 1) < date.fromisoformat(checked[1]) <= datetime.now(UTC).date()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line) for line in lines)


def test_the_packages_of_the_page_are_pinned_without_an_address() -> None:
    """By their hashes, so any registry will do."""
    packages = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    assert len(packages) > 10
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or "integrity" in package, name


def test_the_audit_says_what_it_could_not_ask() -> None:
    """A fault fails it; a missing network does not, and is named with the age of the versions."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/audit"], capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if "packages: " in line]
    assert len(lines) == 2, done.stdout + done.stderr
    for line in lines:
        assert re.search(r"\d+ known faults|versions are of 20\d\d-\d\d-\d\d", line)
