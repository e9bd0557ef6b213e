"""A real nginx with packaging/nginx.conf, on a free port of loopback, before servers of a test."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests import needs
from tests.serving import ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGED = ROOT / "packaging/nginx.conf"
BASE = "/kernelscope"
# Clients are at 127.0.0.1, which is none of a proxy.
PROXY = "127.0.0.2"
# Debian's nginx.conf around the files of conf.d, with its files in a folder of the test.
_AROUND = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/kernelscope.conf;
}}
"""
_PATIENCE = 30.0


@contextmanager
def nginx(
    folder: Path, read: str, ingest: str, certificate: tuple[Path, Path], *, strips: bool = False
) -> Iterator[str]:
    """Yield the address of the page, without a slash at the end.

    `read` and `ingest` are the addresses of the servers, which nginx comes to from PROXY. `strips`:
    it takes the base path away. Their `max_body` is 4 MiB.
    """
    program = needs.program("nginx", "nginx-light")
    folder.mkdir()
    port = free_port()
    own = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "server 127.0.0.1:8080": f"server {urlsplit(read).netloc}",
        "server 127.0.0.1:8081": f"server {urlsplit(ingest).netloc}",
        "client_max_body_size 128m": "client_max_body_size 16m",
        "/etc/kernelscope/server.pem": str(certificate[0]),
        "/etc/kernelscope/server.key": str(certificate[1]),
    }
    text = PACKAGED.read_text()
    for packaged, value in own.items():
        assert packaged in text
        text = text.replace(packaged, value)
    text = text.replace("proxy_pass ", f"proxy_bind {PROXY};\n        proxy_pass ")
    if strips:
        text = re.sub(r"(proxy_pass )", r"rewrite ^/kernelscope(/.*) $1 break; \1", text)
    (folder / "kernelscope.conf").write_text(text)
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder))
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [program, "-p", folder, "-c", folder / "nginx.conf"], stdout=said, stderr=said
        )
    try:
        _wait(process, port, folder / "said")
        yield f"https://127.0.0.1:{port}{BASE}"
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _wait(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        time.sleep(0.05)
    raise AssertionError(f"nginx did not start:\n{said.read_text()}")
