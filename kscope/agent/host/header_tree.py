"""The header tree that bcc compiles against, so that no kernel headers package is needed.

Tracepoint arguments come from tracefs and helper prototypes from bcc itself; what is left of
`linux/*.h` is a handful of types. Programs that read kernel structs must not use these stubs:
see `struct_headers`.
"""

import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from kscope.agent.host import kernel
from kscope.errors import KscopeError

_TYPES = """
#pragma once
typedef unsigned char __u8; typedef signed char __s8;
typedef unsigned short __u16; typedef short __s16;
typedef unsigned int __u32; typedef int __s32;
typedef unsigned long long __u64; typedef long long __s64;
typedef __u8 u8; typedef __s8 s8; typedef __u16 u16; typedef __s16 s16;
typedef __u32 u32; typedef __s32 s32; typedef __u64 u64; typedef __s64 s64;
typedef __u16 __le16, __be16, __sum16; typedef __u32 __le32, __be32, __wsum;
typedef __u64 __le64, __be64;
typedef __u64 __aligned_u64 __attribute__((aligned(8)));
typedef __u8 uint8_t; typedef __u16 uint16_t; typedef __u32 uint32_t; typedef __u64 uint64_t;
typedef __s8 int8_t; typedef __s16 int16_t; typedef __s32 int32_t; typedef __s64 int64_t;
typedef _Bool bool; enum { false = 0, true = 1 };
typedef unsigned long size_t; typedef long ssize_t; typedef unsigned long uintptr_t;
typedef int pid_t; typedef unsigned int uid_t, gid_t, dev_t, gfp_t; typedef int clockid_t;
typedef unsigned short umode_t; typedef __u64 sector_t; typedef long long loff_t;
typedef __u64 blkcnt_t; typedef unsigned int blk_opf_t; typedef int key_t; typedef long off_t;
typedef unsigned int fmode_t; typedef unsigned int rwf_t; typedef int rlim_t;
#define __bitwise
#define __user
#define NULL ((void *)0)
#define offsetof(t, m) __builtin_offsetof(t, m)
"""

_REGISTERS = {
    "x86_64": "r15,r14,r13,r12,bp,bx,r11,r10,r9,r8,ax,cx,dx,si,di,orig_ax,ip,cs,flags,sp,ss",
    "aarch64": "regs[31],sp,pc,pstate",
}

# Included by bcc's own headers; nothing in them is needed.
_EMPTY = ("linux/bpf_common.h", "uapi/linux/bpf.h", "uapi/linux/if_packet.h")
_FORWARD = ("sched", "nsproxy", "fs", "blkdev", "blk-mq", "ktime", "time64", "pid_namespace", "tcp")

# bcc's bpf.h is skipped: a BTF dump holds all of it.
_BTF_KCONFIG = """
#pragma once
#define CONFIG_BPF_SYSCALL 1
#define CONFIG_64BIT 1
#define _UAPI__LINUX_BPF_H__ 1
#define __LINUX_BPF_COMMON_H__ 1
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#define BPF_NO_PRESERVE_ACCESS_INDEX
#endif
#include "../vmlinux.h"
#define NULL ((void *)0)
#define offsetof(t, m) __builtin_offsetof(t, m)
#define __user
#define __always_inline inline __attribute__((always_inline))
#define container_of(ptr, type, member) ((type *)((void *)(ptr) - offsetof(type, member)))
static inline struct tcp_sock *tcp_sk(const struct sock *sk) { return (struct tcp_sock *)sk; }
"""


def tracepoint_headers() -> Path:
    """Return the folder for BCC_KERNEL_SOURCE, for programs that do not read kernel structs."""
    files = _common() | {
        "linux/kconfig.h": "#define CONFIG_BPF_SYSCALL 1\n#define CONFIG_64BIT 1\n",
        "linux/types.h": _TYPES,
        "uapi/linux/ptrace.h": _pt_regs(),
        "linux/ptrace.h": "#include <uapi/linux/ptrace.h>\n",
    }
    files |= dict.fromkeys((f"linux/{name}.h" for name in _FORWARD), "#include <linux/types.h>\n")
    files |= dict.fromkeys(_EMPTY, "")
    return _write(files)


def struct_headers() -> Path:
    """Return the same for programs that read kernel structs, from the BTF that the kernel has."""
    forward = "#include <linux/kconfig.h>\n"
    names = ("linux/types.h", "uapi/linux/ptrace.h", "linux/ptrace.h", "uapi/linux/bpf.h")
    files = _common() | dict.fromkeys((*names, "uapi/linux/if_packet.h"), forward)
    files |= dict.fromkeys((f"linux/{name}.h" for name in _FORWARD), forward)
    files |= dict.fromkeys(("net/sock.h", "linux/bpf_common.h"), forward)
    dump = _btf_dump()
    # libbcc may know helpers newer than this kernel; their numbers are a stable interface.
    known = {"cgrp_storage_get": 210, "cgrp_storage_delete": 211}
    files["linux/kconfig.h"] = _BTF_KCONFIG + "".join(
        f"#define BPF_FUNC_{name} {number}\n"
        for name, number in known.items()
        if not re.search(rf"\bBPF_FUNC_{name}\b", dump)
    )
    files["vmlinux.h"] = dump
    return _write(files)


def _btf_dump() -> str:
    bpftool = kernel.program("bpftool")
    if not bpftool:
        raise KscopeError("this probe reads kernel structs: install bpftool (apt install bpftool)")
    command = [bpftool, "btf", "dump", "file", str(kernel.BTF), "format", "c"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def _common() -> dict[str, str]:
    return {
        "linux/log2.h": "#define roundup_pow_of_two(n) "
        "((n) <= 1 ? 1 : 1UL << (64 - __builtin_clzl((n) - 1)))\n",
        "linux/version.h": _version(platform.release()),
        "asm/page.h": "#define PAGE_SHIFT 12\n#define PAGE_SIZE (1UL << PAGE_SHIFT)\n",
    }


def _version(release: str) -> str:
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    major, minor, patch = (int(part or 0) for part in found.groups()) if found else (5, 10, 0)
    return (
        f"#define LINUX_VERSION_CODE {(major << 16) + (minor << 8) + min(patch, 255)}\n"
        "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))\n"
    )


def _pt_regs() -> str:
    registers = _REGISTERS.get(platform.machine())
    if registers is None:
        raise KscopeError(
            f"no register layout for {platform.machine()}: the bcc engine knows "
            + " and ".join(_REGISTERS)
        )
    return f"#pragma once\nstruct pt_regs {{ unsigned long {registers}; }};\n"


def _write(files: dict[str, str]) -> Path:
    """Return a folder with the files, named after their contents; written once, atomically."""
    digest = hashlib.blake2b(repr(sorted(files.items())).encode(), digest_size=8).hexdigest()
    root = cache_folder() / f"headers-{digest}"
    if root.exists():
        return root
    building = Path(tempfile.mkdtemp(dir=root.parent))
    for name, text in files.items():
        path = building / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (building / "include" / "generated" / "uapi" / "linux").mkdir(parents=True)
    try:
        building.rename(root)
    except OSError:  # another agent was first
        shutil.rmtree(building)
    return root


def cache_folder() -> Path:
    """Return systemd's CACHE_DIRECTORY, or the user's cache, or a private folder in /tmp."""
    candidates = [os.environ.get("CACHE_DIRECTORY"), os.environ.get("XDG_CACHE_HOME")]
    home = os.environ.get("HOME")
    candidates.append(f"{home}/.cache" if home else None)
    folders = [Path(candidate) / "kernelscope" for candidate in candidates if candidate]
    folders.append(Path(tempfile.gettempdir()) / f"kernelscope-{os.getuid()}")
    found = next((folder for folder in folders if _is_ours(folder)), None)
    if found is None:
        raise KscopeError(
            f"{folders[-1]}: other users can write to it, and its files are compiled into the "
            "kernel; remove it, or name your own folder in CACHE_DIRECTORY"
        )
    return found


def _is_ours(folder: Path) -> bool:
    """Return whether only we can write to the folder; create it if necessary."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own, above = folder.lstat(), folder.parent.stat()
    except OSError:
        return False
    shared = stat.S_IWGRP | stat.S_IWOTH
    return (
        stat.S_ISDIR(own.st_mode)
        and own.st_uid == os.getuid()
        and not own.st_mode & shared
        and above.st_uid in {0, os.getuid()}
        and (not above.st_mode & shared or bool(above.st_mode & stat.S_ISVTX))
        and os.access(folder, os.W_OK)
    )
