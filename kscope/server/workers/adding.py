"""Families of metrics of several processes as those of one server."""

from collections.abc import Callable, Iterable

from kscope.server.http.metric_list import Families, Family, is_counter, takes_most

Labels = tuple[tuple[str, str], ...]


def added(several: Iterable[Families]) -> Families:
    """Return each family once, with the sum of its values for the same labels."""
    texts: dict[str, str] = {}
    values: dict[str, dict[Labels, float]] = {}
    for families in several:
        for name, text, samples in families:
            texts[name] = text
            into = values.setdefault(name, {})
            for labels, value in samples:
                key = tuple(labels.items())
                into[key] = _adder(name)((into.get(key, 0), value))
    return [_family(name, text, values[name]) for name, text in texts.items()]


def counters(families: Families) -> Families:
    """Return what stays of a process that has ended."""
    return [each for each in families if is_counter(each[0])]


def _adder(name: str) -> Callable[[Iterable[float]], float]:
    return max if takes_most(name) else sum


def _family(name: str, text: str, values: dict[Labels, float]) -> Family:
    return name, text, [(dict(labels), value) for labels, value in values.items()]
