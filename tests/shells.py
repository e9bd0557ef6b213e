"""Interactive shells in a terminal: what a line is after the Tab key."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests import needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BASH = "source /usr/share/bash-completion/bash_completion\nPS1='ready$ '\n"
# Without this, zsh inserts a tab if more keys have been typed already.
_PENDING = "zstyle ':completion:*' insert-tab false"
_ZSH = f"autoload -U compinit; compinit -u -d ~/dump\n{_PENDING}\nPS1='ready%% '\n"
# The first and the last key of a line, which echo then prints.
_PRINTED = b"\x01echo '<\x05>'\n"
_PATIENCE = 60.0


class Shell:
    """A shell with `kscope` on its path, at a prompt in a folder."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._until(rb"ready[$%] ")

    def completed(self, line: str) -> str:
        """Type a line and Tab, and return the line as it is then, without a space at its end."""
        os.write(self._terminal, line.encode() + b"\t" + _PRINTED)
        return self._until(rb"\n<([^\n]*)>\r?\n")[1].decode().rstrip()

    def _until(self, pattern: bytes) -> re.Match[bytes]:
        output, deadline = b"", time.monotonic() + _PATIENCE
        while (found := re.search(pattern, output)) is None:
            assert time.monotonic() < deadline, output
            if select.select([self._terminal], [], [], 1)[0]:
                output += os.read(self._terminal, 65536)
        return found


@contextmanager
def shell(name: str, share: Path, kscope: Path, folder: Path, own: str = "") -> Iterator[Shell]:
    """Start bash or zsh, with scripts of completion below `share`, and `own` lines to run."""
    program = needs.program(name, name)
    rc = folder / (".zshrc" if name == "zsh" else "bashrc")
    fpath = f"fpath=({share}/zsh/vendor-completions $fpath)\n"
    before = fpath + _ZSH if name == "zsh" else _BASH
    rc.write_text(before + own)
    arguments = ["-d", "-i"] if name == "zsh" else ["--noprofile", "--rcfile", str(rc), "-i"]
    found = os.environ | environment(share, kscope, folder)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(program, [program, *arguments], found)
    try:
        yield Shell(terminal)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def environment(share: Path, kscope: Path, folder: Path) -> dict[str, str]:
    """Return the variables by which a shell finds `kscope` and the scripts below `share`."""
    return {
        "PATH": f"{kscope.parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_DATA_DIRS": str(share),
        "HOME": str(folder),
        "ZDOTDIR": str(folder),
        "TERM": "dumb",
    }
