"""Fields that each line of the log has while a request is answered, such as its id.

They belong to the task that answers the request, and to the tasks and threads that it starts.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_NONE: Mapping[str, str] = {}
_FIELDS: ContextVar[Mapping[str, str]] = ContextVar("log fields", default=_NONE)


def fields() -> Mapping[str, str]:
    """Return the fields of now, by name."""
    return _FIELDS.get()


@contextmanager
def with_fields(**more: str) -> Iterator[None]:
    """Add fields for the time of the block."""
    before = _FIELDS.set({**_FIELDS.get(), **more})
    try:
        yield
    finally:
        _FIELDS.reset(before)


def add_field(name: str, value: str) -> None:
    """Add a field until the end of the present block."""
    _FIELDS.set({**_FIELDS.get(), name: value})
