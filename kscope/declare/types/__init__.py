"""One file per family of column types: everything that a type does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kscope.discovery import discovered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kscope.declare.types.base import ColumnType

TYPES: Mapping[str, ColumnType] = discovered(__name__, __path__, "TYPES")
