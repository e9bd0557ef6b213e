"""The audit log of commands that change data: lines of the system's log, as sudo writes them.

`journalctl -t kscope` shows them, or the file of authentication messages of a syslog daemon.
"""

import logging
import os
import pwd
import socket
from contextlib import suppress

from kscope.client.answers import one_line

# Of the system's log. Facility 10 is that of authorisation, severity 6 is information.
SOCKET = "/dev/log"
_PRIORITY = 10 * 8 + 6
_MOST_CHARACTERS = 800
_PATIENCE_SECONDS = 1.0

log = logging.getLogger("kscope.audit")


def note(act: str) -> None:
    """Log something that this command has done, with the user. A machine without a log has none."""
    text = one_line(f"{_user()}: {act}", _MOST_CHARACTERS)
    log.debug("%s", text)
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.settimeout(_PATIENCE_SECONDS)
        sending.sendto(f"<{_PRIORITY}>kscope[{os.getpid()}]: {text}".encode(), SOCKET)


def _user() -> str:
    name = _name(os.getuid())
    before = os.environ.get("SUDO_UID", "")
    by_sudo = before.isascii() and before.isdigit() and len(before) <= 10
    return f"{name}, through sudo {_name(int(before))}" if by_sudo else name


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return f"user {number}"
