"""The connections of one listener: their number is bounded, and so is the wait for each client."""

import asyncio
import ipaddress
import logging
import resource
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from kscope.config import Settings
from kscope.server.http.log_throttle import ThrottledLog
from kscope.server.http.refusals import Refusals

# Files that are not connections: the database's, the categories', the log's.
_OTHER_FILES = 128
# An answer may be read slowly, but not more slowly than this many bytes in Phase.WRITE's time.
LEAST_READ = 64 * 1024
_MOST = 1024
LISTENERS = ("read", "ingest")
# Answers that clients have not read yet, of one listener.
_UNSENT = 128 * 1024 * 1024
# A client that connected less than this many seconds ago is ended last.
_FRESH = 2.0
# Requests that one listener starts in one iteration of the event loop, so that it also serves other
# connections.
_STARTS = 4

log = logging.getLogger(__name__)


class Phase(Enum):
    """The thing a connection waits for. The value is the longest wait, in seconds."""

    HEAD = 10.0  # the first byte of a request to the last of its head
    BODY = 330.0  # the rest of the request; readers of bodies have shorter times
    WORK = float("inf")  # our answer
    WRITE = 30.0  # the client, which does not read the answer
    IDLE = 75.0  # the next request
    LINGER = 5.0  # the client's end of a connection that we ended


_WAITING = (Phase.HEAD, Phase.BODY, Phase.WRITE)


class Connection(Protocol):
    """The protocol of one connection. `address` is empty for one that counts for no client."""

    address: str
    phase: Phase

    @property
    def unsent(self) -> int:
        """The bytes of the answer that the client has not taken yet."""

    def expire(self) -> bool:
        """End the connection because its phase has lasted too long. False if it continues."""

    def abort(self) -> None:
        """End the connection immediately."""


@dataclass
class Connections:
    """The open connections of one listener; `total` and `per_address` are the most of them.

    When there is no room, a connection that waits for its client makes room for a new one. A
    connection that waits for our answer is never closed for that.
    """

    listener: str
    total: int
    per_address: int
    refused: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    refusals: Refusals = field(default_factory=Refusals)
    _phases: dict[Phase, OrderedDict[Connection, float]] = field(init=False)
    _addresses: Counter[str] = field(default_factory=Counter)
    _starts: deque[Callable[[], object]] = field(default_factory=deque)
    _throttled: ThrottledLog = field(default_factory=lambda: ThrottledLog(log))

    def __post_init__(self) -> None:
        self._phases = {phase: OrderedDict() for phase in Phase}

    def __len__(self) -> int:
        return sum(map(len, self._phases.values()))

    def admit(self, client: Connection) -> bool:
        """Add a new connection, if there is room or room can be made."""
        full = self._addresses[client.address] >= self.per_address
        if client.address and full and not self.make_room(client.address):
            self._refuse(f"{client.address} has {self.per_address} connections")
            return False
        if len(self) >= self.total and not self.make_room():
            self._refuse(f"all {self.total} connections are in use")
            return False
        self._addresses[client.address] += 1
        self._phases[client.phase][client] = time.monotonic()
        return True

    def enter(self, client: Connection, phase: Phase) -> None:
        """Record the phase that the connection is in now."""
        if self._phases[client.phase].pop(client, None) is not None:
            client.phase = phase
            self._phases[phase][client] = time.monotonic()

    def leave(self, client: Connection) -> None:
        """Forget the connection; may be called more than once."""
        if self._phases[client.phase].pop(client, None) is not None:
            self._addresses[client.address] -= 1
            if not self._addresses[client.address]:
                del self._addresses[client.address]

    def sweep(self) -> None:
        """End the connections whose phase has lasted too long."""
        now = time.monotonic()
        for phase, clients in self._phases.items():
            for client in list(_before(clients, now - phase.value)):
                if client.expire():
                    self.ended[phase.name.lower()] += 1

    def bound_unsent(self, newest: Connection) -> None:
        """End the oldest unread answers while all together are too large; never the newest."""
        clients = self._phases[Phase.WRITE]
        unsent = sum(client.unsent for client in clients)
        for client in list(clients):
            if unsent <= _UNSENT:
                return
            if client is not newest:
                unsent -= client.unsent
                self._end(client, "unread")

    def make_room(self, address: str | None = None) -> bool:
        """End one connection, of the address or of any, that waits for its client. False if
        there is none.
        """
        for client in self._candidates():
            if address is None or client.address == address:
                self._end(client, "for_another")
                return True
        return False

    def _candidates(self) -> Iterator[Connection]:
        """Yield connections that wait for their clients, in the order in which they are ended."""
        aged = time.monotonic() - _FRESH
        yield from self._phases[Phase.LINGER]
        for phase in _WAITING:
            yield from _before(self._phases[phase], aged)
        yield from self._phases[Phase.IDLE]
        for phase in _WAITING:
            yield from self._phases[phase]

    def _end(self, client: Connection, reason: str) -> None:
        self.leave(client)
        self.ended[reason] += 1
        client.abort()

    def start_soon(self, start: Callable[[], object]) -> None:
        """Start a request in one of the next iterations of the running loop, in order."""
        self._starts.append(start)
        if len(self._starts) == 1:
            asyncio.get_running_loop().call_soon(self._start_some)

    def _start_some(self) -> None:
        for _ in range(min(_STARTS, len(self._starts))):
            self._starts.popleft()()
        if self._starts:
            asyncio.get_running_loop().call_soon(self._start_some)

    def _refuse(self, reason: str) -> None:
        self.refused += 1
        self._throttled.warning(f"{self.listener}: connection refused: {reason}")


def _before(clients: OrderedDict[Connection, float], since: float) -> Iterator[Connection]:
    for client, entered in clients.items():
        if entered > since:
            return
        yield client


def address_group(host: str) -> str:
    """Return the address under which a client is counted: IPv4, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    address = getattr(address, "ipv4_mapped", None) or address
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def connection_limits(settings: Settings) -> tuple[int, int]:
    """Return the most connections of a listener, in all and from one address.

    This process's limit of open files is raised for them.
    """
    asked = settings.max_connections or _MOST
    wanted = asked * len(LISTENERS) + _OTHER_FILES
    files = _open_files(wanted)
    total = max(1, min(asked, (files - min(_OTHER_FILES, files // 2)) // len(LISTENERS)))
    if settings.max_connections and total < asked:
        log.warning(
            "max_connections: %d do not fit into the limit of %d open files, %d are used;"
            " raise the limit to %d (ulimit -n, LimitNOFILE= in a unit)",
            asked, files, total, wanted,
        )  # fmt: skip
    per_address = settings.max_connections_per_address or max(1, total // 2)
    return total, min(per_address, total)


def _open_files(wanted: int) -> int:
    """Return the limit of open files, after raising the soft limit up to `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
