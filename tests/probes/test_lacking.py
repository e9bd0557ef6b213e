"""Probes on kernels without features that are optional for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent.tracing import tracing
from tests.probes.acting import actor
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf


def traced_without(probe: str, lacking: str, action: str, folder: Path) -> tuple[Any, Any]:
    """Return rows and truth of the probe on a kernel without the features in `lacking`."""
    for name in (f"categories/{probe}.yaml", f"probes/{probe}.bpf.c"):
        (folder / name).parent.mkdir()
        text = (ROOT / name).read_text()
        if name.endswith(".yaml"):
            text, found = re.subn(rf'({lacking}: )"?[\w:]+"?', r"\1tracepoint:none:none", text)
            assert found == 1
        (folder / name).write_text(text)
    (folder / "kernelscope.yaml").write_text("categories: [./categories]")
    with (
        actor(action, folder) as acting,
        tracing("--config", folder / "kernelscope.yaml", probe, "--pid", acting.pid) as rows,
    ):
        acting.go()
        truth = acting.truth()
    return rows, truth


def test_oomkill_without_sizes(tmp_path: Path) -> None:
    """Who was killed is known all the same: its name comes from the signal that killed it."""
    (row,), truth = traced_without("oomkill", "HAVE_SIZES", "hunger", tmp_path)
    assert row["pid"] == truth["pid"]
    assert row["process"].startswith("python")
    assert (row["resident"], row["total"]) == (0, 0)


def test_tcplife_without_btf(tmp_path: Path) -> None:
    """Connections without their bytes."""
    rows, truth = traced_without("tcplife", "HAVE_BTF", "connections", tmp_path)
    assert len(rows) == 2 * len(truth)
    assert {(row["sent"], row["received"]) for row in rows} == {(0, 0)}


def test_tcpretrans_without_the_tracepoint_of_sending(tmp_path: Path) -> None:
    """A process that connects is recorded as the owner of its socket."""
    rows, truth = traced_without("tcpretrans", "HAVE_SEND", "lossy", tmp_path)
    assert len(rows) == truth["segments"]


def test_opensnoop_without_the_old_system_call(tmp_path: Path) -> None:
    """Where there is no open, as on arm64, the others are seen."""
    rows, _ = traced_without("opensnoop", "HAVE_OPEN", "opens", tmp_path)
    assert [row["path"] for row in rows[-2:]] == ["by-creat", "by-openat2"]
