"""kernelscope.yaml -> Settings, strictly: all problems at once, each with its line.

No message shows a value of the file, or a key that does not resemble a known one: either may be a
password or a token in the wrong place.
"""

import contextlib
import difflib
import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

from kscope.declare import units
from kscope.declare.engines import ENGINES
from kscope.declare.files.catalog import BUILTIN
from kscope.declare.files.schema_errors import Readers, check, read_values
from kscope.declare.files.yaml_lines import MAX_BYTES, Document, Found, bounded, parse
from kscope.declare.files.yaml_lines import Path as Place
from kscope.declare.model import Catalog
from kscope.declare.values import exclusive_problem, option_value
from kscope.errors import (
    DeclarationError,
    Problem,
    UsageError,
    ValueFaultError,
    did_you_mean,
    kind_of,
    quoted,
    shown,
)
from kscope.files import UnreadableError, read_secret, read_text

# A path, as the kernel bounds it; a host's name, as DNS does; entries of a list or a mapping.
_MAX_TEXT = 4096
_MAX_HOST = 255
_MAX_LISTED = 1000
_MAX_COUNT, _MAX_BOUND = 1_000_000, 10**9
MOST_WORKERS = 64
ADMIN = "admin"
SCOPES = ("ingest", "read", ADMIN)
_MAX_PREFIX = 255
LOG_FORMATS = ("text", "json")
_SHORTEST, _LONGEST = 0.1, 100 * 365 * 86400.0
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[A-Za-z0-9._-]*))(?::(?P<port>\d+))?", re.ASCII)
# Kind of text -> its pattern, and the fault of other texts.
_MATCHED = {
    # The database's own messages repeat a user's name.
    "user": ("[^:]+", "must be a user's name alone; the password is for password_file"),
    "database": ("[^:@/?]+", "must be a database's name alone; host and user have other keys"),
    "node": (r"[A-Za-z0-9_.:-]{1,255}", "must be a server's name or address, without its port"),
    "cluster": ("[A-Za-z0-9_.-]{1,64}", "is not a cluster's name: letters, digits, . _ -"),
    "sha256": ("[0-9a-f]{64}", "is not the SHA-256 of a token; `kscope token` makes both"),
    "hosts": (r"[A-Za-z0-9_.:*?-]{1,255}", "is not a host's name, or a pattern such as web-*"),
    "log": ("|".join(LOG_FORMATS), f"is not a format of a log: {' or '.join(LOG_FORMATS)}"),
    "scope": ("|".join(SCOPES), f"is not a scope; known: {', '.join(SCOPES)}"),
    "url": (
        r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?(/[^\s?#@]*)?",
        "is not an address such as http://127.0.0.1:8081, without a user or a password",
    ),
}
_ADDRESS = re.compile(r":/|:[^/]*@")
# Without `..`, which browsers and proxies take out, and without a percent sign.
_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+", re.ASCII)
# Where the server's own addresses begin: a proxy that takes such a prefix away would let the server
# take it away again.
_OWN_PARTS = frozenset(
    {
        "api", "assets", "favicon.ico", "healthz", "icon.svg", "ingest", "metrics", "new",
        "push.v1.PusherService", "readyz", "s", "speedscope", "v1development",
    }
)  # fmt: skip
DEFAULT_FILE = Path("kernelscope.yaml")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Network = ipaddress.IPv4Network | ipaddress.IPv6Network

READ = Address("127.0.0.1", 8080)
INGEST = Address("127.0.0.1", 8081)


# Kind of number -> the least, the most, and the fault of others.
_BOUNDS = {
    "port": (1, 65535, "is not a port, a number from 1 to 65535"),
    "count": (1, _MAX_COUNT, f"is not a number from 1 to {_MAX_COUNT}"),
    "bound": (0, _MAX_BOUND, f"is not a number from 0 (no bound) to {_MAX_BOUND}"),
    "workers": (1, MOST_WORKERS, f"is not a number from 1 to {MOST_WORKERS}"),
}
_TYPES: Mapping[str, Mapping[str, Any]] = {
    **{kind: {"type": ["string", "integer"]} for kind in ("read", "ingest", "size")},
    **{kind: {"type": ["string", "number"]} for kind in ("duration", "share", "window")},
    **{
        kind: {"type": "integer", "minimum": least, "maximum": most}
        for kind, (least, most, _) in _BOUNDS.items()
    },
    "switch": {"type": "boolean"},
    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "scope": {"type": "string", "enum": list(SCOPES)},
    "log": {"type": "string", "enum": list(LOG_FORMATS)},
}


def _is(kind: str, text: str = "") -> dict[str, Any]:
    """Return the schema of a scalar; `_readers` has a function for each kind."""
    described = {"description": text} if text else {}
    return {**described, **_TYPES.get(kind, {"type": "string"}), "format": kind}


def _listed(kind: str, text: str = "") -> dict[str, Any]:
    described = {"description": text} if text else {}
    items = {"items": _is(kind), "maxItems": _MAX_LISTED, "minItems": 1}
    return {**described, "type": "array", **items}


def _keys(settings: type[Any]) -> dict[str, Any]:
    """Return the keys of a section of the file, which are fields, with the schema of each."""
    hints = get_type_hints(settings, include_extras=True).items()
    return {name: hint.__metadata__[0] for name, hint in hints if get_origin(hint) is Annotated}


def _section(settings: type[Any], *, closed: bool = True) -> dict[str, Any]:
    """Return the schema of a section of the file."""
    keys = _keys(settings)
    given = signature(settings).parameters
    return {
        "description": str(settings.__doc__).partition("\n")[0],
        "type": "object",
        "properties": keys,
        "required": [key for key in keys if given[key].default is Parameter.empty],
        **({"additionalProperties": False} if closed else {}),
    }


@dataclass(frozen=True, slots=True)
class SQLite:
    path: Path


@dataclass(frozen=True, slots=True)
class MySQL:
    """A MySQL or MariaDB server."""

    host: Annotated[str, _is("host", "a name or an address, or the path of a socket")] = "localhost"
    port: Annotated[int, _is("port", "3306 if left out; the host may name it too")] = 3306
    user: Annotated[str, _is("user", "the user's name")] = "kernelscope"
    password: Annotated[str, _is("text", "better in a file: see password_file")] = field(
        default="", repr=False
    )
    # In kernelscope.yaml alone: what it holds becomes the password.
    password_file: Annotated[str, _is("secret", "a file that holds the password")] = field(
        default="", kw_only=True
    )
    database: Annotated[str, _is("database", "the database's name")] = "kernelscope"


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """A ClickHouse server, or any server of a cluster, reached over HTTP."""

    host: Annotated[str, _is("server", "a name or an address")] = "localhost"
    port: Annotated[int, _is("port", "8123 if left out, 8443 with TLS; the host may name it")] = 0
    user: Annotated[str, _is("user", "the user's name")] = "default"
    password: Annotated[str, _is("text", "better in a file: see password_file")] = field(
        default="", repr=False
    )
    # In kernelscope.yaml alone: what it holds becomes the password.
    password_file: Annotated[str, _is("secret", "a file that holds the password")] = field(
        default="", kw_only=True
    )
    database: Annotated[str, _is("database", "the database's name")] = "kernelscope"
    secure: Annotated[bool, _is("switch", "connect with TLS")] = False
    ca_file: Annotated[Path | None, _is("path", "certificates that the server's may come from")] = (
        None
    )
    nodes: Annotated[
        tuple[str, ...], _listed("node", "other servers of the cluster, asked if the host is away")
    ] = ()
    cluster: Annotated[str, _is("cluster", "the cluster's name, if the tables are on one")] = ""

    def __post_init__(self) -> None:
        if not self.port:
            object.__setattr__(self, "port", 8443 if self.secure else 8123)


@dataclass(frozen=True, slots=True)
class Token:
    """A token; `kscope token` makes one."""

    name: Annotated[str, _is("text", "the name that logs show")]
    sha256: Annotated[str, _is("sha256", "the SHA-256 of the token")]
    scopes: Annotated[tuple[str, ...], _listed("scope")]
    # In seconds since 1970.
    expires: Annotated[
        float | None, _is("moment", "when it is accepted no more, such as 2027-01-31, in UTC")
    ] = None
    hosts: Annotated[
        tuple[str, ...], _listed("hosts", "hosts whose rows it may bring, such as web-*; none: all")
    ] = ()

    rows_per_minute: Annotated[
        int | None, _is("count", "rows that it may bring in a minute; none: any number")
    ] = None
    bytes_per_minute: Annotated[
        int | None, _is("size", "bytes of bodies as sent in a minute, such as 64MiB")
    ] = None

    def may(self, scope: str) -> bool:
        """Return whether it has the scope; one for administrators has all."""
        return scope in self.scopes or ADMIN in self.scopes

    def may_bring(self, host: str) -> bool:
        """Return whether rows of this host may come with it."""
        return not self.hosts or any(fnmatch.fnmatchcase(host, each) for each in self.hosts)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The certificate of both listeners, which then speak TLS alone; its files may change."""

    certificate: Annotated[
        Path, _is("path", "the server's certificate, and those of its issuers, in PEM")
    ]
    key: Annotated[Path, _is("path", "its private key in PEM, without a password")]
    client_ca: Annotated[
        Path | None, _is("path", "issuers of the certificates that agents must have; none: any")
    ] = None


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """The options of one probe, as `kscope agent PROBE --help` names them, and these.

    `options` are unchecked, since only the catalog knows them: see `check_probes`. `cgroup` is a
    cgroup v2 folder; a pid would soon name another process.
    """

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    max_overhead: Annotated[float | None, _is("share", "overrides the agent's")] = None
    cgroup: Annotated[str, _is("text", "record only processes of this cgroup")] = ""


_PROBES = {
    "description": "those that run, by category",
    "type": "object",
    "additionalProperties": _section(ProbeSettings, closed=False),
}


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The settings of `kscope agent`.

    A plain `kscope agent` runs all `probes`, which are by category. `problem` makes one of a place
    in the file and a message.
    """

    server: Annotated[str, _is("url", "the server's ingest listener")] = "http://127.0.0.1:8081"
    token_file: Annotated[Path | None, _is("path", "a file that holds the token")] = None
    ca_file: Annotated[
        Path | None, _is("path", "certificates that the server's may come from; none: the system's")
    ] = None
    certificate: Annotated[
        Path | None, _is("path", "the agent's own, for a server that asks for one (client_ca)")
    ] = None
    key: Annotated[Path | None, _is("path", "its private key, if it is in another file")] = None
    interval: Annotated[float, _is("duration", "time between two reads of the maps")] = 60.0
    timeout: Annotated[float, _is("duration", "how long to wait for the server's answer")] = 30.0
    max_overhead: Annotated[float, _is("share", "of the host's CPU time, per probe")] = 0.0
    spool: Annotated[Path | None, _is("path", "the folder where batches wait for the server")] = (
        None
    )
    spool_bytes: Annotated[int, _is("size", "the most that may wait there")] = 256 * 1024 * 1024
    spool_age: Annotated[float, _is("duration", "how long a batch may wait there")] = 7 * 86400.0
    probes: Annotated[Mapping[str, ProbeSettings], _PROBES] = field(
        default_factory=dict, hash=False
    )
    problem: Callable[..., Problem] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SymbolSettings:
    """The table of function names, for frames that an agent could not name."""

    debuginfod: Annotated[
        tuple[str, ...], _listed("url", "servers that are asked for missing names; none by default")
    ] = ()
    max_bytes: Annotated[int, _is("size", "of all names, as they are stored: 1GiB")] = 1 << 30
    max_download: Annotated[int, _is("size", "of one file of a debuginfod server: 512MiB")] = (
        512 << 20
    )


@dataclass(frozen=True, slots=True)
class AcceptSettings:
    """The times of rows that are taken in; a request with others is refused.

    In seconds before and after the server's clock; None: without a bound.
    """

    newest: Annotated[float | None, _is("window", "the most that a row is ahead of its time")] = (
        86400.0
    )
    oldest: Annotated[float | None, _is("window", "the greatest age of a row: none")] = None


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Profiles of one protocol are taken in; `{}` for the defaults."""

    hostname: Annotated[
        str, _is("text", "the host of profiles that do not name one; else the sender's address")
    ] = ""


@dataclass(frozen=True, slots=True)
class ReceiveSettings:
    """Profiles that other senders push to the ingest listener; none by default."""

    otlp: Annotated[ReceiverSettings | None, _section(ReceiverSettings)] = None
    pyroscope: Annotated[ReceiverSettings | None, _section(ReceiverSettings)] = None


_TOKENS = {"type": "array", "items": _section(Token), "maxItems": _MAX_LISTED}
_TOKENS_FILE = {
    "type": "object",
    "properties": {"tokens": _TOKENS},
    "required": ["tokens"],
    "additionalProperties": False,
}
_DATABASE = {
    "description": "Where rows are stored.",
    "type": "object",
    "properties": {
        "sqlite": _is("path", "the database's file"),
        "mysql": _section(MySQL),
        "clickhouse": _section(ClickHouse),
    },
    "required": [],
    "additionalProperties": False,
    "oneOf": [{"required": [key]} for key in ("sqlite", "mysql", "clickhouse")],
}
Database = SQLite | MySQL | ClickHouse
Server = TypeVar("Server", MySQL, ClickHouse)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of `kscope serve` and `kscope agent`. Paths are relative to the file.

    Sizes are in bytes, times in seconds. Connections are counted per listener; None: as many as
    the process may open files.
    """

    database: Annotated[Database, _DATABASE] = SQLite(Path("kernelscope.db"))
    categories: Annotated[
        tuple[str | Path, ...], _listed("folder", "folders; `builtin` is the shipped")
    ] = (BUILTIN,)
    ingest: Annotated[Address, _is("ingest", "where rows are taken in: 127.0.0.1:8081")] = INGEST
    read: Annotated[Address, _is("read", "where the page is: 127.0.0.1:8080")] = READ
    workers: Annotated[
        int, _is("workers", "processes that share the listeners; above 1 not with SQLite")
    ] = 1
    hosts: Annotated[tuple[str, ...], _listed("text", "further host names of the page")] = ()
    base_path: Annotated[
        str, _is("prefix", "the path below which a proxy has both listeners, such as /kernelscope")
    ] = ""
    trusted_proxies: Annotated[
        tuple[Network, ...],
        _listed("network", "proxies whose X-Forwarded-For and X-Forwarded-Proto count"),
    ] = ()
    tls: Annotated[TlsSettings | None, _section(TlsSettings)] = None
    tokens: Annotated[tuple[Token, ...], _TOKENS] = ()
    tokens_file: Annotated[
        Path | None, _is("path", "a file with further tokens, read again whenever it changes")
    ] = None
    max_body: Annotated[int, _is("size", "per request, as sent and uncompressed: 32MiB")] = (
        32 * 1024 * 1024
    )
    max_connections: Annotated[int | None, _is("count", "per listener")] = None
    max_connections_per_address: Annotated[int | None, _is("count", "half of max_connections")] = (
        None
    )
    accept: Annotated[AcceptSettings, _section(AcceptSettings)] = AcceptSettings()
    links: Annotated[Path | None, _is("path", "the file of the page's short links; none: off")] = (
        None
    )
    query_deadline: Annotated[float, _is("duration", "database time per question: 10s")] = 10.0
    new_stacks_per_hour: Annotated[int, _is("bound", "per host; 0: no bound")] = 50_000
    new_strings_per_hour: Annotated[int, _is("bound", "per host; 0: no bound")] = 50_000
    silent_after: Annotated[
        float, _is("duration", "a host that sent rows and then none for so long is silent: 10m")
    ] = 600.0
    log_format: Annotated[str, _is("log", "of the lines of server and agent: text or json")] = (
        "text"
    )
    symbols: Annotated[SymbolSettings, _section(SymbolSettings)] = SymbolSettings()
    receive: Annotated[ReceiveSettings, _section(ReceiveSettings)] = ReceiveSettings()
    agent: Annotated[AgentSettings, _section(AgentSettings)] = AgentSettings()


_SCHEMA = _section(Settings)
_KEYS = {"sqlite", "mysql", "clickhouse"}.union(
    *map(_keys, (Settings, MySQL, ClickHouse, Token, SymbolSettings, AgentSettings, ProbeSettings)),
    *map(_keys, (ReceiveSettings, ReceiverSettings, TlsSettings, AcceptSettings)),
)


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of kernelscope.yaml for editors, short forms included."""
    schema: dict[str, Any] = _without_formats(_SCHEMA)
    properties = schema["properties"]
    properties["categories"]["type"] = ["string", "array"]
    probes = properties["agent"]["properties"]["probes"]
    probes["additionalProperties"] = _or(probes["additionalProperties"], "null")
    receivers = properties["receive"]["properties"]
    receivers |= {name: _or(each, "null", "boolean") for name, each in receivers.items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _or(schema: dict[str, Any], *types: str) -> dict[str, Any]:
    return {"anyOf": [schema, *({"type": name} for name in types)]}


def _without_formats(schema: Any) -> Any:
    """Return a copy; editors do not know these formats."""
    if isinstance(schema, dict):
        kept = {key: each for key, each in schema.items() if (key, type(each)) != ("format", str)}
        return {key: _without_formats(each) for key, each in kept.items()}
    return [_without_formats(each) for each in schema] if isinstance(schema, list) else schema


def chosen_settings(config: Path | None) -> Settings:
    """Return the settings of `config`, else of ./kernelscope.yaml if it exists, else the defaults.

    Raises the errors of load_settings.
    """
    if config is None and DEFAULT_FILE.exists():
        config = DEFAULT_FILE
    return load_settings(config) if config else Settings()


def load_settings(path: Path) -> Settings:
    """Return the settings of a file.

    Raises DeclarationError with all its problems, UsageError if the path is an address.
    """
    try:
        checked_path(str(path))
    except ValueFaultError as error:
        raise UsageError(f"the configuration: {error.fault}") from None
    try:
        text = read_text(path, MAX_BYTES)
    except UnreadableError as error:
        raise DeclarationError([Problem(str(path), error.line, "", error.fault)]) from None
    return parse_settings(text, str(path), path.absolute().parent)


def load_tokens(path: Path) -> tuple[Token, ...]:
    """Return the tokens of a file such as `kscope token` writes.

    Raises DeclarationError with all problems.
    """
    try:
        text = read_text(path, MAX_BYTES)
    except UnreadableError as error:
        raise DeclarationError([Problem(str(path), error.line, "", error.fault)]) from None
    document = parse(text, str(path), _harmless)
    readers = _readers(path.absolute().parent)
    problems = document.problems or bounded(str(path), check(document, _TOKENS_FILE, readers))
    if problems:
        raise DeclarationError(problems)
    found = read_values(document.value, _TOKENS_FILE, readers)
    return tuple(Token(**each) for each in found["tokens"])


def parse_settings(text: str, file: str, folder: Path) -> Settings:
    """Return the settings of a file's text; paths in it are relative to `folder`.

    Raises DeclarationError with all problems.
    """
    document = parse(text, file, _harmless)
    if document.problems:
        raise DeclarationError(document.problems)
    document = replace(document, value=_written_out(document.value))
    readers = _readers(folder)
    if problems := bounded(file, _problems(document, readers)):
        raise DeclarationError(problems)
    return _settings(read_values(document.value, _SCHEMA, readers), document)


def _written_out(value: Any) -> Any:
    """Return the value without its short forms: one folder alone, probes without options."""
    if not isinstance(value, dict):
        return {} if value is None else value
    if isinstance(folder := value.get("categories"), str):
        value = value | {"categories": [folder]}
    match value:
        case {"agent": {"probes": dict(probes)} as agent}:
            value = value | {"agent": agent | {"probes": _full(probes)}}
    match value:
        case {"receive": dict(receivers)}:
            # `true` and `false` are short for an empty section, and none.
            on = {name: each for name, each in receivers.items() if each is not False}
            full = {name: None if each is True else each for name, each in on.items()}
            value = value | {"receive": _full(full)}
    return value


def _full(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {} if each is None else each for name, each in given.items()}


def _problems(document: Document, readers: Readers) -> Iterator[Problem]:
    yield from check(document, _SCHEMA, readers)
    match document.value:
        case {"database": {"mysql": {"host": str(host), "port": int(port)}}}:
            yield from _two_ports(document, "mysql", host, port)
        case {"database": {"clickhouse": {"host": str(host), "port": int(port)}}}:
            yield from _two_ports(document, "clickhouse", host, port)


def _two_ports(document: Document, key: str, host: str, port: int) -> Iterator[Problem]:
    with contextlib.suppress(ValueFaultError):
        _, other = database_host(host)
        if other not in (None, port):
            fault = f"the host names port {other}; leave one of them out"
            yield document.problem(("database", key, "port"), fault)


def _settings(found: dict[str, Any], document: Document) -> Settings:
    match found.get("database"):
        case {"sqlite": path}:
            found["database"] = SQLite(path)
        case {"mysql": server}:
            found["database"] = _server(MySQL, server)
        case {"clickhouse": server}:
            found["database"] = _server(ClickHouse, server)
    if "tokens" in found:
        found["tokens"] = tuple(Token(**token) for token in found["tokens"])
    if "tls" in found:
        found["tls"] = TlsSettings(**found["tls"])
    if "accept" in found:
        found["accept"] = AcceptSettings(**found["accept"])
    if "symbols" in found:
        found["symbols"] = SymbolSettings(**found["symbols"])
    if "receive" in found:
        receivers = found["receive"].items()
        found["receive"] = ReceiveSettings(**{n: ReceiverSettings(**each) for n, each in receivers})
    if "agent" in found:
        agent = found["agent"]
        agent["probes"] = {name: _probe(each) for name, each in agent.get("probes", {}).items()}
        found["agent"] = AgentSettings(**agent, problem=document.problem)
    return Settings(**found)


def _server(kind: type[Server], found: dict[str, Any]) -> Server:
    if "password_file" in found:
        found["password"] = found.pop("password_file")
    if "host" in found:
        found["host"], port = found["host"]
        found |= {} if port is None else {"port": port}
    return kind(**found)


def _probe(found: dict[str, Any]) -> ProbeSettings:
    own = {key: found.pop(key) for key in ("max_overhead", "cgroup") if key in found}
    return ProbeSettings(found, **own)


_HIDDEN = "<key>"
# Names of probes and of their options: those of categories.
_NAMES = ("agent", "probes")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def _harmless(path: Place) -> Place:
    """Return the place with keys in it that are, or resemble, those of a configuration."""
    free = path[:2] == _NAMES
    return tuple(
        each if isinstance(each, int) or _is_harmless(each, free=free and at > 1) else _HIDDEN
        for at, each in enumerate(path)
    )


def _is_harmless(key: str, *, free: bool) -> bool:
    if key in _KEYS or (free and _NAME.fullmatch(key)):
        return True
    near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.75) if len(key) < 40 else []
    return bool(near) and abs(len(near[0]) - len(key)) <= 2


def _wrong(value: Any, fault: str) -> ValueFaultError:
    return ValueFaultError(shown(value), fault)


def check_probes(settings: AgentSettings, catalog: Catalog) -> None:
    """Raise DeclarationError with all problems of the probes that the settings list."""
    problems = [
        settings.problem(("agent", "probes", name, *place), *why)
        for name, probe in settings.probes.items()
        for place, *why in _probe_problems(name, probe, catalog)
        if settings.problem
    ]
    if problems:
        raise DeclarationError(problems)


def _probe_problems(name: str, probe: ProbeSettings, catalog: Catalog) -> Iterator[Found]:
    known = {each.table: each.probe for each in catalog if each.probe}
    if name not in known:
        yield (), f"there is no such probe{did_you_mean(name, known)}"
        return
    options = {option.name: option for option in known[name].options}
    for key, given in probe.options.items():
        if key not in options:
            yield (key,), f"unknown option{did_you_mean(key, {*options, 'max_overhead', 'cgroup'})}"
            continue
        try:
            option_value(options[key], given)
        except ValueFaultError as error:
            yield (key,), error.fault, error.cure
    engine = ENGINES[known[name].engine]
    if probe.cgroup and not engine.filters_cgroup:
        yield ("cgroup",), f"a {engine.name} {engine.source} cannot be limited to one"
    if problem := exclusive_problem(probe.options):
        yield (), problem


def parse_share(text: Any) -> float:
    """Read `1%`, or `1`, as 0.01. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6}) ?%?", str(text), re.ASCII)
    if not found or isinstance(text, bool) or float(found[1]) > 100:
        raise _wrong(text, "is not a share such as 1% or 0.5%")
    return float(found[1]) / 100


def parse_address(text: str, default: int = READ.port) -> Address:
    """Read `127.0.0.1:8080`, `[::1]:8080`, `:8080` (every address), `8080` (loopback), or a host
    alone, with the default port. Raises ValueError.
    """
    if text.isascii() and text.isdigit():
        return Address("127.0.0.1", _port_of(text))
    host, port = split_host(text)
    return Address(host or "0.0.0.0", default if port is None else port)  # noqa: S104 - `:8080`


def split_host(text: str) -> tuple[str, int | None]:
    """Read `host`, `host:3307`, `::1` or `[::1]:3307`; the host is without brackets, and empty in
    `:3307`. Raises ValueError.
    """
    found = _HOST.fullmatch(text) if 0 < len(text) <= _MAX_HOST + 8 else None
    if "://" in text:
        raise _wrong(text, "is not an address such as 127.0.0.1:8080, without http://")
    if not found:
        return _ipv6(text), None
    host = _ipv6(found["v6"]) if found["v6"] else found["name"]
    return host, None if found["port"] is None else _port_of(found["port"])


def _ipv6(text: str) -> str:
    """Return the text; ValueError if it is not an IPv6 address, or might end with a port."""
    head, _, port = text.rpartition(":")
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        raise _wrong(text, "is not an address such as 127.0.0.1:8080 or [::1]:8080") from None
    if len(port) > 1 and port.isdigit() and "::" in head and not head.endswith(":"):
        raise _wrong(text, f"may mean two things: write [{head}]:{port} or [{text}]")
    return text


def _port_of(digits: str) -> int:
    if len(digits) > 5 or int(digits) > 65535:
        raise _wrong(digits, "is not a port, the last one is 65535")
    return int(digits)


def checked_path(text: str) -> str:
    """Return it; ValueFaultError if it is an address, which may hold a password."""
    if _ADDRESS.search(text):
        raise _wrong(text, "must be a file's path, not an address")
    return text


def checked_prefix(value: Any) -> str:
    """Return a path that addresses may begin with. Raises ValueFaultError."""
    text = _text(value)
    if len(text) > _MAX_PREFIX:
        raise _wrong(text, f"has {len(text)} characters; at most {_MAX_PREFIX} are allowed")
    if not _PREFIX.fullmatch(text):
        raise _wrong(
            text,
            "is not a path such as /kernelscope: it begins with a slash, ends without one, and"
            " between slashes has letters, digits, - . _ ~",
        )
    if (own := text.split("/")[1]) in _OWN_PARTS:
        raise _wrong(text, f"begins as the server's own addresses below /{own}: choose another one")
    return text


def _network(value: Any) -> Network:
    """Read `127.0.0.1`, `10.0.0.0/8` or `fd00::/8`."""
    text = _text(value)
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        fault = "is not an address or a network such as 127.0.0.1, 10.0.0.0/8 or fd00::/8"
        raise _wrong(text, fault) from None
    if not found.prefixlen:
        raise _wrong(text, "has every address: each client could then say who it is")
    return found


def database_host(value: Any) -> tuple[str, int | None]:
    """Return the host and its port; a path is that of a socket."""
    text = _text(value)
    if text.startswith("/"):
        return text, None
    host, port = split_host(text)
    if not host:
        raise _wrong(text, "has a port but no host; write it as db.example.com:3307")
    return host, port


def _server_host(value: Any) -> tuple[str, int | None]:
    host, port = database_host(value)
    if host.startswith("/"):
        raise _wrong(host, "must be a name or an address, not a path")
    return host, port


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "must be true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueFaultError(shown(value), f"must be text, not {kind_of(value)}", quoted(value))
    if len(value) > _MAX_TEXT:
        raise _wrong(value, f"has {len(value)} characters; at most {_MAX_TEXT} are allowed")
    return value


def _matching(pattern: str, fault: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not re.fullmatch(pattern, _text(value), re.ASCII | re.DOTALL):
            raise _wrong(value, fault)
        return str(value)

    return read


def _within(least: int, most: int, fault: str) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise _wrong(value, fault)
        return value

    return read


def _scalar(value: Any) -> str:
    """Return a text, or a number as a text."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _wrong(value, f"must be text or a number, not {kind_of(value)}")
    return str(value)


def _duration(value: Any) -> float:
    """Read seconds; at least a tenth of one."""
    length = units.span(_scalar(value))
    if not _SHORTEST <= length <= _LONGEST:
        raise _wrong(value, f"is not between {_SHORTEST} seconds and 100 years")
    return length


def checked_hosts(pattern: str) -> str:
    """Return the pattern of hosts' names. Raises ValueError."""
    return _matching(*_MATCHED["hosts"])(pattern)


def read_moment(value: Any) -> float:
    """Read a date or a time as seconds since 1970, in UTC unless it says otherwise.

    Raises ValueError.
    """
    text = _text(value)
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        fault = "is not a date such as 2027-01-31, or a time such as 2027-01-31T12:00Z"
        raise _wrong(value, fault) from None


def _readers(folder: Path) -> Readers:
    """Return a function for each kind of scalar: value -> setting, or ValueFaultError."""

    def path(value: Any) -> Path:
        try:
            return folder / Path(checked_path(_text(value))).expanduser()
        except RuntimeError:
            fault = "must not start with ~: there is no such user; write the path"
            raise _wrong(value, fault) from None

    def secret(value: Any) -> str:
        try:
            return read_secret(path(value))
        except UnreadableError as error:
            raise _wrong(value, str(error)) from None

    return {
        "path": path,
        "secret": secret,
        "folder": lambda value: BUILTIN if value == BUILTIN else path(value),
        "read": lambda value: parse_address(_scalar(value), READ.port),
        "ingest": lambda value: parse_address(_scalar(value), INGEST.port),
        "text": _text,
        "host": database_host,
        "server": _server_host,
        "switch": _switch,
        "prefix": checked_prefix,
        "network": _network,
        "duration": _duration,
        "window": lambda value: None if value == "none" else _duration(value),
        "moment": read_moment,
        "size": lambda value: units.read_bytes(_scalar(value)),
        "share": parse_share,
        **{kind: _within(*row) for kind, row in _BOUNDS.items()},
        **{kind: _matching(*row) for kind, row in _MATCHED.items()},
    }
