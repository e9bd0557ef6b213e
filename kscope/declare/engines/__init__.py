"""One file per engine: the keys that a category can use with it, and the class that runs it."""

from collections.abc import Mapping

from kscope.declare.engines.base import ProbeEngine
from kscope.discovery import discovered

ENGINES: Mapping[str, ProbeEngine] = discovered(__name__, __path__, "ENGINES")
