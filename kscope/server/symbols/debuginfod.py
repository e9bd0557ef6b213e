"""Files of debuginfod servers, by build id (https://sourceware.org/elfutils/Debuginfod.html).

The servers are an operator's choice, and yet not trusted: the time and the size of an answer are
bounded, and redirections stay with the server. HTTP/1.0, whose bodies have no chunks, needs no
library.
"""

import asyncio
import functools
import http.client
import io
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import SplitResult, urljoin, urlsplit

from kscope import __version__
from kscope.errors import KscopeError, printable

# Of one file, from the first connection to the last byte.
SECONDS = 600.0
# Of these, for the connection, with TLS.
CONNECT_SECONDS = 20.0
_MAX_HEAD = 64 * 1024
_AT_ONCE = 256 * 1024
_MOST_REDIRECTIONS = 3
_MOVED = (301, 302, 303, 307, 308)
_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})")


class DownloadError(KscopeError):
    """A server that does not give a file, for another reason than that it has none."""


class UnreachableError(DownloadError):
    """A server with which there is no connection."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: asyncio.StreamReader


async def download(url: str, file: IO[bytes], most: int) -> bool:
    """Write the answer's body to the file; return False if the server has no such file.

    Raise UnreachableError, or DownloadError if there is no good answer within SECONDS, or one of
    more than `most` bytes.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _download(urlsplit(url), file, most, _MOST_REDIRECTIONS)
    except TimeoutError:
        raise DownloadError(f"took longer than {SECONDS:g} s") from None
    # Before ValueError, which it is, too.
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(f"has no valid certificate: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise UnreachableError(f"has no valid TLS: {error.reason}") from None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        raise DownloadError("does not answer in HTTP") from None
    except OSError as error:
        raise UnreachableError(f"cannot be reached: {error.strerror or error}") from None


async def _download(url: SplitResult, file: IO[bytes], most: int, redirections: int) -> bool:
    async with _asked(url) as answer:
        if answer.status == 404:
            return False
        if answer.status == 200:
            await _save(answer, file, most)
            return True
        if answer.status not in _MOVED or not redirections:
            raise DownloadError(f"answers with status {answer.status}")
        following = urlsplit(urljoin(url.geturl(), answer.headers.get("location", "")))
    _check_redirection(url, following)
    return await _download(following, file, most, redirections - 1)


def _check_redirection(url: SplitResult, following: SplitResult) -> None:
    """Raise DownloadError if it leads to another server, or from HTTPS to HTTP."""
    is_better = (url.scheme, following.scheme) == ("http", "https")
    if following.scheme != url.scheme and not is_better:
        raise DownloadError(f"redirects to '{printable(following.scheme)}:'")
    is_there = following.hostname == url.hostname and (is_better or _port(following) == _port(url))
    if not is_there:
        raise DownloadError(f"redirects to another server, '{printable(following.netloc)}'")


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _connected(url: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not url.hostname:
        raise DownloadError("has an address without a host")
    # To read the certificates of all authorities takes 50 ms.
    context = await asyncio.to_thread(_tls) if url.scheme == "https" else None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_connection(
                url.hostname, _port(url), ssl=context, limit=_MAX_HEAD
            )
    except TimeoutError:
        raise UnreachableError(f"cannot be reached within {CONNECT_SECONDS:g} s") from None


@asynccontextmanager
async def _asked(url: SplitResult) -> AsyncIterator[_Answer]:
    reader, writer = await _connected(url)
    try:
        path = f"{url.path}?{url.query}" if url.query else url.path
        request = (
            f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\nUser-Agent: kscope/{__version__}\r\n\r\n"
        )
        writer.write(request.encode("ascii"))
        first, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        status = _STATUS.match(first)
        if status is None:
            raise ValueError(first)
        headers = http.client.parse_headers(io.BytesIO(rest))
        yield _Answer(int(status[1]), {k.lower(): v for k, v in headers.items()}, reader)
    except http.client.HTTPException:
        raise DownloadError("does not answer in HTTP") from None
    finally:
        writer.transport.abort()


async def _save(answer: _Answer, file: IO[bytes], most: int) -> None:
    if {"transfer-encoding", "content-encoding"} & answer.headers.keys():
        raise DownloadError("answers in an encoding that was not asked for")
    given = answer.headers.get("content-length")
    length = None if given is None else int(given)
    written = 0
    while length is None or written < length:
        if (length or written) > most:
            raise DownloadError(f"has a file of more than {most >> 20} MiB")
        piece = await answer.body.read(_AT_ONCE)
        if not piece:
            break
        await asyncio.to_thread(file.write, piece)
        written += len(piece)
    if length is not None and written != length:
        raise DownloadError(f"sent {written} of {length} bytes")
