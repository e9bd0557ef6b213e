"""Words to the service manager that has started the server, such as systemd (Type=notify)."""

import os
import socket
from contextlib import suppress
from enum import Enum


class State(Enum):
    """The words of sd_notify(3)."""

    READY = "READY=1"
    STOPPING = "STOPPING=1"


def notify(state: State, status: str = "") -> None:
    """Say so, if a service manager listens: it then starts what comes after this service.

    No fault of it ends the server.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    text = f"{state.value}\nSTATUS={status}" if status else state.value
    # An address in Linux's abstract name space begins with a NUL.
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(0)
        manager.sendto(text.encode(), name)
