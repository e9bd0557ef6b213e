#!/usr/bin/python3
"""`systemctl` of a test's machine, which has no systemd: starts a unit's program as the unit says.

It reads what matters to the program: the command, the user, the capabilities, the folders, the
environment, and the word that it is ready. Its output goes to /var/log/units/NAME.log, which
`journalctl -u NAME` prints.
"""

from __future__ import annotations

import configparser
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

FOLDERS = ("etc/systemd/system", "lib/systemd/system", "usr/lib/systemd/system")
STATE = Path("/run/units")
LOGS = Path("/var/log/units")
KINDS = {
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "RuntimeDirectory": "/run",
    "LogsDirectory": "/var/log",
}
READY_WITHIN = 60
STOPPED_WITHIN = 60


class Unit:
    """A unit's settings; the last of several with one name counts, except for the environment."""

    def __init__(self, name: str) -> None:
        self.name = name.removesuffix(".service")
        file = next(
            (
                path
                for each in FOLDERS
                if (path := Path("/", each, f"{self.name}.service")).exists()
            ),
            None,
        )
        if file is None:
            sys.exit(f"Unit {self.name}.service not found.")
        parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        text = file.read_text()
        self.environment = dict(
            line.removeprefix("Environment=").strip('"').split("=", 1)
            for line in text.splitlines()
            if line.startswith("Environment=")
        )
        parser.read_string(text)
        self.service = parser["Service"]

    def get(self, name: str, default: str = "") -> str:
        return self.service.get(name, default).replace("\\\n", " ").replace("%%", "%")

    @property
    def pid_file(self) -> Path:
        return Path(self.get("PIDFile") or STATE / f"{self.name}.pid")

    @property
    def pid(self) -> int:
        """Return the main process, or 0 if it does not run."""
        try:
            pid = int(self.pid_file.read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return 0
        return 0 if state == "Z" else pid

    def command(self) -> list[str]:
        """Return the command with the user and the capabilities that the unit gives it."""
        wrapped = ["setpriv", "--no-new-privs"]
        user = self.get("User", "root")
        if user != "root":
            group = self.get("Group") or str(pwd.getpwnam(user).pw_gid)
            wrapped += [f"--reuid={user}", f"--regid={group}", "--init-groups"]
        if "CapabilityBoundingSet" in self.service:
            kept = [f"+{each.lower().removeprefix('cap_')}" for each in self.bounding]
            wrapped.append(f"--bounding-set={','.join(['-all', *kept])}")
        return [*wrapped, *shlex.split(self.get("ExecStart"))]

    @property
    def bounding(self) -> list[str]:
        return self.get("CapabilityBoundingSet").split()

    def make_folders(self) -> None:
        user = self.get("User", "root")
        for setting, parent in KINDS.items():
            for name in self.get(setting).split():
                folder = Path(parent, name)
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(int(self.get(f"{setting}Mode", "0755"), 8))
                os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)

    def start(self) -> None:
        if self.pid:
            return
        STATE.mkdir(parents=True, exist_ok=True)
        LOGS.mkdir(parents=True, exist_ok=True)
        self.make_folders()
        with (LOGS / f"{self.name}.log").open("ab") as log:
            if self.get("Type") == "forking":
                subprocess.run(
                    shlex.split(self.get("ExecStart")), stdout=log, stderr=log, check=True
                )
            else:
                self.start_main(log.fileno())

    def start_main(self, log: int) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            address = f"\0units-{self.name}-{os.getpid()}"
            manager.bind(address)
            manager.settimeout(1)
            main = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.get("WorkingDirectory", "/"),
                env=os.environ | self.environment | {"NOTIFY_SOCKET": address.replace("\0", "@")},
                umask=int(self.get("UMask", "0022"), 8),
            )
            self.pid_file.write_text(str(main.pid))
            if self.get("Type") == "notify":
                self.wait(manager, main)

    def wait(self, manager: socket.socket, main: subprocess.Popen[bytes]) -> None:
        for _ in range(READY_WITHIN):
            if main.poll() is not None:
                sys.exit(f"{self.name} ended with {main.returncode}: {self.last_lines()}")
            try:
                if b"READY=1" in manager.recv(4096):
                    return
            except TimeoutError:
                continue
        sys.exit(f"{self.name} was not ready in time")

    def last_lines(self) -> str:
        return (LOGS / f"{self.name}.log").read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        pid = self.pid
        if not pid:
            return
        os.kill(pid, signal.SIGTERM)
        for _ in range(STOPPED_WITHIN * 10):
            if not self.pid:
                return
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)


def main(arguments: list[str]) -> None:
    words = [each for each in arguments if not each.startswith("-")]
    verb, units = words[0], [Unit(name) for name in words[1:]]
    now = "--now" in arguments
    for unit in units:
        if verb in ("stop", "restart") or (verb == "disable" and now):
            unit.stop()
        if verb in ("start", "restart") or (verb == "enable" and now):
            unit.start()
        if verb == "reload":
            unit.reload()
        if verb in ("is-active", "status"):
            print("active" if unit.pid else "inactive")  # noqa: T201 - a program's output
            if not unit.pid:
                sys.exit(3)


if __name__ == "__main__":
    main(sys.argv[1:])
