"""The listeners' TLS: contexts of the certificate as its files are now."""

import asyncio
import logging
import ssl
from asyncio import sslproto
from pathlib import Path

from kscope.config import TlsSettings
from kscope.errors import KscopeError
from kscope.files import check_readable
from kscope.server.http.watch import Watch

# Seconds in which a client has to begin TLS, and to end it: one that takes nothing ends before.
HANDSHAKE_SECONDS = 10.0
SHUTDOWN_SECONDS = 60.0
# asyncio reserves this for each connection, by default 256 KiB: a TLS record with its frame fits.
sslproto.SSLProtocol.max_size = 20 * 1024

log = logging.getLogger(__name__)


class Certificates:
    """The contexts of the listeners. A certificate that was renewed counts for new connections."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raise KscopeError if the files are not a certificate and its key."""
        self._settings = settings
        files = (settings.certificate, settings.key, settings.client_ca)
        self._watch = Watch([file for file in files if file is not None])
        self._contexts = _contexts(settings)

    def context(self, listener: str) -> ssl.SSLContext:
        return self._contexts[listener]

    async def watch(self) -> None:
        """Read the files again when they change. Faulty ones change nothing, and are logged."""
        async for _ in self._watch.changes():
            try:
                self._contexts = await asyncio.to_thread(_contexts, self._settings)
            except KscopeError as error:
                log.error("the certificate stays as it was: %s", error)  # noqa: TRY400 - a file's
            else:
                log.info("the certificate was read again: %s", self._settings.certificate.name)


def _contexts(settings: TlsSettings) -> dict[str, ssl.SSLContext]:
    return {
        # People have no certificates: agents alone.
        "read": _context(settings, None),
        "ingest": _context(settings, settings.client_ca),
    }


def _context(settings: TlsSettings, client_ca: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    for file in (settings.certificate, settings.key):
        check_readable(file)
    try:
        context.load_cert_chain(settings.certificate, settings.key, _no_password)
    except ssl.SSLError as error:
        raise KscopeError(_fault(settings, error)) from None
    except ValueError:
        raise KscopeError(f"{settings.key}: has a password; a server's key has none") from None
    if client_ca is not None:
        check_readable(client_ca)
        try:
            context.load_verify_locations(client_ca)
        except ssl.SSLError:
            raise KscopeError(f"{client_ca}: has no certificates in PEM") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    # OpenSSL would ask at the terminal.
    raise ValueError


def _fault(settings: TlsSettings, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{settings.key}: is not the key of {settings.certificate}"
    return f"{settings.certificate}, {settings.key}: are not a certificate and its key in PEM"
