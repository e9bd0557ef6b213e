"""TLS on both listeners: renewed certificates, clients with and without one, and floods."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from kscope.client.endpoint import Endpoint
from kscope.client.payload import Payload
from kscope.client.trust import Trust
from tests import needs
from tests.commands import command
from tests.serving import Serving, few, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = {"process": "mysqld", "pid": 1234, "stack": "main;futex_wait", "elapsed": 5123}
BODY = {"hostname": "h", "offcputime": [ROW]}
PATIENCE = 20.0


def openssl(*arguments: str | Path) -> None:
    program = needs.program("openssl", "openssl")
    subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, timeout=60)


@dataclass(frozen=True)
class Issuer:
    """A private certificate authority in a folder."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    def begin(self) -> Issuer:
        self.folder.mkdir()
        key, name = self.folder / "ca.key", "/CN=a test's authority"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl(*("req", "-x509", *curve, "-subj", name, "-keyout", key, "-out", self.certificate))
        return self

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return a new certificate for loopback, and its key."""
        certificate, key, asked = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", *curve, "-subj", f"/CN={name}", "-keyout", key, "-out", asked)
        names = self.folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        issuer = ("-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial")
        openssl("x509", "-req", "-in", asked, *issuer, "-extfile", names, "-out", certificate)
        return certificate, key


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer") / "ca").begin()


def configured(folder: Path, issuer: Issuer, *further: str) -> list[str | Path]:
    """Put a certificate into the folder; return the flags of a server that has it."""
    for made, name in zip(issuer.issue("server"), ("server.pem", "server.key"), strict=True):
        shutil.copy(made, folder / name)
    flags = few(folder)
    tls = ", ".join(("certificate: server.pem, key: server.key", *further))
    with (folder / "few.yaml").open("a") as file:
        file.write(f"database: {{sqlite: k.db}}\ntls: {{{tls}}}\n")
    return flags


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def server(folder: Path, issuer: Issuer) -> Iterator[Serving]:
    with serving(folder, *configured(folder, issuer)) as running:
        yield running


def serial(server: Serving) -> int:
    """Return the serial number of the certificate that a new connection gets."""
    host, port = server.ingest.removeprefix("https://").split(":")
    text = ssl.get_server_certificate((host, int(port)))
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-serial"],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout.partition("=")[2], 16)


def test_both_listeners_speak_tls_alone(server: Serving, issuer: Issuer) -> None:
    """Rows go in and come out through it; a client that does not trust it says so."""
    trusting = httpx.Client(verify=ssl.create_default_context(cafile=str(issuer.certificate)))
    assert server.read.startswith("https://")
    assert server.ingest.startswith("https://")
    assert trusting.post(f"{server.ingest}/", json=BODY).json()["stored"] == {"offcputime": 1}
    found = trusting.get(f"{server.read}/api/v1/top/offcputime?by=process").json()
    assert found["meta"]
    assert trusting.get(f"{server.read}/api/v1/server").json()["ingest"] == server.ingest
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"{server.read}/healthz")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http{server.read.removeprefix('https')}/healthz", timeout=5)


def test_a_large_body_and_a_large_answer_pass_whole(server: Serving) -> None:
    """Many records of TLS, in both directions, and a connection that stays open."""
    rows = [{**ROW, "stack": f"main;f{number};{'x' * 200}"} for number in range(20_000)]
    sent = server.client.post(
        f"{server.ingest}/api/v1/ingest", json={"hostname": "large", "offcputime": rows}
    )
    assert sent.json()["stored"] == {"offcputime": len(rows)}
    text = server.client.get(
        f"{server.read}/api/v1/flamegraph/offcputime", params={"hostname": "large"}
    ).text
    assert len(text) > 500_000


def test_a_slow_client_gets_all_of_a_last_answer(server: Serving, issuer: Issuer) -> None:
    """Of a connection that ends after it: TLS is not cut while the client still reads."""
    rows = [{**ROW, "stack": f"main;slow{number};{'y' * 200}"} for number in range(10_000)]
    body = {"hostname": "slow", "offcputime": rows}
    assert server.client.post(f"{server.ingest}/api/v1/ingest", json=body).status_code == 200
    host, port = server.read.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=str(issuer.certificate))
    target = "/api/v1/flamegraph/offcputime?hostname=slow"
    plain = socket.socket()
    plain.settimeout(30)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    plain.connect((host, int(port)))
    with context.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        got = bytearray()
        while piece := client.recv(8 * 1024):
            got += piece
            time.sleep(0.15)
    head, _, content = bytes(got).partition(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    assert (len(content), length > 400_000) == (length, True)


def test_a_renewed_certificate_counts_without_a_restart(
    server: Serving, folder: Path, issuer: Issuer
) -> None:
    """For new connections; one that is open goes on. A faulty file changes nothing."""
    before = serial(server)
    assert server.client.get(f"{server.read}/healthz").status_code == 200
    made, key = issuer.issue("renewed")
    (folder / "server.pem").write_text("no certificate\n")
    end = time.monotonic() + PATIENCE
    while "the certificate stays as it was" not in server.log and time.monotonic() < end:
        time.sleep(0.1)
    assert "the certificate stays as it was" in server.log
    assert serial(server) == before
    shutil.copy(key, folder / "server.key")
    shutil.copy(made, folder / "server.pem")
    while serial(server) == before and time.monotonic() < end:
        time.sleep(0.1)
    assert serial(server) != before
    assert server.client.get(f"{server.read}/healthz").status_code == 200


def test_agents_need_a_certificate_where_the_server_asks_for_one(
    tmp_path: Path, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One of its authority; people read without one."""
    shutil.copy(issuer.certificate, tmp_path / "agents.pem")
    flags = configured(tmp_path, issuer, "client_ca: agents.pem")
    strange = Issuer(tmp_path_factory.mktemp("strange") / "ca").begin()
    payload = Payload("offcputime", "k", 1, json.dumps(BODY).encode(), "")
    with serving(tmp_path, *flags) as running:
        assert running.client.get(f"{running.read}/api/v1/categories").status_code == 200
        for own, is_taken in (
            (issuer.issue("agent"), True),
            (strange.issue("agent"), False),
            ((None, None), False),
        ):
            trust = Trust(issuer.certificate, *own)
            endpoint = Endpoint(running.ingest, trust=trust, timeout=5)
            assert endpoint.health().stored is is_taken, own
            assert endpoint.post(payload).stored is is_taken
            endpoint.close()
        certificate, key = issuer.issue("doctor")
        (tmp_path / "agent.yaml").write_text(
            f"agent: {{server: '{running.ingest}', ca_file: {issuer.certificate},"
            f" certificate: {certificate}, key: {key}}}\n"
        )
        said = command("doctor", "--config", tmp_path / "agent.yaml").stdout
        assert f"{running.ingest} answers" in said
        marked = command("marker", "deploy", "--config", tmp_path / "agent.yaml")
        # It has no category of markers: the server has read it.
        assert "marker" in marked.stderr
        assert "TLS" not in marked.stderr


def test_a_client_whose_certificate_is_renewed_uses_the_new_one(
    server: Serving, issuer: Issuer, tmp_path: Path
) -> None:
    """At its next connection; a file that is being written does not end the old one."""
    trusted = tmp_path / "trusted.pem"
    shutil.copy(issuer.certificate, trusted)
    endpoint = Endpoint(server.ingest, longest_open=0.01, trust=Trust(trusted))
    assert endpoint.health().stored
    trusted.write_text("")
    assert endpoint.health().stored
    other = Issuer(tmp_path / "other").begin()
    shutil.copy(other.certificate, trusted)
    answer = endpoint.health()
    assert not answer.stored
    assert "not trusted" in answer.text
    endpoint.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"server.pem": None}, "server.pem: cannot be read"),
        ({"server.key": None}, "server.key: cannot be read"),
        ({"server.pem": "x"}, "are not a certificate and its key in PEM"),
        ({"server.key": "x"}, "are not a certificate and its key in PEM"),
        ({"server.key": "other"}, "is not the key of"),
        ({"server.key": "locked"}, "has a password"),
    ],
)
def test_a_server_does_not_start_with_faulty_files(
    tmp_path: Path, issuer: Issuer, change: dict[str, str | None], said: str
) -> None:
    """The message names the file, and OpenSSL asks for no password at the terminal."""
    _, config = configured(tmp_path, issuer)
    for name, text in change.items():
        file = tmp_path / name
        if text is None:
            file.unlink()
        elif text == "other":
            shutil.copy(issuer.issue("other")[1], file)
        elif text == "locked":
            openssl("ec", "-in", file, "-aes256", "-passout", "pass:x", "-out", file)
        else:
            file.write_text(text)
    done = command("serve", "--config", config, "--read", "127.0.0.1:0", "--ingest", "127.0.0.1:0")
    assert done.returncode != 0
    assert said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_clients_that_do_not_speak_tls_hold_nothing(server: Serving) -> None:
    """Open connections, garbage and halves of greetings, 300 at once: others are served."""
    host, port = server.ingest.removeprefix("https://").split(":")
    with ExitStack() as stack:
        for number in range(300):
            silent = stack.enter_context(socket.create_connection((host, int(port)), 10))
            silent.sendall(
                (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01")[number % 3]
            )
        with ThreadPoolExecutor(4) as pool:
            url = f"{server.ingest}/healthz"
            answers = list(pool.map(lambda _: httpx.get(url, verify=False).status_code, range(20)))
        assert answers == [200] * 20
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    assert resident < 300
    assert "Traceback" not in server.log
