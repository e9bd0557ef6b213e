"""Payloads that wait in memory, for a process without a spool."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from kscope.client.payload import Payload
from kscope.client.payload_store import PayloadStore


class Memory(PayloadStore[Payload]):
    """`refused` is called with the rows that the server will never store, and the reason."""

    def __init__(self, refused: Callable[[Payload, str], None]) -> None:
        super().__init__()
        self._refused = refused
        self._numbers = count()

    def read(self, entry: Payload) -> Payload:
        return entry

    def refuse(self, entry: Payload, status: int, reason: str) -> None:
        self.done(entry)
        self._set_aside(entry, entry, status, reason)

    def _set_aside(self, entry: Payload, bad: Payload, status: int, reason: str) -> None:
        del entry, status
        self._refused(bad, reason)

    def _add(self, payload: Payload) -> Payload:
        numbered = replace(payload, number=next(self._numbers))
        self._waiting.add(numbered)
        return numbered
