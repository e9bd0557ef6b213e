"""scripts/release: it tags a version that is ready, and names all that is missing otherwise."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kscope.declare.files.yaml_lines import parse
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
NAMES = ["-c", "user.name=x", "-c", "user.email=x@example.org"]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *NAMES, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts/release", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@example.org", "PATH": "/usr/bin"},
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a repository in which 0.2.0 is ready."""
    (tmp_path / "kscope").mkdir()
    (tmp_path / "kscope/__init__.py").write_text('__version__ = "0.2.0"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## Unreleased\n\n## 0.2.0 - {TODAY}\n\n- It is faster.\n\n"
        "## 0.1.0 - 2026-01-01\n\n- The first.\n"
    )
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "Begin")
    git(tmp_path, "tag", "v0.1.0")
    return tmp_path


def test_a_release_that_is_ready_gets_its_tag(project: Path) -> None:
    checked = release(project, "0.2.0")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert git(project, "tag") == "v0.1.0"
    tagged = release(project, "0.2.0", "--tag")
    assert tagged.returncode == 0, tagged.stderr
    text = git(project, "tag", "-l", "--format=%(contents)", "v0.2.0")
    assert text == "Kernelscope 0.2.0\n\n- It is faster."
    again = release(project, "0.2.0", "--tag")
    assert (again.returncode, "v0.2.0 is there already" in again.stderr) == (1, True)


def test_all_that_is_missing_is_named_at_once(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    text = (project / "CHANGELOG.md").read_text()
    text = text.replace(TODAY, "2026-01-02").replace(
        "## Unreleased\n", "## Unreleased\n\n- More.\n"
    )
    (project / "CHANGELOG.md").write_text(text)
    git(project, "checkout", "-qb", "other")
    found = release(project, "0.2.0", "--tag")
    assert found.returncode == 1
    for part in (
        "pyproject.toml says version 0.1.0",
        f"no heading '## 0.2.0 - {TODAY}'",
        "notes under 'Unreleased'",
        "files are changed or new",
        "the branch other, not main",
    ):
        assert part in found.stderr, found.stderr
    assert git(project, "tag") == "v0.1.0"


@pytest.mark.parametrize("version", ["0.0.9", "1", "v0.2.0", "0.2.0-rc1", "01.2.3", "../x"])
def test_a_version_that_is_none_or_goes_back_is_refused(project: Path, version: str) -> None:
    found = release(project, version, "--tag")
    assert found.returncode == 1
    assert git(project, "tag") == "v0.1.0"


@pytest.mark.parametrize("name", ["fault", "wish"])
def test_the_forms_of_issues_can_be_read(name: str) -> None:
    """Each part of a form has what a forge asks for."""
    file = ROOT / f".github/ISSUE_TEMPLATE/{name}.yml"
    document = parse(file.read_text(), str(file), lambda path: path)
    assert not document.problems
    form = document.value
    assert {"name", "description", "body"} <= form.keys()
    for part in form["body"]:
        assert part["type"] in {"markdown", "textarea", "dropdown", "input", "checkboxes"}
        if part["type"] == "markdown":
            assert part["attributes"]["value"]
        else:
            assert part["id"]
            assert part["attributes"]["label"]
