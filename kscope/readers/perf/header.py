"""The lines that `perf script --header` prints first, each with a # in front."""

import re
from collections.abc import Iterable, Iterator

from kscope.readers.perf.events import base_name

_EVENT = re.compile(r"# event : name = (?P<name>[^ ,]\S{0,250}?), ")
_RATE = re.compile(r"sample_freq \} = (?P<number>[0-9]{1,9}),")
_COMMAND = re.compile(
    r"# cmdline : (?:(?! -- | -c).){0,2000}? (?:-F ?|--freq[= ])(?P<number>[0-9]{1,9})\b"
)
_LONGEST = 4096
_MOST_EVENTS = 256


class HeaderRates:
    """The samples a second of each event that was recorded at a rate, not after a count."""

    def __init__(self) -> None:
        self._rates: dict[str, int] = {}
        self._of_command: int | None = None

    def watched(self, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Yield the lines, and note the rates in them."""
        for number, line in lines:
            if line[:1] == "#":
                self._note(line[:_LONGEST])
            yield number, line

    def of(self, event: str) -> int | None:
        """Return the rate of an event, in samples a second; None if the header has none."""
        return self._rates.get(base_name(event), self._of_command) or None

    def _note(self, line: str) -> None:
        if command := _COMMAND.match(line):
            self._of_command = int(command["number"])
        event, rate = _EVENT.match(line), _RATE.search(line)
        if event and rate and len(self._rates) < _MOST_EVENTS:
            at_a_rate = ", freq = 1," in f"{line},"
            self._rates[base_name(event["name"])] = int(rate["number"]) if at_a_rate else 0
