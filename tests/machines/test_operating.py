"""docs/operating.md, block by block, on machines that have nothing but a bare Debian."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests import needs
from tests.browserfixtures import launched
from tests.e2e.test_packages import repacked
from tests.machines.guide import guide
from tests.machines.site import HERE, site
from tests.mariadb import install as install_mariadb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from tests.bareroot import BareRoot
    from tests.machines.guide import Block
    from tests.machines.site import Machine, Site
    from tests.mariadb import MariaDB
    from tests.packagefixtures import Packages

pytestmark = [
    pytest.mark.bpf,
    pytest.mark.browser,
    pytest.mark.timeout(1500),
    pytest.mark.xdist_group("install"),
]
HOSTS = ("web-1", "web-2")
OTHERS = 298
NAME = "kernelscope.example.com"
PAGE = f"https://{NAME}/kernelscope"
_PATIENCE = 120.0


@dataclass
class Setup:
    """The machines of the guide, and how far it is followed."""

    site: Site
    machines: dict[str, Machine]
    database: MariaDB
    packages: Packages
    folder: Path
    stack: ExitStack
    left: list[Block] = field(default_factory=guide)

    @property
    def changes(self) -> dict[str, str]:
        """Changes of a test: agents look at their machine alone, and nothing takes long."""
        here = f"/{self.site.cgroup.name}/$(hostname)"
        to_host = "install -m 644 issuer.pem agent.yaml /etc/kernelscope/\n"
        return {
            "{threshold: 5ms}": "{threshold: 5ms, cgroup: HERE}",
            "{max_overhead: 0.5%}": "{max_overhead: 0.5%, cgroup: HERE}",
            to_host: f'{to_host}sed -i "s|HERE|{here}|" /etc/kernelscope/agent.yaml\n',
            "  token_file: agent.token\n": "  token_file: agent.token\n  interval: 2s\n",
            "tokens_file: tokens.yaml\n": "tokens_file: tokens.yaml\nsilent_after: 15s\n",
            "scrape_configs:\n": (
                "global: {scrape_interval: 1s, evaluation_interval: 1s}\nscrape_configs:\n"
            ),
        }

    @property
    def server(self) -> Machine:
        return self.machines["server"]

    def follow(self, heading: str) -> str:
        """Run the blocks below the next heading, which must be this one; return what they print."""
        said = ""
        assert self.left[0].heading == heading
        while self.left and self.left[0].heading == heading:
            block = self.left.pop(0)
            said += self.run(block.place, block.text)
        return said

    def follow_first(self, heading: str, *, blocks: int) -> None:
        """Run the first blocks below the next heading."""
        for block in self.left[:blocks]:
            assert block.heading == heading
            self.run(block.place, block.text)
        del self.left[:blocks]

    def run(self, place: str, text: str) -> str:
        for written, done in self.changes.items():
            text = text.replace(written, done)
        if place == "in the clone":
            # The packages are those that this command has made.
            assert text == "packaging/build-deb dist\n"
            return ""
        if place == "on the database":
            return self.on_database(text)
        machine = self.machines[place.removeprefix("on ").removeprefix("the ")]
        return machine.run(only_of(machine, text))

    def on_database(self, text: str) -> str:
        """Run on the machine that has MariaDB; its root needs no password there."""
        ran = subprocess.run(
            ["sh", "-euc", f'PATH="{self.folder}/bin:$PATH"; {text}'],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        assert ran.returncode == 0, f"{text}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def carry(self, file: str, source: Machine, to: Machine, folder: str) -> None:
        """Copy a file as a person does by hand."""
        shutil.copy(source.files / file.lstrip("/"), to.files / folder.lstrip("/"))


def only_of(machine: Machine, text: str) -> str:
    """Let a bpftrace one-liner look at the machine's processes alone."""
    group = f'cgroup == cgroupid("{machine.cgroup}")'
    return text.replace("sys_enter_openat {", f"sys_enter_openat /{group}/ {{")


@contextmanager
def _database(site: Site, folder: Path) -> Iterator[MariaDB]:
    """Yield a MariaDB that listens on its usual port of the site's network, and has no database."""
    (folder / "bin").mkdir()
    server = install_mariadb(folder / "mariadb")
    server.stop()
    server.port, server.within = 3306, (*site.enter(),)
    server.start()
    for program in ("mariadb", "mariadb-dump"):
        needs.program(program, "mariadb-client")
        script = (
            f'#!/bin/sh\nexec {shutil.which(program)} --no-defaults -uroot -S{server.socket} "$@"\n'
        )
        (folder / "bin" / program).write_text(script)
        (folder / "bin" / program).chmod(0o755)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def setup(
    bare_root: BareRoot, packages: Packages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    """Yield the machines as their owner has them: named, and reached by ssh from the server."""
    folder = tmp_path_factory.mktemp("operating")
    with ExitStack() as stack:
        place = stack.enter_context(site(folder, bare_root.path))
        database = stack.enter_context(_database(place, folder))
        machines = {
            name: stack.enter_context(place.machine(name)) for name in ("server", "monitor", *HOSTS)
        }
        named = " ".join((NAME, "db.example.com", *HOSTS))
        for machine in machines.values():
            machine.write("/etc/hosts", f"127.0.0.1 localhost {named}\n")
        server = machines["server"]
        for program in ("ssh", "scp"):
            script = (HERE / f"{program}.sh").read_text()
            reached = {host: machines[host] for host in HOSTS}
            server.write(f"/usr/local/bin/{program}", _reaching(script, reached), 0o755)
        for package in (packages.agent, packages.server):
            shutil.copy(package, server.files / "root")
        server.write("/root/hosts.txt", "\n".join(HOSTS) + "\n")
        yield Setup(place, machines, database, packages, folder, stack)


def _reaching(script: str, machines: dict[str, Machine]) -> str:
    """Fill in how the machines are entered, and where their files are."""
    cases = [
        f"{name}) enter='{' '.join(machine.entering())}' files={machine.files}"
        f" cgroup={machine.cgroup} ;;"
        for name, machine in machines.items()
    ]
    return script.replace("# MACHINES", "\n".join(cases))


def _until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {_PATIENCE:.0f} s: {what}"
        time.sleep(1)


def _kscope(setup: Setup, command: str) -> str:
    """Run a command that asks the server, as the guide's section on hosts does."""
    asked = f"--server {PAGE} --token-file people.token"
    trusted = "export SSL_CERT_FILE=/etc/kernelscope/issuer.pem"
    return setup.server.run(f"{trusted}; kscope {command} {asked}")


def _hosts(setup: Setup, *options: str) -> set[str]:
    found = json.loads(_kscope(setup, f"hosts --format json {' '.join(options)}"))
    return {each["host"] for each in found["hosts"]}


def _processes(setup: Setup, table: str) -> str:
    return _kscope(setup, f"query {table} --top process")


@contextmanager
def _running(machine: Machine, script: str) -> Iterator[subprocess.Popen[str]]:
    process = machine.start(f"exec {script}")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _others(setup: Setup) -> Iterator[subprocess.Popen[str]]:
    """Yield what sends the rows of 298 further hosts, each with a token that is its own."""
    lines = [
        json.dumps({"name": name, "scopes": ["ingest"], "sha256": _digest(name), "hosts": [name]})
        for name in (f"app-{k}" for k in range(OTHERS))
    ]
    setup.server.run(
        "cat >> /etc/kernelscope/tokens.yaml", "".join(f"  - {each}\n" for each in lines)
    )
    time.sleep(2)
    setup.server.write("/root/others.py", (HERE / "others.py").read_text())
    script = f"python3 others.py {PAGE} /etc/kernelscope/issuer.pem app- {OTHERS} 5"
    with _running(setup.server, script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{OTHERS} hosts have sent\n"
        yield process


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@contextmanager
def _chromium(setup: Setup) -> Iterator[Page]:
    """Yield a page of a browser that is in the site's network, and has a token to look with."""
    program = setup.folder / "chromium"
    entered = " ".join(setup.site.enter(needs.chromium()))
    program.write_text(f'#!/bin/sh\nexec {entered} "$@"\n')
    program.chmod(0o755)
    token = setup.server.run("cat people.token").strip()
    with launched(program, f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as browser:
        context = browser.new_context(
            ignore_https_errors=True,
            http_credentials={"username": "me", "password": token},
            viewport={"width": 1440, "height": 900},
        )
        yield context.new_page()
        context.close()


def test_the_guide_leads_from_an_empty_database_to_300_hosts_and_back(setup: Setup) -> None:
    """Each block runs as it stands; after each section its promise holds."""
    setup.follow("The packages")
    setup.follow_first("The database", blocks=1)
    shutil.copy(setup.server.files / "root/grants.sql", setup.folder)
    setup.follow("The database")
    assert setup.database.sql("SHOW TABLES", "kernelscope") == ""
    setup.follow("Tokens and the server's configuration")
    setup.follow("The proxy, with TLS")
    _the_hosts(setup)
    _a_data_type(setup)
    with _others(setup):
        _until(lambda: len(_hosts(setup)) == OTHERS + len(HOSTS), "300 hosts are listed")
        _an_alert(setup)
    _an_upgrade(setup)
    _a_backup(setup)
    _the_end(setup)
    assert not setup.left


def _the_hosts(setup: Setup) -> None:
    """Two agents send what they see, and a person sees the function in which a service waits."""
    setup.follow_first("The hosts", blocks=2)
    web_1 = setup.machines["web-1"]
    web_1.write("/root/shop.py", (HERE / "shop.py").read_text())
    setup.stack.enter_context(_running(web_1, "python3 shop.py"))
    _until(lambda: "python3" in _processes(setup, "offcputime"), "what the service waits for")
    _until(lambda: _hosts(setup) == set(HOSTS), "both hosts are listed")
    assert "python3" in setup.follow("The hosts")
    with _chromium(setup) as page:
        page.goto(f"{PAGE}/?table=offcputime&search=charge_card&from=now-15m")
        frames = page.get_by_role("table", name="Frames")
        expect(frames).to_contain_text("charge_card")
        page.screenshot(path=setup.folder / "page.png")


def _a_data_type(setup: Setup) -> None:
    """The counts of a one-liner are in the table that one file has made, and on the page."""
    setup.follow("A data type for all hosts")
    _until(lambda: "python3" in _processes(setup, "opens"), "rows of the one-liner")
    with _chromium(setup) as page:
        page.goto(f"{PAGE}/?table=opens&from=now-15m")
        expect(page.locator(".figures")).to_contain_text("rows")


def _an_alert(setup: Setup) -> None:
    """A host whose agent stops is named, and the monitor's alert fires; no other host is."""
    server, monitor = setup.server, setup.machines["monitor"]
    _install_prometheus(setup)
    examples = "usr/share/doc/kernelscope-server/examples"
    setup.carry(f"{examples}/prometheus-alerts.yaml", server, monitor, "etc/prometheus")
    setup.carry("etc/kernelscope/issuer.pem", server, monitor, "etc/prometheus")
    setup.carry("root/monitor.token", server, monitor, "etc/prometheus")
    rules = "/etc/prometheus/prometheus-alerts.yaml"
    monitor.run(f"sed -i 's/for: .*/for: 0s/' {rules}")
    setup.follow("An alert on a silent host")
    _until(lambda: _alerts(setup) is not None, "Prometheus answers")
    assert not _hosts(setup, "--silent")
    assert "KernelscopeHostSilent" not in (_alerts(setup) or ())
    setup.machines["web-2"].run("systemctl stop kernelscope-agent")
    _until(lambda: _hosts(setup, "--silent") == {"web-2"}, "the host is named as silent")
    _until(lambda: "KernelscopeHostSilent" in (_alerts(setup) or ()), "the alert fires")
    with _chromium(setup) as page:
        page.goto(f"{PAGE}/")
        gone = page.locator(".home .group.gone")
        expect(gone.get_by_text("web-2", exact=True)).to_be_in_viewport()
        # The two machines may be a group by themselves.
        crowd = re.compile(r"^(298|300) hosts, (5[89]|60) shown$")
        expect(page.get_by_role("heading", name=crowd)).to_be_visible()
        page.screenshot(path=setup.folder / "silent.png")
    setup.machines["web-2"].run("systemctl start kernelscope-agent")
    _until(lambda: not _hosts(setup, "--silent"), "the host sends again")


def _install_prometheus(setup: Setup) -> None:
    """Copy the program of the machine that tests to the monitor, with a unit that starts it."""
    monitor = setup.machines["monitor"]
    monitor.run("apt-get install --yes -qq python3-minimal")
    for program in ("prometheus", "promtool"):
        shutil.copy(needs.program(program, "prometheus"), monitor.files / "usr/bin")
    monitor.run("useradd --system prometheus; install -d -o prometheus /var/lib/prometheus")
    monitor.write("/etc/systemd/system/prometheus.service", _PROMETHEUS)
    monitor.run("mkdir /etc/prometheus")


_PROMETHEUS = """\
[Service]
User=prometheus
ExecStart=/usr/bin/prometheus --config.file=/etc/prometheus/prometheus.yml \
  --storage.tsdb.path=/var/lib/prometheus --web.listen-address=127.0.0.1:9090
"""


def _alerts(setup: Setup) -> set[str] | None:
    """Return the names of the alerts that fire; None while Prometheus does not answer."""
    asked = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9090/api/v1/alerts').read().decode())"
    ran = setup.machines["monitor"].attempt(f'python3 -c "{asked}"')
    if ran.returncode:
        return None
    alerts = json.loads(ran.output)["data"]["alerts"]
    return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def _an_upgrade(setup: Setup) -> None:
    """Rows from before are there, and the agents go on."""
    new = setup.server.files / "root/new"
    new.mkdir()
    for package in (setup.packages.agent, setup.packages.server):
        shutil.copy(repacked(package, setup.folder), new)
    said = setup.follow("Upgrade")
    assert "ready" in said
    assert "+1" in setup.server.run("dpkg-query -W kernelscope-server")
    assert "+1" in setup.machines["web-2"].run("dpkg-query -W kernelscope-agent")
    assert "python3" in _processes(setup, "opens")
    _until(lambda: not _hosts(setup, "--silent") & set(HOSTS), "both agents send again")


def _a_backup(setup: Setup) -> None:
    """Rows of the backup are there, and what the agents keep while the server is away."""
    setup.follow("Backup, and its return")
    assert "python3" in _processes(setup, "opens")
    _until(lambda: not _hosts(setup, "--silent") & set(HOSTS), "both agents send again")


def _the_end(setup: Setup) -> None:
    """Nothing of the packages is left, but what the owner removes by name."""
    setup.follow("A host goes")
    web_2 = setup.machines["web-2"]
    assert web_2.attempt("kscope --version").returncode
    assert "web-2" not in setup.server.run(
        "kscope token --file /etc/kernelscope/tokens.yaml --list"
    )
    setup.follow("Uninstall")
    left = "find / -xdev -name '*kernelscope*' -not -path '/proc/*' -not -path '/root/*'"
    assert not [
        each
        for each in setup.server.run(left).splitlines()
        if not each.startswith(("/var/log", "/var/lib/dpkg", "/var/cache", "/run/units"))
    ]
    assert "kernelscope" not in setup.database.sql("SHOW DATABASES")
