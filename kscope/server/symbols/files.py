"""The function names of ELF files: binaries, libraries, and their debug files."""

from contextlib import closing
from pathlib import Path

from kscope.elf.contents import FileContents
from kscope.elf.errors import ElfError
from kscope.elf.image import Image
from kscope.elf.names import FunctionNames
from kscope.store.symbols.packing import Symbols, packed


class NoNamesError(ElfError):
    """A sound ELF file that has no build id, or no function names."""


def read_symbols(path: Path, file: str, *, is_installed: bool) -> Symbols:
    """Return the function names of an ELF file, as one called `file`.

    An installed file can have its names in the debug file that it links to. Others are in a folder
    where any user can put such a file.

    Raise NoNamesError, ElfError if the file cannot be read or is damaged, or KscopeError if it has
    too many. The message is the fault, without the path.
    """
    with closing(FileContents(path)) as contents:
        image = Image(contents)
        if not image.build_id:
            raise NoNamesError("has no build id: link it with -Wl,--build-id")
        names = FunctionNames(image, str(path) if is_installed else "")
        found = packed(image.build_id, file, names.symbols())
    if not found.functions:
        raise NoNamesError("has no function names: add its debug file")
    return found
