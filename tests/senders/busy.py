"""A busy program that pyroscope-io profiles: address, application, token.

Of its functions, `burn` works most of the time; a second thread works too.
"""

# ruff: noqa: T201 - it speaks to the test

import inspect
import sys
import threading
import time

import pyroscope


def burn(seconds: float) -> int:
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        count += sum(number * number for number in range(200))
    return count


def serve(seconds: float) -> None:
    with pyroscope.tag_wrapper({"endpoint": "/cart"}):
        burn(seconds / 2)
    burn(seconds / 2)


def configure(address: str, application: str, token: str) -> None:
    known = inspect.signature(pyroscope.configure).parameters
    wanted = {
        "application_name": application,
        "server_address": address,
        "tags": {"region": "eu,west={1}", "hostname": "busy host"},
        "report_pid": True,
        "report_thread_id": True,
        "upload_interval": 1,
        # The older client sends a bearer, the newer one a password.
        "auth_token": token,
        "basic_auth_username": "",
        "basic_auth_password": "",
    }
    if "auth_token" not in known:
        wanted |= {"basic_auth_username": "any", "basic_auth_password": token}
    pyroscope.configure(**{name: value for name, value in wanted.items() if name in known})


if __name__ == "__main__":
    configure(*sys.argv[1:])
    other = threading.Thread(target=burn, args=(2.5,))
    other.start()
    serve(2.5)
    other.join()
    pyroscope.shutdown()
    # The rest is sent by a thread of its library.
    time.sleep(1)
    print(time.process_time())
