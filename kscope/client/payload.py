"""One request as it is sent (body, key, headers), and its parts if rows are refused."""

import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from kscope.client.columns import in_columns, in_rows
from kscope.client.encoding import UnreadableBodyError, decode, encode


@dataclass(frozen=True, slots=True)
class Payload:
    """The rows of one table as a request body, and the key under which it is stored once.

    `number` counts arrivals in a store.
    """

    table: str
    key: str
    rows: int
    body: bytes
    encoding: str
    number: int = 0

    @property
    def size(self) -> int:
        return len(self.body)

    def payload(self) -> "Payload":
        """Return itself, as an entry of a store whose body is in memory."""
        return self

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        return {self.table: self.rows} if self.rows else {}

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of the request. A server stores one key of a host once."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": self.key}
        return headers | ({"Content-Encoding": self.encoding} if self.encoding else {})

    @classmethod
    def of(cls, table: str, body: Mapping[str, Any], key: str = "") -> "Payload":
        """Return the payload of a body with rows, which it has as columns if they are many."""
        sent = encode(dict(in_columns(body, table)))
        return cls(table, key or uuid.uuid4().hex, len(body[table]), *sent)

    def content(self) -> Mapping[str, Any]:
        """Return the body, with its rows as rows. Raises UnreadableBodyError."""
        return _with_rows(decode(self.body, self.encoding), self.table)

    def as_rows(self) -> "Payload | None":
        """Return the payload with rows in place of columns, under the same key; None if it has
        rows, or cannot be read here.
        """
        try:
            body = decode(self.body, self.encoding)
            content = _with_rows(body, self.table)
        except UnreadableBodyError:
            return None
        if content is body:
            return None
        sent, encoding = encode(dict(content))
        return replace(self, body=sent, encoding=encoding)

    def rest(self, bad: Collection[int]) -> "Payload":
        """Return a payload without the rows at these places.

        Its key is derived from this one's, so the same part, made twice, is stored once.
        """
        return self._part(bad, "rest", keep=False)

    def only(self, bad: Collection[int]) -> "Payload":
        """Return a payload of the rows at these places."""
        return self._part(bad, "only", keep=True)

    def _part(self, places: Collection[int], name: str, *, keep: bool) -> "Payload":
        body = {**self.content()}
        rows = [r for i, r in enumerate(body[self.table]) if (i in places) is keep]
        seed = f"{self.key} {name} {sorted(places)}".encode()
        key = blake2b(seed, digest_size=16).hexdigest()
        return Payload.of(self.table, body | {self.table: rows}, key)


@dataclass(frozen=True, slots=True)
class Spooled:
    """One payload that waits on disk; its body is read when it is sent. `since` is its arrival by
    the monotonic clock: a wall clock that is corrected must not make payloads old.
    """

    path: Path
    number: int
    table: str
    key: str
    rows: int
    encoding: str
    size: int
    since: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.since

    def body(self) -> bytes:
        return self.path.read_bytes()

    def payload(self) -> Payload:
        """Return the payload. Raises OSError."""
        return Payload(self.table, self.key, self.rows, self.body(), self.encoding)


def _with_rows(body: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    """Return the body with its rows as rows. Raises UnreadableBodyError."""
    try:
        found = in_rows(body, table)
    except Exception as error:  # noqa: BLE001 - a damaged body may break in any way
        raise UnreadableBodyError(f"{type(error).__name__}: {error}") from None
    rows = found.get(table)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnreadableBodyError(f"it has no rows of {table}")
    return found
