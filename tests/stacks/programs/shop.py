"""A small web shop: its requests wait for a lock, for a payment service, and for the disk.

usage: shop.py FOLDER PORT    the shop; PORT is that of its payment service
       shop.py payments       the payment service
       shop.py visitors PORT  six visitors of the shop

Servers say "ready PORT".
"""

import http.client
import http.server
import socket
import socketserver
import sqlite3
import sys
import threading
import time
from pathlib import Path


class Stock:
    """Numbers in memory; counting them again takes a while, under the lock that sales need."""

    def __init__(self):
        self.lock = threading.Lock()
        self.left = dict.fromkeys(range(10), 1000)

    def reserve(self, item):
        with self.lock:
            self.left[item] -= 1
            self.count_again()

    def count_again(self):
        time.sleep(0.002)
        return sum(self.left.values())


class Payments:
    """A service elsewhere."""

    def __init__(self, address):
        self.address = address

    def charge(self, amount):
        with socket.create_connection(self.address) as connection:
            connection.sendall(b"%d\n" % amount)
            return self.read_answer(connection)

    def read_answer(self, connection):
        return connection.recv(100)


class Orders:
    def __init__(self, path):
        self.path = path
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE IF NOT EXISTS bought (item, paid)")

    def save(self, item, paid):
        database = sqlite3.connect(self.path, timeout=60)
        database.execute("INSERT INTO bought VALUES (?, ?)", (item, paid))
        database.commit()
        database.close()


class Shop:
    def __init__(self, folder, payments):
        self.stock, self.payments = Stock(), Payments(payments)
        self.orders = Orders(folder / "orders.db")

    def checkout(self, item):
        self.stock.reserve(item)
        paid = self.payments.charge(100 + item)
        self.orders.save(item, paid)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.shop.checkout(int(self.path[1:]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class PaymentService(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        time.sleep(0.006)
        self.wfile.write(b"paid\n")


def listen(kind, handler):
    server = kind(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def visit(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        connection.request(
            "POST", f"/{threading.get_native_id() % 10}", headers={"Content-Length": "0"}
        )
        connection.getresponse().read()


def main(arguments):
    if arguments[0] == "payments":
        server = listen(socketserver.ThreadingTCPServer, PaymentService)
        sys.stdout.write(f"ready {server.server_address[1]}\n")
    elif arguments[0] == "visitors":
        for _ in range(6):
            threading.Thread(target=visit, args=(int(arguments[1]),), daemon=True).start()
        sys.stdout.write("ready\n")
    else:
        server = listen(http.server.ThreadingHTTPServer, Handler)
        server.shop = Shop(Path(arguments[0]), ("127.0.0.1", int(arguments[1])))
        sys.stdout.write(f"ready {server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Event().wait()


main(sys.argv[1:])
