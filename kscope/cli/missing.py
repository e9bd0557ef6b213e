"""Commands whose libraries are not installed: which package brings them."""

from kscope.errors import UsageError

# By the name that Python imports: the libraries of the extra `server` in pyproject.toml.
SERVER = frozenset(
    {
        *("aiosqlite", "databases", "httptools", "jsonschema_rs", "msgspec", "re2", "sqlalchemy"),
        *("starlette", "uvicorn"),
    }
)


def explained(error: ModuleNotFoundError) -> UsageError | None:
    """Return the words for a library of the server that is not installed; None for others."""
    library = (error.name or "").partition(".")[0]
    if library not in SERVER:
        return None
    return UsageError(
        f"this command needs the server's libraries, and {library} is not installed: install the"
        " Debian package kernelscope-server, or `pip install 'kernelscope[server]'`"
    )
