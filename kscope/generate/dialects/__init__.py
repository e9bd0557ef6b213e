"""One file per SQL dialect: everything that a database spells its own way. `DIALECTS` has all."""

from collections.abc import Mapping

from kscope.discovery import discovered
from kscope.generate.dialects.base import Dialect

DIALECTS: Mapping[str, Dialect] = discovered(__name__, __path__, "DIALECTS")
