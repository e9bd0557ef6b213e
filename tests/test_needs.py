"""The helper that every engine test leans on must itself be able to fail."""

from __future__ import annotations

import pytest

from tests import needs


def test_a_lacking_program_skips_naming_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a requirement, a test that cannot run here says what to install."""
    monkeypatch.delenv("KSCOPE_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install some-package"):
        needs.program("no-such-program", "some-package")


def test_a_required_program_that_lacks_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI must not pass by skipping."""
    for required in ("all", "bpf,no-such-program"):
        monkeypatch.setenv("KSCOPE_REQUIRE", required)
        with pytest.raises(pytest.fail.Exception, match="some-package"):
            needs.program("no-such-program", "some-package")


def test_a_present_program_is_found_by_its_path() -> None:
    """What is installed is named by its full path, /usr/sbin included."""
    assert needs.program("sh", "dash").endswith("/sh")
