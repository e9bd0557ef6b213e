"""Names that come after the rows: `kscope symbols`, and debuginfod servers."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kscope.config import SymbolSettings
from kscope.server.symbols import debuginfod as client
from kscope.server.symbols import fetch
from kscope.server.symbols.debuginfod import DownloadError, download
from kscope.server.symbols.files import read_symbols
from kscope.store.symbols.nameless import Nameless
from kscope.store.symbols.table import SymbolTable
from tests import needs
from tests.agent.strangers import tls_server
from tests.commands import Ran, command
from tests.databases import SQLiteFile
from tests.serving import few, free_port, serving, stop
from tests.store.opened import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tests.databases import Database
    from tests.serving import Serving

PROGRAM = """
int inner(int x) { volatile int y = x; return y * 3; }
static int hidden(int x) { return inner(x) + 1; }
int main(int argc, char **argv) { return hidden(argc); }
"""
DAY = {"from": "2026-11-23", "to": "2026-11-24", "by": ""}
BUILD = "ab" * 20


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile a program whose names are in a file next to it, `program.debug`."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(PROGRAM)
    commands = (
        "gcc -g -O0 -Wl,--build-id -o program program.c",
        "objcopy --only-keep-debug program program.debug",
        "strip program",
    )
    for each in commands:
        subprocess.run(each.split(), cwd=folder, check=True)
    return folder / "program"


def address_of(program: Path, function: str) -> int:
    listed = subprocess.run(["nm", f"{program}.debug"], capture_output=True, text=True, check=True)
    return next(int(line.split()[0], 16) for line in listed.stdout.splitlines() if function in line)


def build_of(program: Path) -> str:
    notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True)
    return notes.stdout.partition("Build ID: ")[2].split()[0]


def send(server: Serving, stack: str) -> None:
    row = {
        "process": "program",
        "pid": 1,
        "reason": "blocked",
        "stack": stack,
        "elapsed": 5,
        "count": 1,
        "lengths": [0, 1],
    }
    server.post({"hostname": "web-1", "time": "2026-11-23T10:00:00Z", "offcputime": [row]})


def folded(server: Serving) -> str:
    answer = server.get("/api/v1/flamegraph/offcputime", format="folded", **DAY)
    answer.raise_for_status()
    return answer.text


def symbols(*arguments: str | Path) -> Ran:
    return command("symbols", *arguments)


def test_rows_get_the_names_that_are_added_later(
    database: Database, program: Path, tmp_path: Path
) -> None:
    """The server keeps running; a folder's files are read, each once, and the others are named."""
    shutil.copy(program, tmp_path / "copy")
    shutil.copy(f"{program}.debug", tmp_path / "program.debug")
    (tmp_path / "again.debug").hardlink_to(tmp_path / "program.debug")
    (tmp_path / "broken").write_bytes(b"\x7fELF" + os.urandom(100))
    (tmp_path / "fifo").mkdir()
    os.mkfifo(tmp_path / "fifo/fifo")
    build, hidden = build_of(program), address_of(program, "hidden")
    options = database.options
    with serving(tmp_path, *few(tmp_path), *options) as server:
        send(server, f"main;program+0x{hidden:x}@{build};poll")
        assert folded(server) == f"main;program+0x{hidden:x};poll 5\n"
        found = symbols("add", *options, tmp_path)
        assert found.returncode == 0, found.stderr
        assert "1 files with " in found.stdout
        assert "1 without function names, 1 unreadable" in found.stdout
        assert "broken: is an ELF file of an unknown class" in found.stderr
        assert "copy: has no function names: add its debug file" in found.stderr
        assert folded(server) == "main;hidden [program];poll 5\n"
        again = symbols("add", *options, f"{program}.debug")
        assert "0 files with 0 functions are stored, 1 in the table already" in again.stdout
        listed = symbols("list", *options).stdout
        assert listed.startswith(build)
        assert "again.debug\n1 files, " in listed
        wrong = symbols("remove", *options, "abcd")
        assert (wrong.returncode, "abcd: the table has no such build id" in wrong.stderr) == (
            2,
            True,
        )
        assert symbols("remove", *options, build).stdout == f"removed {build}\n"
        assert folded(server) == f"main;program+0x{hidden:x};poll 5\n"


def test_a_file_that_cannot_be_added_is_named(tmp_path: Path) -> None:
    """The exit code says so, and the other files are stored."""
    database = ["--sqlite", tmp_path / "kernelscope.db"]
    (tmp_path / "plain.c").write_text(PROGRAM)
    none = symbols("list", *database)
    said = f"{database[1]}: there is no such database; `--sqlite PATH` names another one\n"
    assert (none.returncode, none.stderr) == (1, said)
    assert command("migrate", *database).returncode == 0
    compiled = "gcc -Wl,--build-id=none -o without plain.c"
    subprocess.run(compiled.split(), cwd=tmp_path, check=True)
    found = symbols("add", *database, tmp_path / "plain.c", tmp_path / "without")
    assert found.returncode == 1
    assert "plain.c: is not an ELF file" in found.stderr
    assert "without: has no build id: link it with -Wl,--build-id" in found.stderr
    assert "2 of the named files were not stored" in found.stderr
    missing = symbols("add", *database, tmp_path / "gone")
    assert (missing.returncode, "gone: there is no such file" in missing.stderr) == (2, True)


@contextmanager
def real_debuginfod(folder: Path, work: Path) -> Iterator[str]:
    debuginfod = needs.program("debuginfod", "debuginfod")
    port = free_port()
    log = (work / "debuginfod.log").open("wb")
    command = [debuginfod, "-v", "-d", work / "debuginfod.sqlite", "-p", port, "-F", folder]
    with log, subprocess.Popen(map(str, command), stdout=log, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def until(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_real_debuginfod_names_frames(program: Path, tmp_path: Path) -> None:
    """The first answer has the offset; the server asks, and a later answer has the name."""
    build, hidden = build_of(program), address_of(program, "hidden")
    with real_debuginfod(program.parent, tmp_path) as url:
        until(lambda: is_scanned(url, build), "debuginfod has the program")
        config = tmp_path / "kernelscope.yaml"
        database = tmp_path / "kernelscope.db"
        settings = {"database": {"sqlite": str(database)}, "symbols": {"debuginfod": [f"{url}/"]}}
        config.write_text(json.dumps(settings))
        with serving(tmp_path, "--config", config) as server:
            stack = f"main;program+0x{hidden:x}@{build};libz.so+0x1000@{BUILD}"
            send(server, stack)
            assert folded(server) == f"main;program+0x{hidden:x};libz.so+0x1000 5\n"
            until(lambda: "hidden [program]" in folded(server), "the name")
            assert folded(server) == "main;hidden [program];libz.so+0x1000 5\n"
            assert stop(server) == 0
            assert "Traceback" not in server.log
        listed = symbols("list", "--config", config).stdout
        assert f"{build}  " in listed
        assert "  fetched " in listed


def is_scanned(url: str, build: str) -> bool:
    try:
        return httpx.get(f"{url}/buildid/{build}/debuginfo").status_code == 200
    except httpx.TransportError:
        return False


Answer = bytes | list[bytes]
OK = b"HTTP/1.1 200 OK\r\n"
# Paths that were asked for.
ASKED: list[str] = []


@asynccontextmanager
async def hostile(answers: dict[str, Answer], pause: float = 0.0) -> AsyncIterator[str]:
    """Answer each path with these bytes; the last of several again and again."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        ASKED.append(path)
        pieces = answers.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n")
        try:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces[:-1]:
                writer.write(piece)
            while not isinstance(pieces, bytes):
                writer.write(pieces[-1])
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


HOSTILE: dict[str, tuple[Answer, str]] = {
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer in HTTP"),
    "nothing": (b"", "does not answer in HTTP"),
    "endless head": ([OK, b"X: y\r\n"], "does not answer in HTTP"),
    "endless body": ([OK + b"\r\n", b"x" * 65536], "has a file of more than 1 MiB"),
    "large": (OK + b"Content-Length: 9999999999\r\n\r\n", "has a file of more than 1 MiB"),
    "short": (OK + b"Content-Length: 100\r\n\r\nabc", "sent 3 of 100 bytes"),
    "no length": (OK + b"Content-Length: many\r\n\r\n", "does not answer in HTTP"),
    "chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "an encoding that was not asked",
    ),
    "file": (b"HTTP/1.1 302 \r\nLocation: file:///etc/passwd\r\n\r\n", "redirects to 'file:'"),
    "another host": (b"HTTP/1.1 302 \r\nLocation: http://localhost/x\r\n\r\n", "to another server"),
    "another port": (b"HTTP/1.1 302 \r\nLocation: //127.0.0.1:1/x\r\n\r\n", "to another server"),
    "to HTTPS": (b"HTTP/1.1 302 \r\nLocation: https://127.0.0.1:1/\r\n\r\n", "cannot be reached"),
    "circle": (b"HTTP/1.1 302 \r\nLocation: /x\r\n\r\n", "answers with status 302"),
    "error": (b"HTTP/1.1 500 \r\n\r\n", "answers with status 500"),
}


@pytest.mark.parametrize("kind", [*HOSTILE])
def test_a_hostile_server_is_bounded(kind: str) -> None:
    """Each answer ends with its reason, and takes no more memory or disk than the limit."""
    answer, why = HOSTILE[kind]
    file = io.BytesIO()

    async def ask() -> None:
        async with hostile({"/x": answer}) as url:
            await download(f"{url}/x", file, 1 << 20)

    with pytest.raises(DownloadError, match=why):
        asyncio.run(ask())
    assert len(file.getvalue()) <= 2 << 20


@pytest.mark.parametrize("answer", [[b"H"], [OK, b"X"], [OK + b"\r\n", b"x"]])
def test_a_slow_server_is_left(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte from time to time does not make an answer longer."""
    monkeypatch.setattr(client, "SECONDS", 0.3)

    async def ask() -> None:
        async with hostile({"/x": answer}, pause=0.05) as url:
            await download(f"{url}/x", io.BytesIO(), 1 << 20)

    with pytest.raises(DownloadError, match=r"took longer than 0\.3 s"):
        asyncio.run(ask())


def test_a_server_without_a_valid_certificate_is_refused(tmp_path: Path) -> None:
    """The message is not that of an answer which is no HTTP."""

    async def ask(port: int) -> None:
        await download(f"https://localhost:{port}/x", io.BytesIO(), 1 << 20)

    with (
        tls_server(tmp_path) as port,
        pytest.raises(DownloadError, match=r"no valid certificate: self.signed"),
    ):
        asyncio.run(ask(port))


def test_a_server_that_does_not_connect_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before a download ends; here TLS gets no answer."""
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)

    async def ask() -> None:
        async with hostile({}) as url:
            await download(url.replace("http", "https") + "/x", io.BytesIO(), 1 << 20)

    with pytest.raises(DownloadError, match=r"cannot be reached within 0\.2 s"):
        asyncio.run(ask())


def test_an_address_without_a_host_is_an_error() -> None:
    """It is not that of this machine."""
    with pytest.raises(DownloadError, match="without a host"):
        asyncio.run(download("http:///x", io.BytesIO(), 1 << 20))


def test_a_redirection_is_followed() -> None:
    """As public servers do; a missing file is no fault."""
    answers: dict[str, Answer] = {
        "/a": b"HTTP/1.1 302 \r\nLocation: /b\r\n\r\n",
        "/b": OK + b"\r\nfile",
    }
    file = io.BytesIO()

    async def ask() -> Any:
        async with hostile(answers) as url:
            return [await download(f"{url}{path}", file, 1 << 20) for path in ("/a", "/none")]

    assert asyncio.run(ask()) == [True, False]
    assert file.getvalue() == b"file"


def test_a_bad_file_names_nothing(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of another build id and one that is damaged are refused; each build id is asked once.

    The other kind of file, or the next server, may be better.
    """
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0)
    good, others = build_of(program), ["11" * 20, "22" * 20, "33" * 20]
    debug = Path(f"{program}.debug").read_bytes()
    served: dict[str, Answer] = {
        f"/buildid/{others[0]}/debuginfo": OK + b"\r\n" + debug,
        f"/buildid/{others[1]}/debuginfo": OK + b"\r\n\x7fELF\2\1" + b"\xff" * 5000,
        f"/buildid/{others[2]}/debuginfo": b"HTTP/1.1 500 \r\n\r\n",
        f"/buildid/{good}/debuginfo": OK + b"\r\n" + program.read_bytes(),
        f"/buildid/{good}/executable": OK + b"\r\n" + debug,
    }

    async def run() -> list[str]:
        path = SQLiteFile(tmp_path / "kernelscope.db")
        async with opened(path) as store, hostile(served) as url, hostile({}) as other:
            found = SymbolSettings((other, url), 1 << 30, 1 << 20)
            store.reader.names.want(Nameless("x", 1, each) for each in (*others, good, *others))
            running = asyncio.create_task(fetch.Fetcher(store, found).run())
            table = SymbolTable(store.backend, store.schema, 1 << 30)
            for _ in range(3000):
                await asyncio.sleep(0.01)
                if await table.has(good):
                    break
            store.reader.names.want(Nameless("x", 1, each) for each in others)
            await asyncio.sleep(0.1)
            running.cancel()
            return [each.build for each in await table.files()]

    assert asyncio.run(run()) == [good]
    for build in others:
        assert ASKED.count(f"/buildid/{build}/debuginfo") == 2, "once of each server"
    assert f"sent a file of build id {good} for {others[0]}" in caplog.text


def test_a_fetched_file_has_no_debug_file_in_the_temporary_folder(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user of the machine can put one there, with the right build id."""
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shutil.copy(f"{program}.debug", tmp_path / "program.debug")
    link = f"--add-gnu-debuglink={tmp_path / 'program.debug'}"
    subprocess.run(["objcopy", link, program, tmp_path / "linked"], check=True)
    assert read_symbols(tmp_path / "linked", "x", is_installed=True).functions > 2
    build, last = build_of(program), f"/buildid/{BUILD}/executable"
    served: dict[str, Answer] = {
        f"/buildid/{build}/executable": OK + b"\r\n" + (tmp_path / "linked").read_bytes()
    }
    ASKED.clear()

    async def run() -> int:
        path = SQLiteFile(tmp_path / "kernelscope.db")
        async with opened(path) as store, hostile(served) as url:
            store.reader.names.want(Nameless("x", 1, each) for each in (build, BUILD))
            found = SymbolSettings((url,), 1 << 30, 1 << 20)
            running = asyncio.create_task(fetch.Fetcher(store, found).run())
            for _ in range(3000):
                await asyncio.sleep(0.01)
                if last in ASKED:
                    break
            running.cancel()
            return len(await SymbolTable(store.backend, store.schema, 1 << 30).files())

    assert asyncio.run(run()) == 0
    assert {f"/buildid/{build}/executable", last} <= {*ASKED}


def test_a_server_that_cannot_be_reached_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are asked for all build ids; it is asked again after a while."""
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0)
    dead, builds = f"http://127.0.0.1:{free_port()}", ["44" * 20, "55" * 20, "66" * 20]
    asked: list[str] = []

    async def recorded(url: str, *others: Any) -> bool:
        asked.append(url)
        return await download(url, *others)

    monkeypatch.setattr(fetch, "download", recorded)

    async def run(name: str, *servers: str) -> int:
        """Return how often the dead server was asked, until something was asked for each build."""
        asked.clear()
        async with opened(SQLiteFile(tmp_path / name)) as store:
            store.reader.names.want(Nameless("x", 1, each) for each in builds)
            found = SymbolSettings(servers, 1 << 30, 1 << 20)
            running = asyncio.create_task(fetch.Fetcher(store, found).run())
            for _ in range(3000):
                await asyncio.sleep(0.01)
                if all(any(build in url for url in asked) for build in builds):
                    break
            running.cancel()
        assert all(any(build in url for url in asked) for build in builds)
        return sum(url.startswith(dead) for url in asked)

    async def run_both() -> tuple[int, int]:
        async with hostile({}) as url:
            first = await run("one.db", dead, url)
        monkeypatch.setattr(fetch, "REST_SECONDS", 0.05)
        return first, await run("two.db", dead)

    assert asyncio.run(run_both()) == (1, 3)
