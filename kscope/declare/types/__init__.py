"""One file per family of column types: everything that a type does."""

from collections.abc import Mapping

from kscope.declare.types.base import ColumnType
from kscope.discovery import discovered

TYPES: Mapping[str, ColumnType] = discovered(__name__, __path__, "TYPES")
