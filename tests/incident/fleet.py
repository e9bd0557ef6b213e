"""The fleet's hosts, what each does in a minute, and the incidents: when, where, how much."""

from __future__ import annotations

from dataclasses import dataclass

# Minutes before the end of the recording.
LENGTH = 240
RELEASE = 47
CONFIG_CHANGE = 34.5
STALL = (34, 28)
THROTTLED = (21, 0)
SILENT = 14
ILL, THROTTLING, LOST = "db-2", "db-4", "cache-1"
WEB, DB = ("web-1", "web-2", "web-3"), ("db-1", "db-2", "db-3", "db-4")
HOSTS = (*WEB, *DB, LOST)


@dataclass(frozen=True)
class Load:
    """So many threads (or CPUs) of a process are in a stack; a wait takes so many microseconds."""

    process: str
    stack: str
    threads: float
    wait: float = 0


_KERNEL = (Load("kworker/0:1", "worker idle", 6, 4e5),)
_OF_DB = (
    Load("mysqld", "commit", 0.02, 2_500),
    Load("mysqld", "binlog data", 0.35, 3_000),
    Load("mysqld", "enroll", 0.25, 4_000),
    Load("mysqld", "row lock", 0.4, 12_000),
    Load("mysqld", "page read", 0.8, 700),
    Load("mysqld", "connection idle", 14, 9e5),
    Load("mysqld", "io handler idle", 8, 6e5),
    Load("mysqld", "purge idle", 4, 1e6),
    Load("mysqld", "page cleaner idle", 1, 1e6),
    Load("jbd2/vda-8", "journal idle", 0.9, 9e5),
    Load("jbd2/vda-8", "journal write", 0.08, 3_000),
    Load("rsyslogd", "log idle", 0.9, 7e5),
    Load("rsyslogd", "log write", 0.03, 1_000),
    *_KERNEL,
)
_OF_WEB = (
    Load("gunicorn: shop", "order", 0.5, 9_000),
    Load("gunicorn: shop", "price query", 0.3, 3_000),
    Load("gunicorn: shop", "charge", 0.7, 80_000),
    Load("gunicorn: shop", "stock lock", 0.1, 2_000),
    Load("gunicorn: shop", "gunicorn idle", 8, 5e5),
    Load("gunicorn: shop", "thread pool idle", 12, 1e6),
    Load("node: search", "node idle", 1, 4e4),
    Load("node: search", "node pool idle", 4, 8e5),
    Load("node: search", "node read", 0.2, 900),
    Load("nginx", "nginx idle", 4, 3e4),
    *_KERNEL,
)
_OF_CACHE = (
    Load("redis-server", "redis idle", 0.9, 2e4),
    Load("redis-server", "redis append", 0.1, 4_000),
    *_KERNEL,
)
_RUN_BY_DB = (
    Load("mysqld", "page lookup", 0.8),
    Load("mysqld", "parse", 0.2),
    Load("mysqld", "checksum", 0.1),
)
_RUN_BY_WEB = (
    Load("gunicorn: shop", "template", 0.5),
    Load("gunicorn: shop", "price", 0.15),
    Load("gunicorn: shop", "json", 0.2),
    Load("node: search", "index", 0.4),
    Load("nginx", "proxy", 0.1),
)
_RUN_BY_CACHE = (Load("redis-server", "lookup", 0.3),)


def stalled(host: str, ago: float) -> bool:
    """Whether the disk of the ill host does not answer."""
    return host == ILL and STALL[1] < ago <= STALL[0]


def waiting_for_it(host: str, ago: float) -> bool:
    return host in WEB and STALL[1] < ago <= STALL[0]


def throttled(host: str, ago: float) -> bool:
    return host == THROTTLING and ago <= THROTTLED[0]


def released(host: str, ago: float) -> bool:
    return host in WEB and ago <= RELEASE


def there(host: str, ago: float) -> bool:
    """Whether the agent of this host sends."""
    return host != LOST or ago > SILENT


def waits(host: str, ago: float) -> list[Load]:
    """Return what the threads of a host wait for, so many minutes before the end."""
    usual = _OF_DB if host in DB else _OF_WEB if host in WEB else _OF_CACHE
    more: list[Load] = []
    if stalled(host, ago):
        more += [
            Load("mysqld", "commit", 2.7, 1.1e6),
            Load("mysqld", "enroll", 1.6, 1.3e6),
            Load("jbd2/vda-8", "journal write", 0.8, 9e5),
        ]
    if waiting_for_it(host, ago):
        more.append(Load("gunicorn: shop", "order", 1.1, 9e5))
    if throttled(host, ago):
        more.append(Load("rsyslogd", "log throttled", 0.8, 2.5e5))
    if released(host, ago):
        more.append(Load("gunicorn: shop", "stock lock", 0.4, 9_000))
    return [*usual, *more]


def runs(host: str, ago: float) -> list[Load]:
    """Return what runs on a host's CPUs, in CPUs."""
    usual = _RUN_BY_DB if host in DB else _RUN_BY_WEB if host in WEB else _RUN_BY_CACHE
    more = [Load("gunicorn: shop", "price", 0.2)] if released(host, ago) else []
    return [*usual, *more]
