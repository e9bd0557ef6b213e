"""Waits below <module>, serve, Shop.request, a lambda, Shop.price and by_sleep, in two threads.

With an argument one thread computes instead, in by_compute.
"""

import sys
import threading
import time


def by_sleep():
    time.sleep(0.004)


def by_compute():
    for i in range(1000):
        i * i


class Shop:
    def __init__(self, wait):
        self.wait = wait

    def price(self):
        self.wait()

    def request(self):
        # Called from C, which calls back: a second loop of the interpreter.
        return sorted([self], key=lambda shop: shop.price())


def serve(wait):
    shop = Shop(wait)
    while True:
        shop.request()


if len(sys.argv) == 1:
    threading.Thread(target=serve, args=(by_sleep,), daemon=True).start()
sys.stdout.write("ready\n")
sys.stdout.flush()
serve(by_sleep if len(sys.argv) == 1 else by_compute)
