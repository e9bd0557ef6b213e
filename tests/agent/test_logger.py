"""`kscope.client.Logger`, as a script uses it."""

from __future__ import annotations

import pytest

from kscope.client import Endpoint, Logger
from kscope.errors import KscopeError
from tests.agent.fakeserver import fake_server

BUSY = (503, {"Retry-After": "0"}, {"title": "busy"})
INVALID = (
    422,
    {},
    {"title": "rows are invalid", "errors": [{"pointer": "/cpu/0/n", "detail": "not a number"}]},
)


def test_rows_arrive_together_with_their_own_times() -> None:
    """What a script logs goes out as one body, each row with the time of the call."""
    with fake_server() as server:
        with Logger(server.url, hostname="web-001", interval=60) as log:
            log("cpu", process="a", n=1)
            log("cpu", process="b", n=2)
            log("disk", device="sda")
        (request,) = server.received
    assert request.body["hostname"] == "web-001"
    assert [row["n"] for row in request.body["cpu"]] == [1, 2]
    assert all(row["time"].endswith("Z") for row in request.body["cpu"])
    assert len(request.body["disk"]) == 1


def test_a_batch_that_is_sent_again_has_the_same_key() -> None:
    """A busy server gets the same rows under the same key until it takes them."""
    with fake_server() as server:
        server.answers = [BUSY, BUSY]
        with Logger(server.url, interval=60) as log:
            log("cpu", n=1)
        assert len(server.received) == 3
        assert len({request.key for request in server.received}) == 1


def test_a_refusal_is_not_silent() -> None:
    """The script hears what was wrong with its rows, and where."""
    with fake_server() as server:
        server.answers = [INVALID]
        log = Logger(server.url, interval=60)
        log("cpu", n="one")
        with pytest.raises(KscopeError, match="/cpu/0/n: not a number"):
            log.close()


def test_a_value_that_cannot_be_sent_is_not_silent() -> None:
    """JSON has no form for it: the script hears so, and what it logs afterwards arrives."""
    with fake_server() as server:
        log = Logger(server.url, interval=60)
        log("cpu", n={1, 2})
        with pytest.raises(KscopeError, match="rows hold what JSON has no form for"):
            log.flush()
        log("cpu", n=3)
        log.close()
    assert [row["n"] for row in server.rows("cpu")] == [3]


def test_without_a_server_rows_are_kept_up_to_the_bound() -> None:
    """Logging goes on while the server is away, and says so when the bound is reached."""
    log = Logger("http://127.0.0.1:9", interval=60, most=3)
    for n in range(3):
        log("cpu", n=n)
    with pytest.raises(KscopeError, match="3 rows wait"):
        log("cpu", n=4)
    with pytest.raises(KscopeError, match="rows were not sent"):
        log.close(timeout=0.2)


@pytest.mark.parametrize("url", ["ftp://host", "http://", "http://host:port"])
def test_a_wrong_address_is_said_at_once(url: str) -> None:
    """A mistake in the address is no reason to wait for the first row."""
    with pytest.raises(KscopeError):
        Endpoint(url)
