"""Machines of a test: each has its own files and host name; all share one loopback network.

A machine's files are those of a bare Debian, with what a test installs in a layer above them. Its
network is the site's, so a guide's own ports are free there. Each machine is a cgroup: an agent is
told to look into that one alone, and what a test leaves running ends with it.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kscope.agent.host.kernel import cgroup_root
from tests import needs

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
_LONGEST = 3600
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
)
# Holds the namespaces until it is killed; says when they are ready.
_HOLD = f"echo ready; exec sleep {_LONGEST}"
_MACHINE = """
hostname "$1"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/root"
for each in proc sys dev; do mount --rbind "/$each" "$3/root/$each"; done
"""


@dataclass(frozen=True)
class Ran:
    returncode: int
    output: str


@dataclass(frozen=True)
class Machine:
    """One machine; its processes are those of a cgroup."""

    name: str
    holder: int
    folder: Path
    cgroup: Path

    @property
    def files(self) -> Path:
        """Where the files of this machine are for another one."""
        return Path(f"/proc/{self.holder}/root{self.folder}/root")

    def entering(self) -> list[str]:
        """Return the beginning of a command that runs on this machine, with root's environment."""
        into = ["nsenter", f"--target={self.holder}", "--net", "--uts", "--mount"]
        root = ["chroot", str(self.folder / "root"), "/usr/bin/env", "-i"]
        return [*into, *root, *_ENVIRONMENT]

    def start(self, script: str) -> subprocess.Popen[str]:
        """Start a script of the shell in root's home; its output is one stream of text."""
        joining = f'echo $$ > {self.cgroup}/cgroup.procs; exec "$@"'
        home = 'cd /root; eval "$0"'
        return subprocess.Popen(
            ["sh", "-c", joining, "sh", *self.entering(), "sh", "-euc", home, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, stdin: str = "", *, patience: float = 600) -> str:
        """Run a script and return its output; a script that fails is an error that shows it."""
        ran = self.attempt(script, stdin, patience=patience)
        assert ran.returncode == 0, f"on {self.name}:\n{script}\n{ran.output}"
        return ran.output

    def attempt(self, script: str, stdin: str = "", *, patience: float = 600) -> Ran:
        with self.start(script) as process:
            try:
                output, _ = process.communicate(stdin, timeout=patience)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Ran(process.returncode, output)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        self.run(f"mkdir -p {Path(path).parent}; cat > {path}; chmod {mode:o} {path}", text)


@dataclass(frozen=True)
class Site:
    """Machines with one network, in which nothing but they and loopback exists."""

    holder: int
    folder: Path
    base: Path
    cgroup: Path

    @contextmanager
    def machine(self, name: str) -> Iterator[Machine]:
        """Yield a machine that has the bare Debian's files; all that runs on it ends with it."""
        folder = self.folder / name
        for each in ("upper", "work", "root"):
            (folder / each).mkdir(parents=True)
        _prepare(folder / "upper")
        cgroup = self.cgroup / name
        cgroup.mkdir()
        apart = ("unshare", "--uts", "--mount", "--propagation=private")
        made = ("sh", "-euc", f"{_MACHINE}{_HOLD}", "sh", name, self.base, folder)
        with _held(self.enter(*apart, *made)) as holder:
            machine = Machine(name, holder, folder, cgroup)
            try:
                yield machine
            finally:
                _end(cgroup)

    def enter(self, *command: str | Path) -> list[str]:
        """Return the command as one that runs in the site's network, with this machine's files."""
        return ["nsenter", f"--target={self.holder}", "--net", *map(str, command)]


@contextmanager
def site(folder: Path, base: Path) -> Iterator[Site]:
    """Yield a site without machines, whose machines begin with the files of `base`."""
    needs.root("a network and a root of files")
    cgroup = cgroup_root() / f"kscope-test-{folder.name}-{time.monotonic_ns()}"
    cgroup.mkdir()
    try:
        with _held(["unshare", "--net", "sh", "-euc", f"ip link set lo up; {_HOLD}"]) as holder:
            yield Site(holder, folder, base, cgroup)
    finally:
        cgroup.rmdir()


@contextmanager
def _held(command: list[str]) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", command
            yield process.pid
        finally:
            process.kill()


_APT = f"""#!/bin/sh
# The site's network has no packages: they come over the network of the machine that tests.
exec nsenter --net=/proc/{os.getpid()}/ns/net /usr/bin/apt-get "$@"
"""
_JOURNAL = """#!/bin/sh
cat "/var/log/units/${2%.service}.log"
"""
_NO_SERVICES = """#!/bin/sh
# Packages start nothing while they are installed: there is no systemd that would.
exit 101
"""


def _prepare(layer: Path) -> None:
    """Lay down what replaces a booted system."""
    programs = layer / "usr/local/bin"
    for program, text in (
        (programs / "systemctl", (HERE / "systemctl.py").read_text()),
        (programs / "journalctl", _JOURNAL),
        (programs / "apt-get", _APT),
        (layer / "usr/sbin/policy-rc.d", _NO_SERVICES),
    ):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)


def _end(cgroup: Path) -> None:
    """Kill what still runs on a machine, and wait until it has ended."""
    for _ in range(300):
        (cgroup / "cgroup.kill").write_text("1")
        if "populated 0" in (cgroup / "cgroup.events").read_text():
            break
        time.sleep(0.1)
    cgroup.rmdir()
