"""The helper that every engine test leans on must itself be able to fail."""

from __future__ import annotations

import os

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
    """Installed programs are found by their full path, also in /usr/sbin."""
    assert needs.program("sh", "dash").endswith("/sh")


@pytest.mark.xdist_group("together")
def test_groups_are_kept_together(request: pytest.FixtureRequest) -> None:
    """Where tests are spread over workers, those of one engine do not fight over it."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        assert request.node.nodeid.endswith("@together")
