"""A request body decoded without the server's queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kscope.server.ingest.decode import Form

if TYPE_CHECKING:
    from kscope.server.ingest.decode import Decoder
    from kscope.store.write.batch import Batch


def decoded(decoder: Decoder, text: bytes, now: int, form: Form = Form.JSON) -> Batch:
    """Return the batch, after all steps. Raises HttpProblem 400, 413 or 422."""
    steps = decoder.steps(text, now, form=form)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            batch: Batch = end.value
            return batch
