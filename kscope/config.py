"""kernelscope.yaml -> Settings, strictly: all problems at once, each with its line.

No message shows a value of the file, nor a key that is unlike those that there are: a password or
a token may have slipped there.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kscope.declare import units
from kscope.declare.engines import ENGINES
from kscope.declare.files.catalog import BUILTIN
from kscope.declare.files.yaml_lines import (
    MAX_BYTES,
    MAX_PROBLEMS,
    Document,
    bounded,
    parse,
)
from kscope.declare.options import exclusive_problem, option_value
from kscope.errors import (
    QUOTE,
    DeclarationError,
    Problem,
    UsageError,
    ValueFaultError,
    did_you_mean,
    shown,
)
from kscope.files import UnreadableError, read_secret, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kscope.declare.files import yaml_lines as yamlfile
    from kscope.declare.model import Catalog

# A path, as the kernel bounds it; a host's name, as DNS does; entries of a list or a mapping.
_MAX_TEXT = 4096
_MAX_HOST = 255
_MAX_LISTED = 1000
SCOPES = ("ingest", "read")
_SHORTEST, _LONGEST = 0.1, 100 * 365 * 86400.0
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[A-Za-z0-9._-]*))(?::(?P<port>\d+))?", re.ASCII)
_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?(/[^\s?#@]*)?", re.ASCII
)
_ADDRESS = re.compile(r":/|:[^/]*@")
DEFAULT_FILE = Path("kernelscope.yaml")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


READ = Address("127.0.0.1", 8080)
INGEST = Address("127.0.0.1", 8081)


@dataclass(frozen=True, slots=True)
class SQLite:
    path: Path


@dataclass(frozen=True, slots=True)
class MySQL:
    """`host` may be a path: the server's socket."""

    host: str = "localhost"
    port: int = 3306
    user: str = "kernelscope"
    password: str = field(default="", repr=False)
    database: str = "kernelscope"


@dataclass(frozen=True, slots=True)
class Token:
    name: str
    sha256: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """`options` as written: which there are only the catalog knows, see `check_probes`.

    `cgroup` limits it to a cgroup v2 folder. A pid would mean another process after a while.
    `problem` makes one of a place below the probe's name and a message.
    """

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    max_overhead: float | None = None
    cgroup: str = ""
    problem: Callable[[yamlfile.Path, str], Problem] | None = field(
        default=None, compare=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """`probes`: by category; a plain `kscope agent` runs all of them. `max_overhead` is a share."""

    server: str = "http://127.0.0.1:8081"
    token_file: Path | None = None
    interval: float = 60.0
    timeout: float = 30.0
    max_overhead: float = 0.0
    spool: Path | None = None
    spool_bytes: int = 256 * 1024 * 1024
    spool_age: float = 7 * 86400.0
    probes: Mapping[str, ProbeSettings] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths in the file are relative to the file. Sizes are in bytes, times in seconds.

    Connections are counted for each listener; None stands for as many as there may be open files.
    """

    database: SQLite | MySQL = field(default_factory=lambda: SQLite(Path("kernelscope.db")))
    categories: tuple[str | Path, ...] = (BUILTIN,)
    ingest: Address = INGEST
    read: Address = READ
    hosts: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()
    max_body: int = 32 * 1024 * 1024
    max_connections: int | None = None
    max_connections_per_address: int | None = None
    query_deadline: float = 10.0
    new_stacks_per_hour: int = 50_000
    new_strings_per_hour: int = 50_000
    agent: AgentSettings = field(default_factory=AgentSettings)


def chosen_settings(config: Path | None) -> Settings:
    """Go by the file named, else by ./kernelscope.yaml where there is one; errors as below."""
    if config is None and DEFAULT_FILE.exists():
        config = DEFAULT_FILE
    return load_settings(config) if config else Settings()


def load_settings(path: Path) -> Settings:
    """Raise DeclarationError with all problems of the file, UsageError for an address."""
    try:
        checked_path(str(path))
    except ValueFaultError as error:
        raise UsageError(f"the configuration: {error.fault}") from None
    try:
        text = read_text(path, MAX_BYTES)
    except UnreadableError as error:
        raise DeclarationError([Problem(str(path), error.line, "", error.fault)]) from None
    return parse_settings(text, str(path), path.absolute().parent)


def parse_settings(text: str, file: str, folder: Path) -> Settings:
    document = parse(text, file, _harmless)
    reader = _Reader(document, folder, list(document.problems))
    settings = reader.settings() if not document.problems else Settings()
    if problems := bounded(file, reader.problems):
        raise DeclarationError(problems)
    return settings


_KEYS = frozenset(
    {each.name for kind in (Settings, MySQL, Token, AgentSettings, ProbeSettings)
     for each in fields(kind)} | {"sqlite", "mysql", "password_file"}
)  # fmt: skip
_HIDDEN = "<key>"
# Names of probes and of their options: those of categories.
_NAMES = ("agent", "probes")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def _harmless(path: yamlfile.Path) -> yamlfile.Path:
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


@dataclass
class _Reader:
    document: Document
    folder: Path
    problems: list[Problem]

    def settings(self) -> Settings:
        if self.document.value is None:
            return Settings()
        found = self.mapping(
            self.document.value,
            (),
            {
                "database": self.database,
                "categories": self.categories,
                "ingest": self.one(_address(INGEST)),
                "read": self.one(_address(READ)),
                "hosts": self.listed(_text),
                "tokens": self.tokens,
                "max_body": self.one(_size),
                "max_connections": self.one(_number),
                "max_connections_per_address": self.one(_number),
                "query_deadline": self.one(_duration),
                "new_stacks_per_hour": self.one(_most),
                "new_strings_per_hour": self.one(_most),
                "agent": self.agent,
            },
        )
        return Settings(**found)

    def database(self, value: Any, path: yamlfile.Path) -> SQLite | MySQL | None:
        kinds = {"sqlite": self.one(self.path), "mysql": self.mysql}
        found = self.mapping(value, path, kinds)
        if isinstance(value, dict) and len(value) != 1:
            self.refuse(path, "expected exactly one of sqlite, mysql")
        if "sqlite" in found:
            return SQLite(found["sqlite"])
        return found.get("mysql")

    def mysql(self, value: Any, path: yamlfile.Path) -> MySQL:
        found = self.mapping(
            value,
            path,
            {
                "host": self.one(mysql_host),
                "port": self.one(_port),
                "user": self.one(_user),
                "password": self.one(_text),
                "password_file": self.one(self.secret),
                "database": self.one(_database_name),
            },
        )
        if "password_file" in found:
            found["password"] = found.pop("password_file")
        host, port = found.pop("host", (MySQL().host, None))
        if None not in (port, found.get("port")) and port != found["port"]:
            self.refuse((*path, "port"), f"the host names port {port}; leave one of them out")
        return MySQL(host=host, **({} if port is None else {"port": port}) | found)

    def categories(self, value: Any, path: yamlfile.Path) -> tuple[str | Path, ...]:
        value = [value] if isinstance(value, str) else value
        return self.listed(self.category_folder)(value, path)

    def category_folder(self, value: Any) -> str | Path:
        return BUILTIN if value == BUILTIN else self.path(value)

    def tokens(self, value: Any, path: yamlfile.Path) -> tuple[Token, ...]:
        if not isinstance(value, list):
            self.refuse(path, "write a list of tokens")
            return ()
        if len(value) > _MAX_LISTED:
            self.refuse(path, f"has {len(value)} tokens; at most {_MAX_LISTED} are allowed")
            return ()
        tokens = []
        keys = {"name": self.one(_text), "sha256": self.one(_sha256), "scopes": self.scopes}
        for index, entry in enumerate(value):
            place = (*path, index)
            found = self.mapping(entry, place, keys, required=("name", "sha256", "scopes"))
            if len(found) == len(keys):
                tokens.append(Token(**found))
        return tuple(tokens)

    def scopes(self, value: Any, path: yamlfile.Path) -> tuple[str, ...]:
        return self.listed(_scope)(value, path)

    def agent(self, value: Any, path: yamlfile.Path) -> AgentSettings:
        found = self.mapping(
            value,
            path,
            {
                "server": self.one(_url),
                "token_file": self.one(self.path),
                "interval": self.one(_duration),
                "timeout": self.one(_duration),
                "max_overhead": self.one(parse_share),
                "spool": self.one(self.path),
                "spool_bytes": self.one(_size),
                "spool_age": self.one(_duration),
                "probes": self.probes,
            },
        )
        return AgentSettings(**found)

    def probes(self, value: Any, path: yamlfile.Path) -> Mapping[str, ProbeSettings]:
        if not isinstance(value, dict):
            self.refuse(path, "write a category per line, with its options: offcputime: {}")
            return {}
        return {name: self.probe(options, (*path, name)) for name, options in value.items()}

    def probe(self, value: Any, path: yamlfile.Path) -> ProbeSettings:
        options = {} if value is None else value
        if not isinstance(options, dict):
            self.refuse(path, "write the options as a mapping: {threshold: 5000}")
            return ProbeSettings()
        keys = {"max_overhead": self.one(parse_share), "cgroup": self.one(_text)}
        own = {name: given for name, given in options.items() if name in keys}
        return ProbeSettings(
            {name: given for name, given in options.items() if name not in keys},
            **self.mapping(own, path, keys),
            problem=lambda place, message: self.document.problem((*path, *place), message),
        )

    def mapping(
        self,
        value: Any,
        path: yamlfile.Path,
        readers: Mapping[str, Callable[[Any, yamlfile.Path], Any]],
        required: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Read the known keys; None stands for a value that was refused."""
        if not isinstance(value, dict):
            self.refuse(path, f"write a mapping of {', '.join(readers)}")
            return {}
        found = {}
        for key, part in value.items():
            if key not in readers:
                self.refuse((*path, key), f"unknown key{did_you_mean(key, readers)}")
                continue
            result = readers[key](part, (*path, key))
            if result is not None:
                found[key] = result
        for key in required:
            if key not in value:
                self.refuse(path, f"'{key}' is missing")
        return found

    def one(self, convert: Callable[[Any], Any]) -> Callable[[Any, yamlfile.Path], Any]:
        def read(value: Any, path: yamlfile.Path) -> Any:
            try:
                return convert(value)
            except ValueFaultError as error:
                self.refuse(path, error.fault)
                return None

        return read

    def listed(
        self, convert: Callable[[Any], Any]
    ) -> Callable[[Any, yamlfile.Path], tuple[Any, ...]]:
        def read(value: Any, path: yamlfile.Path) -> tuple[Any, ...]:
            if not isinstance(value, list) or not value:
                self.refuse(path, "write a list: [a, b]")
                return ()
            if len(value) > _MAX_LISTED:
                self.refuse(path, f"has {len(value)} entries; at most {_MAX_LISTED} are allowed")
                return ()
            entries = (self.one(convert)(part, (*path, i)) for i, part in enumerate(value))
            return tuple(entry for entry in entries if entry is not None)

        return read

    def path(self, value: Any) -> Path:
        try:
            return self.folder / Path(checked_path(_text(value))).expanduser()
        except RuntimeError:
            raise _wrong(
                value, "must not start with ~: there is no such user; write the path"
            ) from None

    def secret(self, value: Any) -> str:
        try:
            return read_secret(self.path(value))
        except UnreadableError as error:
            raise _wrong(value, str(error)) from None

    def refuse(self, path: yamlfile.Path, message: str) -> None:
        if len(self.problems) <= MAX_PROBLEMS:
            self.problems.append(self.document.problem(path, message))


def check_probes(settings: AgentSettings, catalog: Catalog) -> None:
    """Raise DeclarationError with all that is wrong with the probes that are listed."""
    problems = [
        probe.problem(place, message)
        for name, probe in settings.probes.items()
        for place, message in _probe_problems(name, probe, catalog)
        if probe.problem
    ]
    if problems:
        raise DeclarationError(problems)


def _probe_problems(
    name: str, probe: ProbeSettings, catalog: Catalog
) -> Iterator[tuple[yamlfile.Path, str]]:
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
            yield (key,), error.fault
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
    """Return it as it is; ValueError if it is none, or if its end may be meant as a port."""
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


def _address(default: Address) -> Callable[[Any], Address]:
    return lambda value: parse_address(_scalar(value), default.port)


def checked_path(text: str) -> str:
    """Return it; ValueFaultError if it is an address, which may hold a password."""
    if _ADDRESS.search(text):
        raise _wrong(text, "must be a file's path, not an address")
    return text


def mysql_host(value: Any) -> tuple[str, int | None]:
    """Return the host and its port; a path is that of a socket."""
    text = _text(value)
    if text.startswith("/"):
        return text, None
    host, port = split_host(text)
    if not host:
        raise _wrong(text, "has a port but no host; write it as db.example.com:3307")
    return host, port


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        cure = QUOTE if isinstance(value, bool | int | float) else ""
        raise _wrong(value, f"must be text, not {_kind(value)}{cure}")
    if len(value) > _MAX_TEXT:
        raise _wrong(value, f"has {len(value)} characters; at most {_MAX_TEXT} are allowed")
    return value


def _kind(value: Any) -> str:
    """Name the value if it is one of few, or else its kind."""
    if value is None or isinstance(value, bool):
        return shown(value)
    kinds = ((str, "an empty text"), (list, "a list"), (dict, "a mapping"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number")


def _user(value: Any) -> str:
    """Return a user's name; the database's own messages repeat it."""
    if ":" in _text(value):
        raise _wrong(value, "must be a user's name alone; the password is for password_file")
    return str(value)


def _database_name(value: Any) -> str:
    if re.search("[:@/?]", _text(value)):
        raise _wrong(value, "must be a database's name alone; host and user have keys of their own")
    return str(value)


def _port(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise _wrong(value, "is not a port, a number from 1 to 65535")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 1_000_000:
        raise _wrong(value, "is not a number from 1 to 1000000")
    return value


def _scalar(value: Any) -> str:
    """Return a text, or a number as a text."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise _wrong(value, f"must be text or a number, not {_kind(value)}")
    return str(value)


def _size(value: Any) -> int:
    return units.read_bytes(_scalar(value))


def _most(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**9:
        raise _wrong(value, "is not a number from 0 (no bound) to 1000000000")
    return value


def _duration(value: Any) -> float:
    """Read seconds; at least a tenth of one."""
    length = units.span(_scalar(value))
    if not _SHORTEST <= length <= _LONGEST:
        raise _wrong(value, f"is not between {_SHORTEST} seconds and 100 years")
    return length


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise _wrong(value, "is not the SHA-256 of a token; `kscope token` makes both")
    return value


def _scope(value: Any) -> str:
    if value not in SCOPES:
        raise _wrong(value, f"is not a scope; known: {', '.join(SCOPES)}")
    return str(value)


def _url(value: Any) -> str:
    if not _URL.fullmatch(_text(value)):
        fault = "is not an address such as http://127.0.0.1:8081, without a user or a password"
        raise _wrong(value, fault)
    return str(value)
