"""The one error of this package."""

from kscope.errors import KscopeError


class ElfError(KscopeError):
    """A file that is not ELF, or is damaged. The message is the fault alone, without the file."""
