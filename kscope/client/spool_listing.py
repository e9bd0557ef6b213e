"""Batches that wait in a spool or are set aside, for `kscope spool` to list, send and drop."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kscope.client.encoding import decode
from kscope.client.payload import Spooled
from kscope.client.spool import REASON, REFUSED, waiting
from kscope.client.spool_lock import try_lock
from kscope.errors import KscopeError

_DECODE_MOST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """One batch; `name` is its path below the spool, `server` that of its folder.

    `busy`: an agent runs on the folder, and sends its waiting batches itself.
    """

    name: str
    entry: Spooled
    server: str
    aside: bool
    busy: bool

    @property
    def locked(self) -> bool:
        return self.busy and not self.aside

    def reason(self) -> str:
        """Return why it is set aside, else an empty text."""
        file = self.entry.path.with_name(self.entry.path.name + REASON)
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def envelope(self) -> tuple[str, str]:
        """Return the host and the time of its rows, empty if they cannot be read."""
        try:
            if self.entry.size > _DECODE_MOST:
                return "", ""
            body = decode(self.entry.body(), self.entry.encoding)
            return str(body.get("hostname", "")), str(body.get("time", ""))
        except Exception:  # noqa: BLE001 - a broken file may break in any way
            return "", ""


def kept(root: Path) -> Iterator[Kept]:
    """Yield every batch below a spool, oldest first in each folder. The folder stays locked for so
    long, so that no agent starts on it. Raises KscopeError.
    """
    try:
        for lock in sorted(root.glob("*/*/lock")):
            folder = lock.parent
            held = try_lock(folder)
            try:
                for place in filter(Path.is_dir, (folder, folder / REFUSED)):
                    for entry in waiting(place):
                        name = entry.path.relative_to(root).as_posix()
                        yield Kept(name, entry, folder.parent.name, place != folder, held is None)
            finally:
                if held is not None:
                    os.close(held)
    except OSError as error:
        raise KscopeError(f"spool {error.filename or root}: {error.strerror}") from None
