"""An answer whose reading fails in the middle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kscope.server.http.streaming import Streamed
from kscope.store.backends.errors import QueryTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


async def pieces() -> AsyncIterator[bytes]:
    yield b"time,process\n"
    raise QueryTimeout("the statement was cancelled at its deadline")


def test_it_is_not_taken_as_whole(caplog: pytest.LogCaptureFixture) -> None:
    """It has no end, so the connection is closed; the log has one line, and no traceback."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    asyncio.run(Streamed(pieces())({"type": "http"}, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
    (record,) = caplog.records
    assert "the statement was cancelled at its deadline" in record.getMessage()
    assert record.exc_info is None
