"""The whole measure of "What changed here?", from readings to ranked findings."""

from collections.abc import Sequence

from kscope.query.changes.finding import Finding
from kscope.query.changes.reading import Host, Reading


def changes(readings: Sequence[Reading], hosts: Sequence[Host] = ()) -> list[Finding]:
    """Return the changes, the unusual ones first, the weightiest first among them."""
    del readings, hosts
    return []
