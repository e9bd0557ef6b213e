"""The formats of recordings. A module with a tuple FORMATS is one of `kscope import`."""

from collections.abc import Mapping

from kscope.discovery import discovered
from kscope.readers.reading.base import Format

FORMATS: Mapping[str, Format] = discovered(__name__, __path__, "FORMATS")
