"""A small web shop in Python that keeps its orders in MariaDB.

usage: shop.py SOCKET PAYMENTS    the shop; SOCKET is the database's, PAYMENTS a port
       shop.py payments           the payment service
       shop.py visitors PORT      visitors of the shop

Servers say "ready PORT". SIGUSR1 installs release 1.4.2, which has a fault: the shop charges the
customer while it holds the row of the item.
"""

import contextlib
import http.client
import http.server
import itertools
import queue
import random
import signal
import socket
import socketserver
import struct
import sys
import threading
import time
from pathlib import Path
from string import Template

ITEMS = 40
VISITORS = 14
PAGE = Template("<li><a href='/item/$item'>$name</a> $left left, $price</li>")
_CAPABILITIES = 0x8 | 0x200 | 0x8000  # with a database, protocol 4.1, its way to say a password


class Database:
    """One connection, which speaks as much of MariaDB's protocol as the shop needs."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.read_packet()
        login = struct.pack("<IIB23x", _CAPABILITIES, 1 << 24, 45) + b"root\0\0shop\0"
        self.socket.sendall(struct.pack("<I", len(login) | 1 << 24) + login)
        assert self.read_packet()[0] == 0

    def execute(self, statement):
        """Return the number of rows."""
        message = b"\3" + statement.encode()
        self.socket.sendall(struct.pack("<I", len(message)) + message)
        return self.read_rows()

    def read_rows(self):
        first = self.read_packet()
        assert first[0] != 0xFF, first
        if first[0] == 0:
            return 0
        while self.read_packet()[0] != 0xFE:
            pass
        return next(n for n in itertools.count() if self.read_packet()[0] == 0xFE)

    def read_packet(self):
        (head,) = struct.unpack("<I", self.file.read(4))
        return self.file.read(head & 0xFFFFFF)


class Payments:
    """A service elsewhere."""

    def __init__(self, address):
        self.address = address

    def charge(self, amount):
        with socket.create_connection(self.address) as connection:
            connection.sendall(b"%d\n" % amount)
            return connection.recv(100)


class Catalogue:
    def show(self, database):
        found = database.execute("SELECT item, name, stock FROM items ORDER BY name")
        return self.render(found)

    def render(self, found):
        lines = (
            PAGE.substitute(
                item=item, name=f"Item {item}", left=item % 7, price=f"{item * 1.19:.2f}"
            )
            for _ in range(5)
            for item in range(found)
        )
        return "".join(lines).encode()


class Orders:
    def __init__(self, payments):
        self.payments = payments

    def place(self, database, item):
        database.execute("BEGIN")
        self.reserve(database, item)
        database.execute("COMMIT")
        self.payments.charge(100 + item)
        self.save(database, item)

    def reserve(self, database, item):
        database.execute(f"UPDATE items SET stock = stock - 1 WHERE item = {item}")

    def save(self, database, item):
        database.execute(f"INSERT INTO orders (item, note) VALUES ({item}, UUID())")


class Orders142(Orders):
    """Release 1.4.2: no item is sold that the customer does not pay."""

    def place(self, database, item):
        database.execute("BEGIN")
        self.reserve(database, item)
        self.payments.charge(100 + item)
        self.save(database, item)
        database.execute("COMMIT")


class Shop:
    def __init__(self, path, payments):
        self.path = path
        self.catalogue, self.orders = Catalogue(), Orders(payments)
        self.idle = queue.LifoQueue()
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "orders", Orders142(payments)))

    @contextlib.contextmanager
    def database(self):
        try:
            found = self.idle.get_nowait()
        except queue.Empty:
            found = Database(self.path)
        yield found
        self.idle.put(found)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with self.server.shop.database() as database:
            page = self.server.shop.catalogue.show(database)
        self.answer(200, page)

    def do_POST(self):
        with self.server.shop.database() as database:
            self.server.shop.orders.place(database, int(self.path[1:]))
        self.answer(201, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class PaymentService(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        time.sleep(random.uniform(0.02, 0.05))
        self.wfile.write(b"paid\n")


def listen(kind, handler):
    server = kind(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def visit(port):
    """Look at the shop twice, then buy; most visitors want the same few items."""
    for number in itertools.count():
        time.sleep(random.expovariate(1 / 0.08))
        connection = http.client.HTTPConnection("127.0.0.1", port)
        if number % 3:
            connection.request("GET", "/")
        else:
            item = min(ITEMS, 1 + int(random.expovariate(1.5)))
            connection.request("POST", f"/{item}", headers={"Content-Length": "0"})
        connection.getresponse().read()
        connection.close()


def be_called(name):
    """Set the name that the kernel has for this process, and for the threads that it starts."""
    Path("/proc/self/comm").write_text(name)


def main(arguments):
    ready = "ready"
    if arguments[0] == "payments":
        be_called("payments")
        ready += f" {listen(socketserver.ThreadingTCPServer, PaymentService).server_address[1]}"
    elif arguments[0] == "visitors":
        for _ in range(VISITORS):
            threading.Thread(target=visit, args=(int(arguments[1]),), daemon=True).start()
    else:
        be_called("shop")
        shop = Shop(arguments[0], Payments(("127.0.0.1", int(arguments[1]))))
        server = listen(http.server.ThreadingHTTPServer, Handler)
        server.shop = shop
        ready += f" {server.server_address[1]}"
    sys.stdout.write(f"{ready}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
