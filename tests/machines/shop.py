"""A service of a host, for an agent to look at: it computes a little, and waits."""

from __future__ import annotations

import time
from pathlib import Path


def price(basket: int) -> int:
    return sum(number * number for number in range(basket))


def read_rates() -> str:
    return Path("/etc/hosts").read_text()


def charge_card() -> None:
    time.sleep(0.02)


def handle_order() -> None:
    read_rates()
    price(20_000)
    charge_card()


if __name__ == "__main__":
    while True:
        handle_order()
