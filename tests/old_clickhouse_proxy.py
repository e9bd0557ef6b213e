"""The interface of today's ClickHouse in front of a server of 2018.

old_clickhouse_proxy.py HOST PORT FOLDER USER PASSWORD SERVER [SERVER ...]

The first server answers; the others are of the same cluster. The program adds what the old server
does not have: statements on a cluster, tokens of INSERTs, and tables that refuse rows.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from tests.clickhouse_http import Asked, RefusedError, User, serve
from tests.old_statements import HIDDEN, is_for_all_shards, old, replaced_view

UNFINISHED, LOST_CONNECTION, VIOLATED = 159, 210, 469
_PATIENCE = 60.0
# Settings that mean the same to both, and those that kscope sends for today's server alone.
_KNOWN = {
    *("connect_timeout_with_failover_ms", "connections_with_failover_max_tries"),
    *("distributed_product_mode", "insert_distributed_sync", "join_use_nulls", "max_block_size"),
    *("max_execution_time", "max_insert_block_size", "max_memory_usage", "max_query_size"),
    *("max_result_rows", "max_threads", "min_insert_block_size_bytes"),
    *("min_insert_block_size_rows", "readonly", "result_overflow_mode"),
    *("skip_unavailable_shards", "timeout_overflow_mode"),
}
_RENAMED = {"distributed_foreground_insert": "insert_distributed_sync"}
_ADDED = (
    "distributed_ddl_output_mode",
    *("aggregate_functions_null_for_empty", "alter_sync", "async_insert", "cast_keep_nullable"),
    *("deduplicate_insert", "fsync_after_insert", "max_partitions_per_insert_block"),
    *("deduplicate_blocks_in_dependent_materialized_views", "distributed_foreground_insert"),
    *("final", "insert_deduplicate", "insert_deduplication_token", "insert_quorum"),
    *("log_comment", "mutations_sync", "prefer_column_name_to_alias", "transform_null_in"),
    *("use_query_condition_cache", "wait_for_async_insert", "lightweight_deletes_sync"),
)
_SETTINGS = re.compile(r"(?i)SELECT name, value, readonly FROM system\.settings")
_SELECTED = re.compile(r"(?is)\s+SETTINGS\s+((?:\w+\s*=\s*[^,\s]+,?\s*)+)(?=FORMAT\s|\Z)")
# The old server does not know these words, and refuses a column or a view that is there: another
# shard's statement may have made it.
_IF_MISSING = re.compile(r"(?i)\bADD COLUMN IF NOT EXISTS\b|\bCREATE OR REPLACE VIEW\b")
_THERE = (15, 44, 57)
_MUTATION = re.compile(r"(?i)ALTER TABLE \S+ (?:UPDATE|DELETE)\b")
# Tables with the constraint refuse rows.
_CONSTRAINT = re.compile(r"(?i)ALTER TABLE `?(\w+)`? (ADD|DROP) CONSTRAINT ")
_CONSTRAINED = re.compile(r"(?i)SELECT name FROM system\.tables WHERE .*CONSTRAINT")
_ROWS_INTO = re.compile(r"(?i)INSERT INTO (?:TABLE )?`?(\w+)`?")
_RENAMING = re.compile(r"(?i)(?:EXCHANGE TABLES `?(\w+)`? AND|DROP TABLE IF EXISTS) `?(\w+)`?")
# In the format Native the names of columns and types follow their lengths.
_HIDDEN = re.compile(rb"(?s)(.)(\w+?)" + HIDDEN.encode())
_MAP, _TUPLE = b"\x12Map(UInt8, UInt64)", b"\x22Tuple(Array(Tuple(UInt8, UInt64)))"


@dataclass
class Proxy:
    folder: Path
    servers: list[str]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, asked: Asked) -> bytes:
        token = asked.settings.get("insert_deduplication_token")
        if token is None:
            return self._run(asked)
        with self._lock:
            named = repr((asked.database, asked.statement, token))
            if named not in self._tokens():
                self._run(asked)
                with (self.folder / "tokens").open("a") as file:
                    file.write(f"{named}\n")
            return b""

    def _run(self, asked: Asked) -> bytes:
        if _CONSTRAINT.match(asked.statement):
            self._note_constraint(asked)
            return b""
        self._check_constraint(asked)
        statement, view = self._old(asked), replaced_view(asked.statement)
        if view:
            self._run(replace(asked, statement=f"DROP TABLE IF EXISTS {view}{_on(asked)}"))
        if asked.rows:
            body = f"{statement} FORMAT {asked.rows_format}\n".encode()
            return self._send(self.servers[0], asked, body + asked.rows.replace(_MAP, _TUPLE))
        if is_for_all_shards(asked.statement):
            self._send_to_all(asked, statement.encode())
            return b""
        answer = self._send(self.servers[0], asked, statement.encode())
        if _MUTATION.match(statement):
            self._wait_for_mutations(asked)
        return _HIDDEN.sub(_shown, answer.replace(_TUPLE, _MAP))

    def _old(self, asked: Asked) -> str:
        if _SETTINGS.search(asked.statement):
            names = ", ".join(f"'{name}'" for name in (*_ADDED, *_KNOWN, *_RENAMED))
            return (
                f"SELECT arrayJoin([{names}]) AS name, '' AS value, toUInt8(0) AS readonly"
                f" FORMAT {asked.answer_format}"
            )
        if _CONSTRAINED.match(asked.statement):
            named = [each.partition(".") for each in self._constrained()]
            own = ", ".join(
                f"'{name}'" for (database, _, name) in named if database == asked.database
            )
            listed = f"arrayJoin(CAST([{own}] AS Array(String)))"
            return f"SELECT {listed} AS name FORMAT {asked.answer_format}"
        merged = self._merged(asked) if asked.settings.get("final") == "1" else []
        statement = old(asked.statement, asked.settings, asked.bound, merged)
        return _SELECTED.sub(_known_of_clause, statement)

    def _note_constraint(self, asked: Asked) -> None:
        table, change = _CONSTRAINT.match(asked.statement).groups()  # type: ignore[union-attr]
        held = self._constrained() - {f"{asked.database}.{table}"}
        added = {f"{asked.database}.{table}"} if change.upper() == "ADD" else set()
        (self.folder / "constrained").write_text(json.dumps(sorted(held | added)))

    def _check_constraint(self, asked: Asked) -> None:
        into, renamed = _ROWS_INTO.match(asked.statement), _RENAMING.match(asked.statement)
        if into and f"{asked.database}.{into[1]}" in self._constrained():
            raise RefusedError(VIOLATED, "a constraint is violated. (VIOLATED_CONSTRAINT)")
        if renamed:
            gone = {f"{asked.database}.{name}" for name in renamed.groups() if name}
            left = sorted(self._constrained() - gone)
            (self.folder / "constrained").write_text(json.dumps(left))

    def _constrained(self) -> set[str]:
        path = self.folder / "constrained"
        return set(json.loads(path.read_text())) if path.exists() else set()

    def _merged(self, asked: Asked) -> list[str]:
        """Return the tables whose rows with one key count once."""
        return self._ask(asked, "SELECT name FROM system.tables WHERE engine LIKE 'Replacing%'")

    def _wait_for_mutations(self, asked: Asked) -> None:
        while self._ask(asked, "SELECT 1 FROM system.mutations WHERE NOT is_done LIMIT 1"):
            time.sleep(0.02)

    def _ask(self, asked: Asked, statement: str) -> list[str]:
        plain = Asked(statement, {"database": asked.database})
        return self._send(self.servers[0], plain, statement.encode()).decode().splitlines()

    def _tokens(self) -> set[str]:
        path = self.folder / "tokens"
        return set(path.read_text().splitlines()) if path.exists() else set()

    def _send_to_all(self, asked: Asked, body: bytes) -> None:
        for server in self.servers:
            try:
                self._send(server, asked, body)
            except RefusedError as error:
                if not (error.code in _THERE and _IF_MISSING.search(asked.statement)):
                    raise
            except httpx.TransportError as error:
                if asked.settings.get("distributed_ddl_output_mode") == "none_only_active":
                    continue
                raise RefusedError(
                    UNFINISHED, f"a host has not finished: {error}. (TIMEOUT_EXCEEDED)"
                ) from error

    def _send(self, server: str, asked: Asked, body: bytes) -> bytes:
        parameters = _known(asked.settings) | {"database": asked.database}
        for name in ("query_id", "default_format"):
            if asked.parameters.get(name):
                parameters[name] = asked.parameters[name]
        with httpx.Client(verify=False, timeout=_PATIENCE) as client:
            answer = client.post(server, params=parameters, content=body)
        if answer.is_error:
            found = re.search(r"Code: (\d+),?(?: e\.displayText\(\) =)? DB::\w+: (.*)", answer.text)
            code, text = (int(found[1]), found[2]) if found else (LOST_CONNECTION, answer.text)
            # In the file `started` of the shard's folder.
            sys.stderr.write(f"{code} {text}\n  {asked.statement}\n  {body[:100_000]!r}\n")
            sys.stderr.flush()
            raise RefusedError(code, text)
        return answer.content


def _shown(found: re.Match[bytes]) -> bytes:
    if found[1][0] != len(found[0]) - 1:
        return found[0]
    return bytes([len(found[2])]) + found[2]


def _on(asked: Asked) -> str:
    return " ON CLUSTER all" if is_for_all_shards(asked.statement) else ""


def _known(settings: dict[str, str]) -> dict[str, str]:
    named = {_RENAMED.get(name, name): value for name, value in settings.items()}
    return {name: value for name, value in named.items() if name in _KNOWN}


def _known_of_clause(found: re.Match[str]) -> str:
    settings = dict(re.findall(r"(\w+)\s*=\s*([^,\s]+)", found[1]))
    kept = ", ".join(f"{name} = {value}" for name, value in _known(settings).items())
    return f" SETTINGS {kept} " if kept else " "


def main() -> None:
    host, port, folder, name, password, *servers = sys.argv[1:]
    serve((host, int(port)), User(name, password), Proxy(Path(folder), servers))


if __name__ == "__main__":
    main()
