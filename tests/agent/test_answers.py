"""Only our own server's answer says that rows are stored, or that they never will be."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from kscope.client.answers import Outcome
from kscope.client.endpoint import MOST_BYTES, Endpoint
from kscope.client.payload import Payload
from kscope.client.payload_store import Memory
from kscope.client.retry import UNKNOWN_FOR, Holds
from kscope.client.sender import Sender
from kscope.errors import UNKNOWN_NAME
from tests.agent.strangers import http, stranger, tls_server
from tests.serving import ROOT, kscope, serving

if TYPE_CHECKING:
    from pathlib import Path

    from kscope.client.answers import Answer

NGINX = b"<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head></html>"
LOGIN = b"<html><title>Hotel Wi-Fi</title><form><input type='password' name=p></form></html>"
PROBLEM = "application/problem+json"


def as_json(status: str, document: object, kind: str = "application/json") -> bytes:
    return http(status, json.dumps(document).encode(), Content_Type=kind)


def ours(status: int, **more: object) -> dict[str, object]:
    return {"type": "about:blank", "title": "t", "status": status, "detail": "d", **more}


STORED = {"stored": {"cpu": 2}, "duplicate": False}


def sent_to(url: str, timeout: float = 10.0) -> Answer:
    endpoint = Endpoint(url, timeout=timeout)
    answer = endpoint.post(Payload("cpu", "k", 2, b"{}", ""))
    endpoint.close()
    return answer


def test_our_own_answers_count() -> None:
    """A 200 with the counts of the batch, a duplicate too; and a refusal with our shape."""
    for document in (STORED, STORED | {"duplicate": True}, STORED | {"new": 1}):
        with stranger(as_json("200 OK", document)) as server:
            answer = sent_to(server.url)
        assert answer.stored
        assert answer.duplicate is document["duplicate"]
    for status in (400, 413, 415, 422):
        with stranger(as_json(f"{status} No", ours(status), PROBLEM)) as server:
            answer = sent_to(server.url)
        assert (answer.outcome, answer.text) == (Outcome.REFUSED, f"HTTP {status} d")


STRANGERS = {
    "nginx": (http("200 OK", NGINX, Content_Type="text/html", Server="nginx/1.22"),
              "HTTP 200 from nginx/1.22 is a web page, 'Welcome to nginx!'"),
    "login": (http("200 OK", LOGIN, Content_Type="text/html"), "a login page, 'Hotel Wi-Fi'"),
    "empty 200": (http("200 OK"), "an empty answer"),
    "204": (http("204 No Content"), "HTTP 204 is an empty answer"),
    "201 with our body": (as_json("201 Created", STORED), "HTTP 201"),
    "our body, no type": (http("200 OK", json.dumps(STORED).encode()), "text without a type"),
    "other JSON": (as_json("200 OK", {"ok": True}), "application/json, not a Kernelscope"),
    "JSON list": (as_json("200 OK", [STORED]), "application/json, not a Kernelscope"),
    "deep JSON": (http("200 OK", b"[" * 100_000, Content_Type="application/json"), "not a Kern"),
    "fewer rows": (as_json("200 OK", {"stored": {"cpu": 1}, "duplicate": False}),
                   'stored {"cpu": 1}, and {"cpu": 2} was sent'),
    "another table": (as_json("200 OK", {"stored": {"disk": 2}, "duplicate": False}), "disk"),
    "counts as text": (as_json("200 OK", {"stored": {"cpu": "2"}, "duplicate": False}), "cpu"),
    "no counts": (as_json("200 OK", {"stored": {}, "duplicate": False}), "stored {}"),
    "302": (http("302 Found", Location="https://u:p@login.example/?to=x"),
            "redirects (HTTP 302) to https://...@login.example/; "),
    "308 to https": (http("308 Moved", Location="https://rows.example/api/v1/ingest"),
                     "redirects (HTTP 308): write --server https://rows.example"),
    "301 to nowhere": (http("301 Moved"), "redirects (HTTP 301) to nowhere"),
    "404 HTML": (http("404 Not Found", b"<h1>No</h1>", Content_Type="text/html"), "web page"),
    "405 HTML": (http("405 Not Allowed", b"<h1>no</h1>", Content_Type="text/html"), "HTTP 405"),
    "our 405": (as_json("405 No", ours(405, detail="rows go to X"), PROBLEM),
                "is the page's address, not the one for rows: HTTP 405 rows go to X"),
    "our 404": (as_json("404 No", ours(404), PROBLEM), "HTTP 404 d"),
    "our 401": (as_json("401 No", ours(401), PROBLEM), "`kscope token` makes a token"),
    "our 403": (as_json("403 No", ours(403), PROBLEM), "HTTP 403 d"),
    "our 431": (as_json("431 No", ours(431), PROBLEM), "HTTP 431 d"),
    "our 503": (as_json("503 No", ours(503), PROBLEM), "HTTP 503 d"),
    "gateway's 413": (http("413 Too Large", NGINX, Content_Type="text/html"), "HTTP 413"),
    "gateway's 422": (as_json("422 No", {"detail": "x"}, PROBLEM), "HTTP 422"),
    "problem of another status": (as_json("422 No", ours(400), PROBLEM), "HTTP 422"),
    "problem of another type": (as_json("422 No", ours(422, type="https://x/y"), PROBLEM), "422"),
    "problem as JSON": (as_json("422 No", ours(422)), "HTTP 422"),
    "problem with strange errors": (as_json("422 No", ours(422, errors=[1]), PROBLEM), "HTTP 422"),
    "half an answer": (as_json("200 OK", STORED)[:-5], "the answer broke off"),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Le", "not a Kernelscope server"),
    "length too short": (http("200 OK", json.dumps(STORED).encode(), Content_Length="9",
                              Content_Type="application/json"), "not a Kernelscope server"),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "broke off"),
    "no answer": (b"", "closed the connection without an answer"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP there: it says 'SSH-2.0-OpenSSH_9.2'"),
    "HTTP/0.9": (b"<html>hello</html>", "does not speak HTTP there"),
    "NULs": (b"\0" * 1000, "does not speak HTTP there"),
    "TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS there; write https://"),
    "escape codes": (http("200 OK", b"<title>\x1b[2J</title>", Content_Type="text/html"), "a web"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_every_other_answer_keeps_the_rows(name: str) -> None:
    """And says what it looks like."""
    said, told = STRANGERS[name]
    with stranger(said) as server:
        answer = sent_to(server.url)
    assert answer.outcome is Outcome.LATER
    assert told in answer.text
    assert answer.text.isprintable()
    assert server.requests == 1


def test_rows_do_not_follow_a_redirect() -> None:
    """Its target gets no request, whatever it would answer."""
    with stranger(as_json("200 OK", STORED)) as target:
        there = f"{target.url}/api/v1/ingest"
        for status in ("301 a", "302 b", "303 c", "307 d", "308 e"):
            with stranger(http(status, Location=there)) as server:
                answer = sent_to(server.url)
            assert f"write --server {target.url}" in answer.text
    assert target.requests == 0


ENDLESS = {
    "body": (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * 65536),
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65536),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
               b"4000\r\n" + b"x" * 16384 + b"\r\n"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    "continues": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n"),
    "line": (b"HTTP/1.1 200 ", b"x" * 65536),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_is_left(name: str) -> None:
    """No more is read of it than one of ours can be."""
    with stranger(*ENDLESS[name]) as server:
        answer = sent_to(server.url)
    assert answer.outcome is Outcome.LATER
    # The kernel's buffer between the two counts as sent, not as read.
    assert server.sent < MOST_BYTES + 16_000_000


@pytest.mark.timeout(300)
def test_a_hundred_endless_answers_take_no_memory() -> None:
    """In a process that may have 60 MB more than it begins with."""
    code = """if 1:
        import resource
        from tests.children import peak
        from kscope.client.endpoint import Endpoint
        from kscope.client.payload import Payload
        from tests.agent.strangers import stranger
        from tests.agent.test_answers import ENDLESS
        now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (300 << 20),) * 2)
        before = peak()
        with stranger(*ENDLESS["length"]) as server:
            endpoint = Endpoint(server.url)
            for _ in range(100):
                assert not endpoint.post(Payload("cpu", "k", 2, b"{}", "")).stored
        print(peak() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 60


def test_a_slow_answer_has_one_deadline() -> None:
    """A byte now and then is no sign of life: the time is for the whole answer."""
    with stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", keep=True) as server:
        began = time.monotonic()
        answer = sent_to(server.url, timeout=0.5)
        assert "no whole answer within 0.5 s" in answer.text
        assert time.monotonic() - began < 20


def test_tls_and_plain_text_are_named_when_mixed_up(tmp_path: Path) -> None:
    """Each with what to write."""
    with tls_server(tmp_path) as port:
        assert "write https:// in --server" in sent_to(f"http://127.0.0.1:{port}").text
        untrusted = sent_to(f"https://127.0.0.1:{port}").text
        assert "its certificate is not trusted" in untrusted
        assert "SSL_CERT_FILE" in untrusted
    with stranger(http("400 Bad Request")) as server:
        text = sent_to(server.url.replace("http:", "https:")).text
    assert "write http:// in --server" in text


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("host", "http://host:8081"),
        ("host:9", "http://host:9"),
        ("::1", "http://[::1]:8081"),
        ("[::1]:9", "http://[::1]:9"),
        ("https://host", "https://host:443"),
        ("https://host/rows/", "https://host:443/rows"),
        ("http://host:8081/api/v1/ingest", "http://host:8081"),
    ],
)
def test_an_address_may_be_written_in_many_ways(address: str, url: str) -> None:
    """As people write them, and as the documentation of the API does."""
    assert Endpoint(address).url == url


def test_a_page_keeps_the_rows_of_every_sender(tmp_path: Path) -> None:
    """The read listener says where rows go: the agent and `import` say it too, and keep them."""
    folded = tmp_path / "a.folded"
    folded.write_text("main;wait 5\n")
    with serving(tmp_path) as server:
        told = f"send them to {server.ingest}/"
        run = ("offcputime", "--replay", "bundled", "--history", "60")
        run += ("--duration", "1", "--server", server.read)
        agent = said(*("agent", *run, "--spool", str(tmp_path / "spool")))
        imported = said("import", "offcputime", str(folded), "--server", server.read)
    assert told in agent
    assert "rows were not delivered and are kept in" in agent
    assert told in imported
    assert list((tmp_path / "spool").rglob("*-offcputime-*.json*"))
    assert not list((tmp_path / "spool").rglob("refused/*"))


def said(*arguments: str) -> str:
    done = subprocess.run(
        kscope(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


class Scripted:
    """An endpoint that knows the tables in `known`, and refuses the rows in `bad`."""

    def __init__(self, known: set[str]) -> None:
        self.known = known
        self.sent: list[str] = []

    def post(self, payload: Payload) -> Answer:
        table = payload.table
        self.sent.append(table)
        from kscope.client.answers import Answer  # noqa: PLC0415

        kind = Outcome.STORED if table in self.known else Outcome.UNKNOWN
        return Answer(kind, "there is no category", 200 if kind is Outcome.STORED else 422)

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def batch(table: str) -> Payload:
    return Payload.of(table, {"hostname": "h", table: [{"n": 1}]})


def test_a_category_may_be_unknown_for_ten_minutes() -> None:
    """Its rows wait, those of others do not; then they are set aside."""
    now = [1000.0]
    refused: list[Payload] = []
    memory = Memory(lambda each, _: refused.append(each))
    endpoint: Any = Scripted({"old"})
    sender = Sender(memory, endpoint)
    sender._holds = Holds(lambda: now[0])
    for table in ("new", "old", "new", "old"):
        memory.put(batch(table))
    for _ in range(10):
        entry = memory.oldest(sender._holds.held())
        if entry:
            sender._send(entry)
    assert endpoint.sent == ["new", "old", "old"]
    while memory.rows:
        now[0] += 31
        entry = memory.oldest(sender._holds.held())
        assert entry
        sender._send(entry)
    assert now[0] - 1000 > UNKNOWN_FOR
    assert len(refused) == 2


def test_a_category_that_becomes_known_gets_its_rows(tmp_path: Path) -> None:
    """The server reads the file a moment after the sender did: nothing is set aside."""
    (tmp_path / "mine").mkdir()
    config = tmp_path / "kernelscope.yaml"
    config.write_text("categories: [builtin, mine]\ndatabase: {sqlite: k.db}\n")
    refused: list[Payload] = []
    with serving(tmp_path, "--config", config) as server:
        memory = Memory(lambda each, _: refused.append(each))
        sender = Sender(memory, Endpoint(server.ingest))
        sender.start()
        memory.put(batch("late"))
        sender.wake()
        wait_until(lambda: bool(sender.trouble))
        assert "there is no category" in sender.trouble
        (tmp_path / "mine/late.yaml").write_text("table: late\ncolumns: [{name: n, type: count}]\n")
        wait_until(lambda: not memory.rows)
        sender.stop(time.monotonic())
    assert refused == []


def wait_until(so: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_the_server_marks_what_it_does_not_know(tmp_path: Path) -> None:
    """By the type of the problem document, for a table and for a column."""
    with serving(tmp_path) as server:
        for body in ({"nosuch": []}, {"marker": [{"kind": "k", "message": "", "nosuch": 1}]}):
            answer = server.client.post(f"{server.ingest}/", json={"hostname": "h", **body})
            assert answer.json()["type"] == UNKNOWN_NAME
        wrong = server.client.post(f"{server.ingest}/", json={"hostname": "h", "marker": [{}]})
        assert wrong.json()["type"] == "about:blank"
