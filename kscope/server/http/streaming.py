"""Answers that are sent while they are read."""

import logging

from starlette.responses import StreamingResponse
from starlette.types import Send

from kscope.store.backends.errors import StoreError

log = logging.getLogger(__name__)


class Streamed(StreamingResponse):
    """If the database fails in the middle, the connection ends, so no reader takes it as whole."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except StoreError as error:
            log.warning("an answer ended before its last row: %s", error)
