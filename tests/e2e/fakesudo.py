"""A `sudo` for tests that run as a user: asks the test, which is root, to run a command.

As with the real one, the command is root's: the user cannot signal it, nor does it end with the
`sudo` that started it. Asked not to prompt (`-n`) it refuses, as sudo does once its credentials
have expired.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def sudo(folder: Path, user: str) -> Iterator[Path]:
    """A folder for PATH in which `user` finds it."""
    place = folder / "sudo.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(place))
        shutil.chown(place, user)
        place.chmod(0o600)
        listener.listen()
        threading.Thread(target=_serve, args=[listener], daemon=True).start()
        command = folder / "sudo"
        command.write_text(f'#!/bin/sh\nexec /usr/bin/python3 {__file__} {place} "$@"\n')
        command.chmod(0o755)
        try:
            yield folder
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_run, args=[client], daemon=True).start()


def _run(client: socket.socket) -> None:
    asked, files, _, _ = socket.recv_fds(client, 65536, 3)
    command, folder = json.loads(asked)
    stdin, stdout, stderr = files
    with subprocess.Popen(
        command, cwd=folder, stdin=stdin, stdout=stdout, stderr=stderr
    ) as process:
        for each in files:
            os.close(each)
    with contextlib.suppress(OSError):
        client.send(str(process.returncode).encode())


if __name__ == "__main__":
    _place, *_command = sys.argv[1:]
    if _command[0] == "-n":
        sys.exit("sudo: a password is required")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as _asking:
        _asking.connect(_place)
        socket.send_fds(_asking, [json.dumps([_command, str(Path.cwd())]).encode()], [0, 1, 2])
        sys.exit(int(_asking.recv(16)))
