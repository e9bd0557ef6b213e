"""Send rows to a server: `Logger` for scripts, `Sender` and `Endpoint` for the agent.

from kscope.client import Logger

with Logger("http://127.0.0.1:8081") as log:
    log("cpu", process="mysqld", usage=0.7)

Standard library only. A `payload` waits in a `payload_store` (memory, or `spool`) until `sender`
has sent it through an `endpoint`, whose reply `answers` judges; `retry` has the pauses.
`bcc_tables` reads the tables of bcc's tools.
"""

from kscope.client.bcc_tables import address, histogram, histograms, kernel_time, stack
from kscope.client.logger import Logger
from kscope.errors import KscopeError

# `packaging/kscope_logger.py` is made of these and of all that they use.
__all__ = ["KscopeError", "Logger", "address", "histogram", "histograms", "kernel_time", "stack"]
