"""Run on a machine of a test: hosts that are no machines send a row each, again and again.

Arguments: the server's address, the file of the authority, the name and the number of hosts, and
the seconds from one round to the next. A host's token is its name.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

CONNECTIONS = 4


def send(url: str, authority: str, hosts: list[str]) -> None:
    """Send a row of each host, by one connection."""
    address = urlsplit(url)
    trusted = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPSConnection(address.netloc, context=trusted)
    for host in hosts:
        row = {"process": "worker", "pid": 1, "stack": "main;wait", "elapsed": 1000}
        body = json.dumps({"hostname": host, "offcputime": [row]})
        headers = {"Authorization": f"Bearer {host}"}
        connection.request("POST", f"{address.path}/api/v1/ingest", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{host}: {answer.status} {said.decode()}")
    connection.close()


def main(url: str, authority: str, name: str, number: str, pause: str) -> None:
    hosts = [f"{name}{k}" for k in range(int(number))]
    parts = [hosts[k::CONNECTIONS] for k in range(CONNECTIONS)]
    while True:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(send, [url] * CONNECTIONS, [authority] * CONNECTIONS, parts))
        sys.stdout.write(f"{number} hosts have sent\n")
        sys.stdout.flush()
        time.sleep(float(pause))


if __name__ == "__main__":
    main(*sys.argv[1:])
