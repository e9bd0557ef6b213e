"""Texts of a question about many tables, which share their hosts, processes and labels."""

from collections.abc import Collection, Mapping
from typing import Any

from kscope.declare.model import Column
from kscope.declare.types.base import Role, Storage
from kscope.query.scan.labels import frames, labels
from kscope.store.reader import Reader


class Names:
    """Reads each text that several tables have once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._texts: dict[Any, str] = {}

    async def of(self, column: Column, wanted: Collection[Any]) -> Mapping[Any, Any]:
        """Return the text of each value as it is stored, and of a stack its frames."""
        if column.type.role is Role.STACK:
            return await frames(self._reader, wanted)
        if column.type.storage is not Storage.STRING_ID:
            return await labels(self._reader, column, wanted)
        missing = [key for key in wanted if key not in self._texts]
        if missing:
            self._texts |= await labels(self._reader, column, missing)
        return self._texts
