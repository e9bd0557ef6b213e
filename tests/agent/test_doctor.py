"""`kscope doctor`: what is missing on a host, and a fix for each."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from kscope.agent.stacks.unwinder import constants
from tests import needs
from tests.agent.fakeserver import fake_server, problem
from tests.serving import ROOT, kscope, serving

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "127.0.0.1:9"


def said(*arguments: object, wrapped_in: tuple[str, ...] = ()) -> tuple[int, dict[str, str]]:
    """Return the exit code, and by subject the line with its fix; every problem has one."""
    command = [*wrapped_in, *kscope("doctor", *map(str, arguments))]
    done = subprocess.run(
        command, cwd=ROOT / "tests/agent", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    found = {}
    for line in re.split(r"\n(?=\S)", done.stdout.strip()):
        verdict, subject = re.match(r"(ok|warn|fail) +([^:]+): ", line).groups()  # type: ignore[union-attr]
        assert (verdict == "ok") == ("\n     -> " not in line), line
        found[subject] = line
    return done.returncode, found


def nobody(capabilities: str = "") -> tuple[str, ...]:
    needs.root("becoming another user")
    if subprocess.run(
        ["setpriv", "--reuid=nobody", "--clear-groups", "test", "-r", str(ROOT / "kscope")],
        check=False,
    ).returncode:
        needs.lacking("others", f"{ROOT} cannot be read by other users")
    command = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    ambient = f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"
    return (*command, *(ambient if capabilities else ()))


def symbols_are_public() -> bool:
    """Whether anybody may read them, as with kernel.kptr_restrict=0 and perf_event_paranoid=1."""
    command = [*nobody(), "head", "-n1", "/proc/kallsyms"]
    line = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return int(line.split()[0] if line else "0", 16) > 0


@pytest.mark.bpf
def test_without_rights_it_names_a_command_that_gives_them() -> None:
    """No traceback, and the capabilities that it lists are enough to load and read everything."""
    code, lacks = said("--server", NOWHERE, wrapped_in=nobody())
    assert code == 1
    hidden = ("bpf", "tracefs", "kernel symbols", "capabilities")
    for subject in hidden if not symbols_are_public() else set(hidden) - {"kernel symbols"}:
        assert not lacks[subject].startswith("ok"), lacks[subject]
    granted = re.search(r"--ambient-caps=(\S+)", lacks["capabilities"])
    assert granted
    _, mended = said("--server", NOWHERE, wrapped_in=nobody(granted[1]))
    assert "capabilities" not in mended
    failed = [subject for subject, line in mended.items() if line.startswith("fail")]
    assert failed == ["server"]


def test_an_agent_without_rights_says_what_it_needs() -> None:
    """One sentence, no traceback."""
    command = [*nobody(), *kscope("agent", "offcputime", "--pid", str(os.getpid()), "--folded")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.search(r"as root|run as root", done.stderr)


def test_a_program_that_is_not_installed_is_named_with_its_package() -> None:
    """Also where others of its folder are there."""
    needs.root("hiding a program")
    program = needs.program("bpftool", "bpftool")
    hide = f'mount --bind /dev/null {program} && exec "$@"'
    _, lacks = said("--server", NOWHERE, wrapped_in=("unshare", "-m", "sh", "-c", hide, "sh"))
    assert lacks["bpftool"].startswith("warn")
    assert "apt install bpftool" in lacks["bpftool"]


def test_how_user_stacks_are_walked_is_said() -> None:
    """By their rules on this kernel; by frame pointers on one without BTF, with what it needs."""
    needs.root("hiding a file")
    if not constants()["KS_UNWIND"]:
        needs.lacking("unwinding", "this kernel cannot read user registers")
    _, found = said("--server", NOWHERE)
    assert found["unwinding"] == "ok   unwinding: user stacks are walked by .eh_frame"
    hide = 'mount --bind /dev/null /sys/kernel/btf/vmlinux && exec "$@"'
    _, lacks = said("--server", NOWHERE, wrapped_in=("unshare", "-m", "sh", "-c", hide, "sh"))
    assert lacks["unwinding"].startswith("warn unwinding: this kernel cannot read user registers")
    assert "needs Linux 5.15 with BTF" in lacks["unwinding"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h:abc", "has an invalid host or port"),
        ("http://127.0.0.1:99999", "has an invalid host or port"),
        (":9999", "is not the address of a server"),
        ("http://[::1", "has an invalid host or port"),
        (NOWHERE, "http://127.0.0.1:9: Connection refused"),
        ("https://127.0.0.1", "https://127.0.0.1:443: "),
    ],
)
def test_a_wrong_address_is_a_finding_like_others(url: str, problem: str) -> None:
    """The report is complete, whatever answer the server sends."""
    code, found = said("--server", url)
    assert code == 1
    assert problem in found["server"]


def test_the_page_is_not_where_rows_go(tmp_path: Path) -> None:
    """Doctor refuses the read listener, which would refuse each batch; `query` the ingest one."""
    with serving(tmp_path) as server:
        code, found = said("--server", server.read)
        assert code == 1
        assert f"takes no rows: {server.read} is the page's address" in found["server"]
        assert f"send them to {server.ingest}/" in found["server"]
        assert "name the ingest listener" in found["server"]
        assert "token" not in found
        found = said("--server", server.ingest)[1]
        assert found["token"].endswith("none is needed")
        assert " open, 0 refused; 0 wrong tokens" in found["connections"]
        command = kscope("query", "offcputime", "--server", server.ingest)
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert asked.returncode == 2
        said_so = f"{server.ingest} takes no questions (Not Found): name the page's address"
        assert asked.stderr.startswith(said_so)


def test_it_goes_by_the_configuration(tmp_path: Path) -> None:
    """Server and token are those that the agent would use; a wrong clock, a token that the server
    does not take: each is said.
    """
    with fake_server() as server:
        (tmp_path / "agent.token").write_text("kscope_secret\n")
        config = tmp_path / "kernelscope.yaml"
        address = server.url.removeprefix("http://")
        config.write_text(f"agent: {{server: 'http://{address}', token_file: agent.token}}\n")
        server.clock_ahead = -3600
        _, found = said("--config", config)
        assert found["server"].startswith("ok")
        assert found["token"] == "ok   token: accepted by the server"
        assert re.search(r"differs by -3(600|599|601) s", found["clock"])
        assert "timedatectl" in found["clock"]
        assert server.received[0].headers["Authorization"] == "Bearer kscope_secret"
        server.clock_ahead = 0
        server.answers = [problem(401, "a token is needed")]
        code, found = said("--server", address)
        assert code == 1
        assert found["clock"].startswith("ok")
        assert "HTTP 401 a token is needed" in found["token"]
        assert "kscope token" in found["token"]


def test_a_token_that_no_header_can_carry_is_said(tmp_path: Path) -> None:
    """By doctor and agent alike, before anything is sent."""
    token = tmp_path / "token"
    token.write_text("gehëim\n")
    _, found = said("--server", NOWHERE, "--token-file", token)
    assert "`kscope token` makes one" in found["server"]
