"""A throw-away MariaDB in a temporary folder, reached over loopback."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from tests import needs
from tests.serving import free_port

if TYPE_CHECKING:
    from pathlib import Path

USER = "kscope"
PASSWORD = "p@ss:w/rd%"  # characters that a URL must escape
_PATIENCE = 90.0


@dataclass
class MariaDB:
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    settings: tuple[str, ...] = ()
    # A command in front of the server's: to run it in another network.
    within: tuple[str, ...] = ()
    _numbers: count[int] = field(default_factory=count)

    @property
    def socket(self) -> Path:
        return self.folder / "mysqld.sock"

    def sql(self, text: str, database: str = "") -> str:
        """Run as root; gives tab-separated rows."""
        command = ["mariadb", "--no-defaults", "-N", "-B", "-uroot", f"-S{self.socket}"]
        done = subprocess.run(
            [*command, "-e", text, *([database] if database else [])],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    def dump(self, database: str) -> str:
        """Return the output of the documented command."""
        command = ["mariadb-dump", "--no-defaults", "-uroot", f"-S{self.socket}"]
        options = ["--single-transaction", "--databases", database]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
        return done.stdout

    def load(self, text: str, database: str = "") -> None:
        """Read a dump as the documented command does."""
        command = ["mariadb", "--no-defaults", "-uroot", f"-S{self.socket}"]
        chosen = [database] if database else []
        subprocess.run([*command, *chosen], input=text, text=True, check=True)

    def new_database(self) -> str:
        name = f"kscope_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {USER}@'%'")
        return name

    def options(self, database: str) -> list[str]:
        """Name the database to `kscope serve`."""
        return [
            *("--mysql", "127.0.0.1", "--dbport", str(self.port), "--dbuser", USER),
            *("--dbpassword", PASSWORD, "--dbname", database),
        ]

    def start(self) -> None:
        command = [
            *self.within,
            *(needs.mariadb(), "--no-defaults", f"--datadir={self.folder / 'data'}"),
            *(f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1"),
            *(f"--pid-file={self.folder / 'pid'}", "--innodb-buffer-pool-size=64M"),
            *("--innodb-log-file-size=16M", "--skip-name-resolve", *_as_root()),
            # A server that starts removes other servers' files from a shared tmpdir.
            f"--tmpdir={self.folder / 'tmp'}",
            # Tests kill processes, not machines: what the kernel has is safe.
            "--innodb-flush-method=nosync",
            *self.settings,
        ]
        (self.folder / "tmp").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.sql("SELECT 1")
            except RuntimeError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_PATIENCE)
            self.process = None


def install(folder: Path, *settings: str) -> MariaDB:
    installer = needs.program("mariadb-install-db", "mariadb-server")
    (folder / "data").mkdir(parents=True)
    # The server that the installer starts removes what others have in a tmpdir that they share.
    (folder / "tmp").mkdir()
    subprocess.run(
        [
            *(installer, "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"),
            *("--auth-root-authentication-method=normal", *_as_root()),
        ],
        check=True,
        capture_output=True,
        env=os.environ | {"TMPDIR": str(folder / "tmp")},
    )
    server = MariaDB(folder, free_port(), settings=settings)
    server.start()
    server.sql(f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'")
    return server


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []
