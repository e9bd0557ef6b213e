"""`kscope spool`: what is kept is listed, sent again and dropped, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kscope.client.answers import Answer, Outcome
from kscope.client.payload import Payload
from kscope.client.spool import Spool
from kscope.client.spool_lock import claim
from tests.agent.fakeserver import fake_server, problem
from tests.commands import command

if TYPE_CHECKING:
    from pathlib import Path

SERVER = "http://one:8081"


def run(*arguments: object, code: int = 0) -> str:
    """Return the output of both streams."""
    done = command("spool", *map(str, arguments))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two batches that wait, and one that is set aside, of an agent that is gone."""
    fill(tmp_path, SERVER)
    return tmp_path


def fill(root: Path, server: str) -> int:
    folder, lock = claim(root, server)
    spool = Spool(folder, max_bytes=10**6, max_age=1e6, lost=lambda *_: None)
    for number in range(3):
        rows = [{"n": n} for n in range(number + 1)]
        body = {"hostname": f"web-{number}", "time": "2026-11-28T12:00:00Z", "cpu": rows}
        spool.put(Payload.of("cpu", body))
    entry = spool.oldest()
    assert entry
    spool.refuse(entry, Answer(Outcome.REFUSED, "HTTP 422 /cpu/0/n: not a \x1b[2J number", 422))
    os.close(lock)
    return lock


def names(root: Path) -> list[str]:
    return [line.split("  ")[0] for line in run("list", "--spool", root).splitlines()[:-1]]


def test_each_batch_is_listed_with_why_it_is_there(root: Path) -> None:
    """Name, time, host, table, rows, bytes, and the server's words, which steer no terminal."""
    *lines, total = run("list", "--spool", root).splitlines()
    assert total.startswith("3 batches, 6 rows, ")
    assert [line.split("  ")[1:5] for line in lines] == [
        ["2026-11-28T12:00:00Z", f"web-{n}", "cpu", f"{n + 1} rows"] for n in (1, 2, 0)
    ]
    assert lines[0].endswith("  waits")
    assert lines[2].endswith("  set aside: HTTP 422 /cpu/0/n: not a  [2J number")
    assert all((root / line.split("  ")[0]).is_file() for line in lines)


def test_what_is_kept_is_sent_again(root: Path) -> None:
    """All of a server's, or those that are named; what is refused again stays, with the reason."""
    with fake_server() as server:
        said = run("send", "--spool", root, "--server", server.url)
        assert "0 batches with 0 rows" in said
        assert "3 batches are kept for other servers: --all" in said
        server.answers = [problem(422, "still wrong")]
        waiting, _, aside = names(root)
        said = run("send", aside, "--spool", root, "--server", server.url, code=1)
        assert f"{aside}: HTTP 422 still wrong" in said
        assert "still wrong" in run("list", "--spool", root)
        said = run("send", waiting, "--spool", root, "--server", server.url)
        assert "1 batches with 2 rows are stored" in said
        said = run("send", "--all", "--spool", root, "--server", server.url)
        assert "2 batches with 4 rows are stored" in said
        assert names(root) == []
        keys = [request.key for request in server.received]
    assert len(set(keys)) == 3
    assert not list(root.rglob("*.reason"))


def test_without_a_server_nothing_is_lost(root: Path) -> None:
    """The first attempt says why; each batch stays."""
    said = run("send", "--all", "--spool", root, "--server", "127.0.0.1:9", code=1)
    assert "Connection refused" in said
    assert "all that is not stored is kept" in said
    assert len(names(root)) == 3


def test_only_what_is_named_is_dropped(root: Path) -> None:
    """By its name from the list; --all alone drops all, and each is printed."""
    first, second, aside = names(root)
    assert "name the batches to drop, or use --all" in run("drop", "--spool", root, code=2)
    assert "use --all" in run("drop", first, "--all", "--spool", root, code=2)
    said = run("drop", aside, "--spool", root)
    assert said.startswith(f"dropped {aside}  2026-11-28T12:00:00Z  web-0  cpu  1 rows")
    assert names(root) == [first, second]
    assert len(run("drop", "--all", "--spool", root).splitlines()) == 2
    assert names(root) == []


def test_a_name_that_is_none_drops_nothing(root: Path) -> None:
    """Neither a file elsewhere nor one of the spool's own, nor those that were named beside it."""
    first, *_ = names(root)
    precious = root / "precious.txt"
    precious.write_text("x")
    own = next(root.glob("*/*/lock")).relative_to(root)
    for wrong in ("../x", str(precious), "precious.txt", str(own), "/etc/passwd", first[:-1], ""):
        said = run("drop", first, wrong, "--spool", root, code=2)
        assert "there is no such batch" in said
    assert len(names(root)) == 3
    assert precious.exists()


def test_an_agent_that_runs_keeps_what_waits(root: Path) -> None:
    """A running agent sends its batches itself; batches that were moved aside can be dropped."""
    _, lock = claim(root, SERVER)
    first, _, aside = names(root)
    assert "waits, an agent sends it" in run("list", "--spool", root)
    assert "an agent runs on it" in run("drop", first, "--spool", root, code=1)
    assert "dropped" in run("drop", aside, "--spool", root)
    said = run("send", "--all", "--spool", root, "--server", "127.0.0.1:9", code=1)
    assert "an agent runs on it, and sends it itself" in said
    assert len(names(root)) == 2
    os.close(lock)


def test_a_file_that_is_broken_is_listed_all_the_same(root: Path) -> None:
    """Without a host and a time; it is not sent as something else."""
    file = root / names(root)[0]
    file.write_bytes(b"broken")
    assert "  -  -  cpu  2 rows  6 bytes  waits" in run("list", "--spool", root)
    (root / names(root)[2]).with_name(f"{(root / names(root)[2]).name}.reason").write_text("[")
    assert "set aside: the reason is not known" in run("list", "--spool", root)


def test_mistakes_are_told(tmp_path: Path) -> None:
    """A folder that is not there, a command that is none."""
    said = run("list", "--spool", tmp_path / "no", code=1)
    assert "is not a spool; name its folder with --spool" in said
    assert "there is no command 'lsit'. Did you mean 'list'?" in run("lsit", code=2)
