"""The server as a service: its unit, its configuration, and what it says to a service manager."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from kscope.config import SQLite, load_settings
from tests.serving import ROOT, few, kscope
from tests.units import check_unit

if TYPE_CHECKING:
    from pathlib import Path

UNIT = ROOT / "packaging/kernelscope-server.service"


@pytest.mark.parametrize("is_abstract", [False, True])
def test_it_says_when_it_is_ready_and_when_it_stops(tmp_path: Path, *, is_abstract: bool) -> None:
    """Ready is once requests are answered from the database."""
    path = tmp_path / "notify"
    name = f"\0kscope-test-{tmp_path}" if is_abstract else str(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(60)
        addresses = ("--read", "127.0.0.1:0", "--ingest", "127.0.0.1:0")
        server = subprocess.Popen(
            kscope("serve", *few(tmp_path), *addresses),
            cwd=tmp_path,
            env={"NOTIFY_SOCKET": name.replace("\0", "@"), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        with server:
            said = manager.recv(4096).decode()
            assert said.startswith("READY=1\nSTATUS=page http://127.0.0.1:")
            (page,) = re.findall(r"page (http://\S+)/,", said)
            assert httpx.get(f"{page}/readyz").status_code == 200
            server.send_signal(signal.SIGTERM)
            assert manager.recv(4096) == b"STOPPING=1"
            _, errors = server.communicate(timeout=60)
        assert server.returncode == 0, errors


@pytest.mark.parametrize("address", ["nowhere", "/no/such/socket", ""])
def test_a_manager_that_does_not_listen_keeps_no_server_from_starting(
    tmp_path: Path, address: str
) -> None:
    addresses = ("--read", "127.0.0.1:0", "--ingest", "127.0.0.1:0")
    server = subprocess.Popen(
        kscope("serve", *few(tmp_path), *addresses),
        cwd=tmp_path,
        env={"NOTIFY_SOCKET": address, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("page ")
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 0, errors


def test_systemd_takes_the_unit_and_calls_it_safe(tmp_path: Path) -> None:
    """No setting is unknown to it, and its exposure is that of a service without rights."""
    check_unit(UNIT, tmp_path, exposure=20)


def test_its_configuration_is_one(tmp_path: Path) -> None:
    """As it is, and with its commented settings."""
    shipped = (ROOT / "packaging/server.yaml").read_text()
    file = tmp_path / "server.yaml"
    file.write_text(shipped)
    plain = load_settings(file)
    assert isinstance(plain.database, SQLite)
    assert str(plain.database.path) == "/var/lib/kernelscope-server/kernelscope.db"
    assert not plain.tokens_file
    lines = (line.removeprefix("# ") for line in shipped.splitlines())
    settings = [line for line in lines if re.match(r"[a-z_]+: ", line)]
    file.write_text("\n".join(settings))
    whole = load_settings(file)
    assert whole.tokens_file == tmp_path / "tokens.yaml"
    assert whole.tls
    assert whole.hosts
