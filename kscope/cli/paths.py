"""Paths that a user names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kscope.config import checked_path
from kscope.errors import UsageError, ValueFaultError

if TYPE_CHECKING:
    from collections.abc import Iterable


def category_folders(given: Iterable[str]) -> tuple[Path, ...]:
    """Return the folders of `--categories`. Raises UsageError."""
    return tuple(file_path("--categories", each) for each in given)


def file_path(option: str, given: str) -> Path:
    """Return the path; UsageError if it is an address, which may hold a password."""
    try:
        return Path(checked_path(given))
    except ValueFaultError as error:
        raise UsageError(f"{option}: {error.fault}") from None
