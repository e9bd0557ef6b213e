"""Headers for bcc's own tools, in place of the kernel's headers package: from the kernel's BTF.

In a guest it is a program: python bcc_headers.py FOLDER
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from kscope.agent.host.header_tree import struct_headers

# Headers that the tools include and our probes do not. BTF has their structs, but no macros.
_MORE = ("uapi/linux/bpf_perf_event.h",)
_MACROS = """
#define CONFIG_ARCH_HAS_SYSCALL_WRAPPER 1
#define PAGE_OFFSET 0xffff888000000000UL
#define DISK_NAME_LEN 32
"""


def headers(made: Path) -> Path:
    """Make the folder, for BCC_KERNEL_SOURCE, and return it."""
    shutil.copytree(struct_headers(), made)
    for name in _MORE:
        path = made / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#include <linux/kconfig.h>\n")
    with (made / "include/linux/kconfig.h").open("a") as file:
        file.write(_MACROS)
    return made


if __name__ == "__main__":
    headers(Path(sys.argv[1]))
