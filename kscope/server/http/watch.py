"""Files that are read again when they change."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from kscope.files import state_of

_LOOK_SECONDS = 1.0

# Of each file the device, inode, size and time; none if there is no such file.
_State = tuple[tuple[int, ...], ...]


class Watch:
    """Create it before the files are read for the first time: no change is then missed."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._state = self._now()

    async def changes(self) -> AsyncIterator[None]:
        """Yield each time that a file has changed, within a second or two."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            state = await asyncio.to_thread(self._now)
            if state != self._state:
                self._state = state
                yield

    def _now(self) -> _State:
        return tuple(map(state_of, self._files))
