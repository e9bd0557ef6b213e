"""A service in small: two threads that hand a request to and fro, each below a few calls.

usage: pair.py PAUSE, the milliseconds between two of them.
"""

import sys
import threading
import time
from queue import SimpleQueue

PAUSE = int(sys.argv[1]) / 1000


def take(inbox):
    return inbox.get()


class Service:
    def __init__(self, inbox, outbox):
        self.inbox = inbox
        self.outbox = outbox

    def answer(self):
        self.outbox.put(take(self.inbox))

    def serve(self):
        while True:
            self.answer()
            if PAUSE:
                time.sleep(PAUSE)


def main():
    one, two = SimpleQueue(), SimpleQueue()
    one.put("request")
    threading.Thread(target=Service(one, two).serve, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    Service(two, one).serve()


main()
