"""Errors of a store, by type."""

from kscope.errors import KscopeError

# The public text of an error whose details only the log may show.
FAILED = "the database failed; the server's log says why"


class StoreError(KscopeError):
    """The database cannot do it now; the text says what a person can do about it.

    The text is for the log and the terminal. `public` is for answers, which people without a token
    may see: it contains no path, host or user.
    """

    retry_after = 10
    # For the counts of refusals.
    reason = "database"
    # The store has logged it already, once.
    logged = False

    def __init__(self, message: str, *, public: str = "") -> None:
        super().__init__(message)
        self.public = public or message


class StoreFault(StoreError):  # noqa: N818
    """The database cannot be written until a person acts; /readyz reports it too."""


class StoreDamaged(StoreFault):
    """A part of the database is damaged; writes to other parts can still succeed."""


class StoreMoved(StoreFault):
    """The database file is not where it was opened."""

    logged = True


class StoreBusy(StoreError):  # noqa: N818
    """Try again after `retry_after` seconds."""

    reason = "busy"

    def __init__(self, message: str, retry_after: int = 1, *, public: str = "") -> None:
        super().__init__(message, public=public)
        self.retry_after = retry_after


class WriteConflict(StoreBusy):
    """A concurrent transaction conflicted, and this one was rolled back: repeat it."""


class StoreAway(StoreError):  # noqa: N818
    """The database does not answer; it may still be starting."""


class BatchRefused(StoreError):  # noqa: N818
    """The database never accepts this batch; do not send it again."""


class QueueFull(StoreBusy):
    """Too many rows wait for a commit."""

    reason = "full queue"


class BatchInDoubt(StoreBusy):
    """The batch may be stored, or be about to be: send it again later."""

    reason = "in doubt"

    def __init__(self, seconds: int) -> None:
        text = "an earlier attempt to store this batch may still run: send it again later"
        super().__init__(text, retry_after=seconds)


class StaleDeclaration(StoreBusy):
    """The batch was checked against a declaration that has changed since."""

    reason = "declaration"


class QueryTimeout(StoreError):  # noqa: N818
    """A statement was cancelled at its deadline."""

    reason = "deadline"


class NoReader(StoreBusy):
    """Every read-only connection was busy until the deadline."""

    def __init__(self) -> None:
        super().__init__("other questions use every reader: ask again later", retry_after=5)
