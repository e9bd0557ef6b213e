"""Numbers of a program become values of columns."""

from __future__ import annotations

from kscope.agent.host.syscalls import names, syscall_name
from kscope.agent.rows.decode import DECODERS, container_name
from kscope.declare.files import shapes as metaschema


def test_every_declared_word_can_be_decoded() -> None:
    """A category may name after `as:` exactly the decodings that the agent knows."""
    assert set(DECODERS) == set(metaschema.DECODES)


def test_a_container_has_a_short_name() -> None:
    """A cgroup path that ends in a container's id becomes the runtime and the id's beginning."""
    digits = "0123456789abcdef" * 4
    assert container_name(f"/system.slice/docker-{digits}.scope") == "docker:0123456789ab"
    assert container_name(f"/docker/{digits}") == "docker:0123456789ab"
    assert (
        container_name(f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{digits}.scope")
        == "cri-containerd:0123456789ab"
    )
    assert container_name("/system.slice/ssh.service") == "/system.slice/ssh.service"


def test_signals_errors_and_devices_have_words() -> None:
    """Numbers without a word stay numbers."""
    assert DECODERS["signal"](9) == "SIGKILL"
    assert DECODERS["signal"](40).startswith("SIGRTM")
    assert DECODERS["signal"](999) == "999"
    assert DECODERS["errno"](-2) == "ENOENT"
    assert DECODERS["errno"](0) == ""
    assert DECODERS["device"](4095 << 20 | 7) == "4095:7"
    assert DECODERS["user"](0) == "root"


def test_arguments_read_as_a_shell_would() -> None:
    """The separator stands between words; words with blanks are quoted."""
    assert DECODERS["arguments"](b"/bin/sh\x1f-c\x1fecho hi\x1f") == "/bin/sh -c 'echo hi'"
    assert DECODERS["arguments"](b"") == ""


def test_system_calls_have_their_own_names_per_architecture() -> None:
    """Old calls differ between architectures, new ones do not, the newest stay numbers."""
    assert (names("x86_64")[257], names("aarch64")[56]) == ("openat", "openat")
    assert names("x86_64")[437] == names("aarch64")[437] == "openat2"
    assert syscall_name(100_000) == "100000"
