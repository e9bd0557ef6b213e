"""A server that starts before its database does: it answers, and waits."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from kscope.declare.model import Catalog
from kscope.server.http.problems import problem
from kscope.server.ingest.live_catalog import LiveCatalog
from kscope.store.backends.errors import StoreAway, StoreBusy
from kscope.store.open import backend_of
from kscope.store.store import Store
from kscope.store.write.cardinality import Limits, NewTexts

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kscope.config import Settings

_FIRST_PAUSE = 1
_LONGEST_PAUSE = 15

log = logging.getLogger(__name__)


class ReplaceableApp:
    """One listener's application. Until there is one, everybody is told to come later."""

    def __init__(self) -> None:
        self.app: ASGIApp = _later

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def open_when_ready(settings: Settings) -> tuple[Store, LiveCatalog]:
    """Ask until the database answers: it may start later than we do. Raises what is final."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return await _opened(settings)
        except (StoreAway, StoreBusy) as error:
            log.warning("%s; asked again in %d s", error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def _opened(settings: Settings) -> tuple[Store, LiveCatalog]:
    limits = Limits(NewTexts(settings.new_stacks_per_hour), NewTexts(settings.new_strings_per_hour))
    store = Store(backend_of(settings), Catalog(()), settings.query_deadline, limits)
    await store.connect()
    try:
        live = LiveCatalog(settings.categories, store)
        await live.begin()
    except BaseException:
        await store.close()
        raise
    return store, live


async def _later(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/healthz":
        # The process is well: to start it anew would help nobody.
        await PlainTextResponse("ok\n")(scope, receive, send)
        return
    answer = problem(
        503, "the server waits for its database", headers={"Retry-After": str(_FIRST_PAUSE)}
    )
    await answer(scope, receive, send)
