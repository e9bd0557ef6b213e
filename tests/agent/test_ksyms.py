"""Names of the kernel's functions while modules come and go, and on kernels that hide them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kscope.agent.host import ksyms
from kscope.errors import KscopeError

CORE = "ffffffff81000000 T first\n"
MODULE = "ffffffff81000100 t of_module\t[some]\n"
HIDDEN = "0000000000000000 T first\n0000000000000000 T second\n"
IN_MODULE = 0xFFFFFFFF81000104
SOME = "some 4096 {uses} - Live 0xffffffff81000100\n"


class Kernel:
    """Files in place of the kernel's, and how often the larger one is read."""

    def __init__(self, folder: Path) -> None:
        self.symbols, self.modules = folder / "kallsyms", folder / "modules"
        self.symbols.write_text(CORE)
        self.modules.write_text("")
        self.reads = 0


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path)
    read = ksyms._read

    def counted(path: Path) -> tuple:
        kernel.reads += 1
        return read(path)

    monkeypatch.setattr(ksyms, "KALLSYMS", kernel.symbols)
    monkeypatch.setattr(ksyms, "MODULES", kernel.modules)
    monkeypatch.setattr(ksyms, "_read", counted)
    return kernel


def test_a_module_that_is_loaded_later_has_its_own_names(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its addresses may be near those of others. How often it is used changes nothing."""
    names = ksyms.KernelNames()
    assert names.function(IN_MODULE) == "first"
    kernel.symbols.write_text(CORE + MODULE)
    kernel.modules.write_text(SOME.format(uses=1))
    assert names.function(IN_MODULE) == "first"  # read less than a minute ago
    monkeypatch.setattr(ksyms.KernelNames, "_REREAD", -1.0)
    assert names.function(IN_MODULE) == "of_module"
    kernel.modules.write_text(SOME.format(uses=2))
    assert names.function(IN_MODULE) == "of_module"
    assert kernel.reads == 2


def test_a_bpf_program_that_is_loaded_later_has_its_own_name(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = "bpf_prog_0123456789abcdef_old", "bpf_prog_fedcba9876543210_new"
    kernel.symbols.write_text(f"{CORE}ffffffff81000080 t {old}\t[bpf]\n")
    names = ksyms.KernelNames()
    assert names.function(IN_MODULE) == old
    with kernel.symbols.open("a") as file:
        file.write(f"ffffffff81000100 t {new}\t[bpf]\n")
    assert names.function(IN_MODULE) == old  # read less than a minute ago
    monkeypatch.setattr(ksyms.KernelNames, "_REREAD", -1.0)
    assert names.function(IN_MODULE) == new


def test_a_kernel_that_hides_its_addresses_leaves_functions_nameless(kernel: Kernel) -> None:
    """A column with `as: ksym` is refused; a stack is of use. The file is not read each time."""
    kernel.symbols.write_text(HIDDEN)
    names = ksyms.KernelNames()
    assert {names.function(0xFFFFFFFF81000000 + at) for at in range(9)} == {""}
    assert kernel.reads == 1
    with pytest.raises(KscopeError, match="does not show addresses"):
        names.load()


def test_names_stay_when_the_kernel_begins_to_hide_its_addresses(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ksyms.KernelNames()
    names.load()
    monkeypatch.setattr(ksyms.KernelNames, "_REREAD", -1.0)
    kernel.symbols.write_text(HIDDEN)
    assert names(7) == "0x7"
    assert names(0xFFFFFFFF81000000) == "first"
