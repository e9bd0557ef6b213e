"""The unit of numbers that a tool prints bare."""

from kscope.readers.reading.base import Reading

_WORDS = {"us": "microseconds"}


def say_unit(reading: Reading) -> None:
    """Tell the user the unit that bare numbers of stacks are taken in."""
    columns = reading.columns
    if reading.options.unit or columns.value.unit == "":
        return
    if columns.value.sampled_by:
        reading.notice("the numbers count samples; if they are times, name their unit with --unit")
    else:
        taken = _WORDS.get(columns.unit(), columns.unit())
        reading.notice(f"the numbers are taken as {taken}; name another unit with --unit")
