"""Python functions that call each other directly, and through C: for tests of Python stacks.

`chain.py SECONDS [fork]` prints one JSON object: for each of its threads the functions that a stack
must show, as the interpreter itself knows them, innermost first. Then each thread sleeps, SECONDS
at a time. With `fork` a child does all this, in its main thread alone.
"""

import ctypes
import functools
import json
import os
import sys
import threading
import time

SECONDS = float(sys.argv[1])
WITH_FORK = sys.argv[2:] == ["fork"]
THREADS = ["forked"] if WITH_FORK else ["first", "second"]
truths: dict[str, list[str]] = {}
lock = threading.Lock()
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def functions() -> list[str]:
    """Return the functions that run, from the caller on, as `name file:line`."""
    found = []
    frame = sys._getframe(1)
    while frame:
        code = frame.f_code
        found.append(
            f"{code.co_qualname} {os.path.basename(code.co_filename)}:{code.co_firstlineno}"  # noqa: PTH119
        )
        frame = frame.f_back
    return found


def größe(name: str) -> None:  # noqa: PLC2401
    with lock:
        if name not in truths:
            truths[name] = functions()
            if len(truths) == len(THREADS):
                print(json.dumps(truths), flush=True)  # noqa: T201
    time.sleep(SECONDS)


class NamesThatTogetherAreLongerThanTheBytesWhichAreKept:
    class AndWhichThereforeLackTheirEnd:
        class WithDotsInItsPlaceForEverybody:
            @staticmethod
            def called(name: str) -> int:
                größe(name)
                return 0


LONG = NamesThatTogetherAreLongerThanTheBytesWhichAreKept.AndWhichThereforeLackTheirEnd


def 函数(name: str) -> None:  # noqa: N802, PLC2401
    sorted([1], key=lambda _: LONG.WithDotsInItsPlaceForEverybody.called(name))


def callback(name: str) -> None:
    """C code of a library calls Python."""

    def compare(_one: int, _other: int) -> int:
        函数(name)
        return 0

    numbers = (ctypes.c_int * 2)(1, 2)
    ctypes.CDLL(None).qsort(numbers, 2, 4, COMPARE(compare))


class Thing:
    def __init__(self, name: str) -> None:
        for _ in self.generated(name):
            pass

    def generated(self, name: str):
        yield from self.𠀀(name)

    def 𠀀(self, name: str):  # noqa: N802, PLC2401
        functools.reduce(lambda _, each: callback(each), [name], None)
        yield name


def recurse(name: str, times: int) -> None:
    if times:
        recurse(name, times - 1)
    else:
        Thing(name)


def work(name: str, times: int) -> None:
    while True:
        recurse(name, times)


def main() -> None:
    if WITH_FORK:
        if os.fork():
            os.wait()
        else:
            work("forked", 3)
        return
    for name, times in zip(THREADS, (3, 60), strict=True):
        threading.Thread(target=work, args=(name, times), name=name, daemon=True).start()
    time.sleep(3600)


if __name__ == "__main__":
    main()
