"""The tokens that a server accepts: of its configuration, and of a file as it is now."""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from kscope.config import Settings, Token, load_tokens
from kscope.errors import DeclarationError
from kscope.server.http.watch import Watch

log = logging.getLogger(__name__)


def new_token() -> str:
    """Return a new token of 256 random bits, for which one round of SHA-256 is hash enough."""
    return f"kscope_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


@dataclass
class Tokens:
    """The tokens that are declared. A file of tokens is read again once it has changed."""

    fixed: Sequence[Token] = ()
    file: Path | None = None
    _listed: Sequence[Token] = ()
    _watch: Watch | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Tokens":
        """Return those of a server that starts. Raises DeclarationError."""
        found = cls(settings.tokens, settings.tokens_file)
        if found.file is not None:
            found._watch = Watch([found.file])
            found._listed = load_tokens(found.file)
        return found

    @property
    def are_required(self) -> bool:
        """Return whether requests need one. A file without tokens lets none pass."""
        return bool(self.fixed) or self.file is not None

    @property
    def declared(self) -> Sequence[Token]:
        """Return those of the configuration and of the file, also those that have expired."""
        return (*self.fixed, *self._listed)

    def grant(self, scope: str) -> bool:
        """Return whether a token has the scope."""
        return any(token.may(scope) for token in self.declared)

    def matching(self, text: str) -> list[Token]:
        """Return the declared tokens with this text, also those that have expired."""
        given = token_hash(text)
        return [each for each in self.declared if hmac.compare_digest(each.sha256, given)]

    async def watch(self) -> None:
        """Read the file again whenever it changes, as long as the server runs.

        From a file that is missing or faulty no token is taken away: its author may be writing it.
        """
        if self.file is not None and self._watch is not None:
            async for _ in self._watch.changes():
                await self._read(self.file)

    async def _read(self, file: Path) -> None:
        try:
            found = await asyncio.to_thread(load_tokens, file)
        except DeclarationError as error:
            log.error("the tokens stay as they were: %s", error)  # noqa: TRY400 - a mistake in a file
            return
        before = {token.name for token in self._listed}
        names = {token.name for token in found}
        self._listed = found
        for text, changed in (("new", names - before), ("revoked", before - names)):
            if changed:
                log.info("%s: %s: %s", file.name, text, ", ".join(sorted(changed)))


def has_expired(token: Token) -> bool:
    return token.expires is not None and token.expires <= time.time()
