"""Request bodies: compressed JSON."""

import gzip
import json
from datetime import UTC, datetime
from typing import Any

try:  # the server reads both; zstd is smaller and cheaper if it is there
    import zstandard
except ImportError:  # pragma: no cover - depends on the machine
    zstandard = None  # type: ignore[assignment, unused-ignore]


class UnreadableBodyError(ValueError):
    """A body that this machine cannot decode."""


def encode(body: dict[str, Any]) -> tuple[bytes, str]:
    """Return a request body, compressed, and its Content-Encoding."""
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    if zstandard:
        return zstandard.ZstdCompressor(level=3).compress(raw), "zstd"
    return gzip.compress(raw, compresslevel=5), "gzip"


def decode(body: bytes, encoding: str) -> dict[str, Any]:
    """Return the body that `encode` compressed. Raises UnreadableBodyError."""
    if encoding == "zstd" and not zstandard:
        raise UnreadableBodyError("the Python package zstandard is not installed")
    try:
        if encoding == "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        elif encoding == "gzip":
            body = gzip.decompress(body)
        decoded: dict[str, Any] = json.loads(body)
    except Exception as error:  # noqa: BLE001 - a damaged body may break in any way
        raise UnreadableBodyError(f"{type(error).__name__}: {error}") from None
    return decoded


def timestamp(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
