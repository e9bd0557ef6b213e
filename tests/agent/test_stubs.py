"""Where the headers lie that the agent compiles against."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from kscope.agent.host.header_tree import tracepoint_headers
from kscope.errors import KscopeError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set a user's cache, and a folder in place of /tmp."""
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    return tmp_path


def test_headers_lie_in_a_folder_of_our_own(places: Path) -> None:
    """No other user can write to it, and it is reused."""
    folder = tracepoint_headers()
    assert folder.parent == places / "cache" / "kernelscope"
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert tracepoint_headers() == folder


def test_a_folder_that_others_can_write_to_is_left_alone(places: Path) -> None:
    """A user who could put files there could write into the kernel."""
    planted = places / "cache" / "kernelscope"
    planted.mkdir(parents=True)
    planted.chmod(0o777)
    assert tracepoint_headers().is_relative_to(places / "tmp")


def test_without_a_folder_to_trust_it_says_so(places: Path) -> None:
    """Which folder is wrong, and what to do."""
    (places / "cache").write_text("")
    (shared := places / "tmp").chmod(0o777)
    with pytest.raises(KscopeError, match=rf"{shared}/kernelscope-\d+: other users can write"):
        tracepoint_headers()
