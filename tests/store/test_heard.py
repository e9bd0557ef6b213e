"""Hosts that were heard: bounded, forgotten after a day, and the same for all servers soon."""

from __future__ import annotations

from kscope.store.heard import MOST, WINDOW, Heard, HeardHosts

NOW = 1_800_000_000.0


def test_names_that_a_sender_makes_up_take_bounded_room() -> None:
    """The hosts that were heard longest ago make room; a name that no host can have takes none."""
    hosts = HeardHosts()
    for number in range(3 * MOST):
        hosts.note(f"host-{number}", NOW + number / 1000)
    known = hosts.known(NOW + 100)
    assert MOST <= len(known) <= 1.2 * MOST
    assert f"host-{3 * MOST - 1}" in known
    assert "host-0" not in known
    assert not hosts.is_news("x" * 256, NOW)
    assert not hosts.is_news("", NOW)


def test_a_host_is_forgotten_after_a_day() -> None:
    hosts = HeardHosts()
    hosts.note("web-1", NOW)
    assert [*hosts.known(NOW + WINDOW - 1)] == ["web-1"]
    assert hosts.known(NOW + WINDOW + 1) == {}


def test_servers_learn_from_each_other() -> None:
    """The later time counts, whichever server noted it; what is known already is not written."""
    hosts = HeardHosts()
    hosts.note("web-1", NOW, "kscope/1.0")
    hosts.note("web-2", NOW)
    others = {"web-2": Heard(NOW + 5, "curl/8"), "web-3": Heard(NOW - 5)}
    assert hosts.learn(others, NOW + 10)
    known = hosts.known(NOW + 10)
    assert known == {
        "web-1": Heard(NOW, "kscope/1.0"),
        "web-2": Heard(NOW + 5, "curl/8"),
        "web-3": Heard(NOW - 5),
    }
    assert not hosts.learn(known, NOW + 10)
