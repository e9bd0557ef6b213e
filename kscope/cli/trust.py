"""The files of TLS in the configuration, for connections to the ingest listener."""

from kscope.client.trust import Trust
from kscope.config import AgentSettings


def trust_of(settings: AgentSettings) -> Trust:
    return Trust(settings.ca_file, settings.certificate, settings.key)
