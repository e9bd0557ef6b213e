"""The routes of the receivers that kernelscope.yaml switches on."""

import logging
from collections.abc import Callable, Mapping

from starlette.routing import Route

from kscope.config import ReceiverSettings, ReceiveSettings
from kscope.declare.model import Catalog
from kscope.server.http.metrics import ReceiveCounts
from kscope.server.ingest.routes import Ingest
from kscope.server.receive.intake import Intake
from kscope.server.receive.otlp import otlp_routes
from kscope.server.receive.pyroscope import pyroscope_routes

log = logging.getLogger(__name__)

# By the name of the protocol, which is that of its settings.
RECEIVERS: Mapping[str, Callable[[Intake], list[Route]]] = {
    "otlp": otlp_routes,
    "pyroscope": pyroscope_routes,
}


def _announce(protocol: str, catalog: Catalog) -> None:
    taken = [c.table for c in catalog.stored if protocol in {each.protocol for each in c.receive}]
    if taken:
        log.info("profiles of %s become rows of %s", protocol, ", ".join(taken))
    else:
        log.warning("no category has `receive: {%s: ...}`: its profiles are refused", protocol)


def receiver_routes(
    ingest: Ingest, settings: ReceiveSettings, counts: ReceiveCounts
) -> list[Route]:
    """Return the routes of all protocols that have settings."""
    routes = []
    for protocol, make in RECEIVERS.items():
        own: ReceiverSettings | None = getattr(settings, protocol)
        if own is not None:
            routes += make(Intake(protocol, ingest, own, counts))
            _announce(protocol, ingest.live.catalog)
    return routes
