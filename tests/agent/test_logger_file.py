"""`kscope_logger.py` alone in a folder, with the system's Python and none of its packages."""

from __future__ import annotations

import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import kscope.client
from tests import bcc_tools
from tests.agent.fakeserver import fake_server, problem
from tests.serving import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Serving

BEGIN = """
import ctypes, importlib.util, sys
sys.path.insert(0, "")
assert importlib.util.find_spec("kscope") is None
from kscope_logger import *
url = sys.argv[1]
"""
# As a tool of bcc ends: by an interrupt, and without `close`.
INTERRUPTED = """
import time
log = Logger(url, interval=0.1)
for n in range({rows}):
    log("marker", kind="interrupted", message=f"row {{n}} of {rows}")
try:
    print("logged", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    sys.exit()
"""
KEPT = """
with Logger(url, spool="spool", close_within=0.1) as log:
    log("marker", kind="kept", message="before the server")
"""


class Host:
    """A host with the one file, and the server that it logs to."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        shutil.copy(bcc_tools.LOGGER, folder)

    def run(self, script: str, url: str = "") -> subprocess.CompletedProcess[str]:
        command = [bcc_tools.PYTHON, "-I", "-S", "-c", BEGIN + script, url or self.url]
        return subprocess.run(
            command, cwd=self.folder, env={}, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Its first row is logged before the server runs."""
    host = Host(tmp_path_factory.mktemp("host"), f"http://127.0.0.1:{free_port()}")
    ran = host.run(KEPT)
    assert ran.returncode == 0, ran.stderr
    assert "1 rows are kept in spool/" in ran.stderr
    return host


@pytest.fixture(scope="module")
def server(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    address = host.url.removeprefix("http://")
    with serving(tmp_path_factory.mktemp("server"), "--ingest", address) as running:
        yield running


def rows(server: Serving, table: str, **filters: str) -> list[dict[str, Any]]:
    said = server.get(f"/api/v1/rows/{table}", **{"from": "now-1h"}, **filters).json()
    return [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]


def test_rows_arrive_with_the_values_of_bcc(host: Host, server: Serving) -> None:
    """Bytes, numbers and arrays of ctypes, an address, a text of a stack."""
    ran = host.run("""
with Logger(url, hostname="web-001") as log:
    comm = (ctypes.c_char * 16)(*b"mysqld")
    log("offcputime", process=comm, pid=ctypes.c_uint32(7), stack=b"main;work",
        elapsed=ctypes.c_uint64(5), lengths=(ctypes.c_uint * 3)(1, 0, 2))
    log("tcplife", process=b"curl", pid=8, direction=b"out", elapsed=3,
        local_address=address(0x0100007f), local_port=1,
        remote_address=address((ctypes.c_uint64 * 2)(0, 1 << 56)), remote_port=2)
""")
    assert ran.returncode == 0, ran.stderr
    (waited,) = rows(server, "offcputime")
    assert waited["hostname"] == "web-001"
    assert (waited["process"], waited["pid"], waited["stack"]) == ("mysqld", 7, "main;work")
    assert (waited["elapsed"], waited["lengths"]) == (5, [1, 0, 2])
    (connected,) = rows(server, "tcplife")
    assert connected["local_address"] == "127.0.0.1"
    assert connected["remote_address"] == "::1"


def test_a_spool_keeps_rows_until_the_next_run(host: Host, server: Serving) -> None:
    """The row that was logged without a server arrives with those of the next script."""
    ran = host.run(KEPT.replace("before the server", "now").replace("0.1", "20"))
    assert (ran.returncode, ran.stderr) == (0, "")
    kept = {row["message"] for row in rows(server, "marker", kind="kept")}
    assert kept == {"before the server", "now"}


def test_a_refused_row_is_named_at_the_exit(host: Host, server: Serving) -> None:
    """Also without `close`; the rows beside it arrive."""
    ran = host.run("""
log = Logger(url)
for message in ("good", 5, "fine"):
    log("marker", kind="mixed", message=message)
""")
    assert "/marker/1/message" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(rows(server, "marker", kind="mixed")) == 2


def test_a_busy_server_gets_the_same_key_again(host: Host) -> None:
    """A batch that is sent twice is stored once."""
    with fake_server() as busy:
        busy.answers = [problem(503, "busy", Retry_After="0")] * 2
        ran = host.run("with Logger(url) as log: log('cpu', n=1)", busy.url)
        assert ran.returncode == 0, ran.stderr
        assert len(busy.received) == 3
        assert len({request.key for request in busy.received}) == 1


def test_memory_is_bounded_without_a_server(host: Host) -> None:
    """A call beyond the bound raises the error that the file exports."""
    ran = host.run(
        """
log = Logger(url, most=3, interval=60, close_within=0)
for n in range(3):
    log("cpu", n=n)
try:
    log("cpu", n=3)
except KscopeError as error:
    print(error)
""",
        "http://127.0.0.1:9",
    )
    assert ran.stdout.startswith("3 rows wait to be sent, so this one is not taken")
    assert "3 rows were not sent" in ran.stderr


@pytest.mark.parametrize("many", [10, 1500])
def test_an_interrupt_ends_a_script_that_logs(host: Host, server: Serving, many: int) -> None:
    """Whether its rows are sent as they are or as columns: it ends, and all of them arrive."""
    script = BEGIN + INTERRUPTED.format(rows=many)
    command = [bcc_tools.PYTHON, "-I", "-S", "-c", script, host.url]
    with subprocess.Popen(
        command, cwd=host.folder, env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == "logged\n"
        running.send_signal(signal.SIGINT)
        try:
            _, said = running.communicate(timeout=60)
        finally:
            running.kill()
    assert (running.returncode, said) == (0, ""), said
    arrived = rows(server, "marker", kind="interrupted", limit="10000")
    mine = [row["message"] for row in arrived if row["message"].endswith(f" of {many}")]
    assert sorted(mine) == sorted(f"row {n} of {many}" for n in range(many))


def test_many_rows_are_sent_as_columns(host: Host) -> None:
    """The file has all that makes them, in the system's Python."""
    with fake_server() as taking:
        ran = host.run(
            """
with Logger(url) as log:
    for n in range(100):
        log("cpu", process="a", n=n, counts=[0, n])
""",
            taking.url,
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    (received,) = taking.received
    assert received.has_columns
    assert [row["n"] for row in received.body["cpu"]] == list(range(100))


def test_the_file_has_the_names_of_the_package(host: Host) -> None:
    """A script can move to the package, and back, by its import alone."""
    ran = host.run("import kscope_logger; print(*kscope_logger.__all__)")
    assert ran.stdout.split() == kscope.client.__all__


def test_the_guide_s_script_runs(host: Host, server: Serving) -> None:
    """As it is in the guide, except for the address."""
    script = bcc_tools.block("python", "import Logger\n")
    ran = host.run(script.replace(f'"{bcc_tools.WRITTEN_SERVER}"', "url"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [row["path"] for row in rows(server, "execsnoop")] == ["/bin/bash"]
