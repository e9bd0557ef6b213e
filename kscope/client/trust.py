"""The certificates of a client: those that it trusts, and its own."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from kscope.errors import UsageError
from kscope.files import UnreadableError, check_readable, state_of


@dataclass(frozen=True)
class Trust:
    """Files in PEM. Without `ca_file` the system's certificates are trusted, or SSL_CERT_FILE's.

    `certificate` and `key` are the client's own, for a server that asks for one.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context of the files as they are now. Raises UsageError."""
        try:
            for file in self._files():
                check_readable(file)
        except UnreadableError as error:
            raise UsageError(str(error)) from None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except ssl.SSLError:
            raise UsageError(f"{self.ca_file}: has no certificates in PEM") from None
        if self.certificate is not None:
            self._present(self.certificate, context)
        return context

    def _present(self, certificate: Path, context: ssl.SSLContext) -> None:
        key = self.key or certificate
        try:
            context.load_cert_chain(certificate, key, _no_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise UsageError(f"{key}: is not the key of {certificate}") from None
            raise UsageError(f"{certificate}, {key}: no certificate and key in PEM") from None
        except ValueError:
            raise UsageError(f"{key}: has a password; an agent's key has none") from None

    def state(self) -> tuple[tuple[int, ...], ...]:
        """Return a value that changes with the files."""
        return tuple(map(state_of, self._files()))

    def _files(self) -> list[Path]:
        return [file for file in (self.ca_file, self.certificate, self.key) if file is not None]


def _no_password() -> str:
    # OpenSSL would ask at the terminal.
    raise ValueError
