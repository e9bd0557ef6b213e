"""The certificates of a client: those that it trusts, and its own."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from kscope.errors import UsageError


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
        for file in self._files():
            _check_readable(file)
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

    def state(self) -> tuple[tuple[int, int], ...]:
        """Return a value that changes with the files."""
        return tuple(map(_state_of, self._files()))

    def _files(self) -> list[Path]:
        return [file for file in (self.ca_file, self.certificate, self.key) if file is not None]


def _check_readable(file: Path) -> None:
    try:
        with file.open("rb"):
            return
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None


def _state_of(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return found.st_ino, found.st_mtime_ns


def _no_password() -> str:
    # OpenSSL would ask at the terminal.
    raise ValueError
