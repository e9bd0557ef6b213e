"""The lines that the system's log gets of commands that change data."""

from __future__ import annotations

import os
import pwd
import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.commands import command
from tests.serving import few

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Return the messages that have come since the last call."""
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(str(path))
        receiving.settimeout(0)
        monkeypatch.setattr("kscope.cli.audit.SOCKET", str(path))
        monkeypatch.delenv("SUDO_UID", raising=False)

        def messages() -> list[str]:
            found = []
            while True:
                try:
                    found.append(receiving.recv(4096).decode())
                except BlockingIOError:
                    return found

        yield messages


def text(message: str) -> str:
    """Return a message's text, after its priority, its program and its user."""
    found = re.fullmatch(rf"<86>kscope\[\d+\]: {USER}: (.*)", message)
    assert found, message
    return found[1]


def test_tokens_that_are_made_and_revoked(
    tmp_path: Path, logged: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their scopes; the token itself is not in the log. sudo's user is named too."""
    file = tmp_path / "tokens.yaml"
    token = command("token", "--name", "web", "--scope", "admin", "--file", file).stdout.strip()
    (made,) = logged()
    assert text(made) == f"token web made, admin, {file}"
    assert token not in made
    command("token", "--list", "--file", file)
    assert logged() == []
    monkeypatch.setenv("SUDO_UID", "0")
    command("token", "--revoke", "web", "--file", file)
    (revoked,) = logged()
    assert f"{USER}, through sudo root: token web revoked, {file}" in revoked
    assert command("token", "--revoke", "web", "--file", file).returncode == 1
    assert logged() == []


def test_a_databases_rows_that_are_dropped_removed_or_replaced(
    tmp_path: Path, logged: Callable[[], list[str]]
) -> None:
    """Each command that changes data; a dry run changes none, and logs nothing."""
    _, config = few(tmp_path, "runqlat")
    database = tmp_path / "k.db"
    there = ("--config", config, "--sqlite", database)
    assert command("migrate", *there).returncode == 0
    assert [text(each) for each in logged()] == [f"migrated {database}"]
    assert command("migrate", *there).returncode == 0
    assert logged() == []
    (tmp_path / "few/categories/runqlat.yaml").unlink()
    for options, messages in (
        (("migrate", "--drop", "runqlat", "--dry-run"), []),
        (("migrate", "--drop", "runqlat"), [f"dropped runqlat of {database}"]),
        (("retention", "--dry-run"), []),
        (("retention",), [f"rows past their retention removed from {database}"]),
        (("backup", tmp_path / "b.db"), []),
        (
            ("restore", tmp_path / "b.db", "--force"),
            [f"{database} replaced by the backup {tmp_path / 'b.db'}"],
        ),
    ):
        done = command(*options, *there)
        assert done.returncode == 0, done.stderr
        assert [text(each) for each in logged()] == messages
    copied = command("copy", "--from", f"sqlite:{database}", "--to", f"sqlite:{tmp_path}/c.db")
    assert copied.returncode == 0, copied.stderr
    assert [text(each) for each in logged()] == [f"{database} copied into {tmp_path}/c.db"]


def test_a_machine_without_a_log_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kscope.cli.audit.SOCKET", str(tmp_path / "none"))
    done = command("token", "--file", tmp_path / "tokens.yaml")
    assert (done.returncode, done.stderr) == (0, "")


def test_no_text_from_outside_starts_a_line(
    tmp_path: Path, logged: Callable[[], list[str]]
) -> None:
    """A file's name may have any characters."""
    folder = tmp_path / "a\n<0>forged\x1b[2J"
    folder.mkdir()
    command("token", "--file", folder / ("t" * 200))
    (made,) = logged()
    assert made.isprintable()
    assert len(made) < 1000
