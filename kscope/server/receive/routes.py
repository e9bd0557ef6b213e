"""The routes of the receivers that kernelscope.yaml switches on."""

import logging
from collections.abc import Callable, Mapping

from starlette.routing import Route

from kscope.config import ReceiverSettings, ReceiveSettings
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


def receiver_routes(
    ingest: Ingest, settings: ReceiveSettings, counts: ReceiveCounts
) -> list[Route]:
    """Return the routes of all protocols that have settings."""
    routes = []
    for protocol, make in RECEIVERS.items():
        own: ReceiverSettings | None = getattr(settings, protocol)
        if own is not None:
            routes += make(Intake(protocol, ingest, own, counts))
            log.info("profiles of %s are taken in", protocol)
    return routes
