"""Everything that the program knows about one column type."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from kscope.declare.types.kernel import KernelField
from kscope.declare.types.wire import Meta, check_of, json_schema

INT64_MAX = 2**63 - 1


class Storage(StrEnum):
    """Kinds of storage that a dialect renders: the narrow waist between types and engines."""

    TIME = "time"
    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BOOLEAN = "boolean"
    STRING_ID = "string id"
    STACK_ID = "stack id"
    HISTOGRAM = "histogram"


class Role(StrEnum):
    """The use of a column in a question.

    Dimensions group and are kept in rollups. Identities (a pid, a path) only filter: there are
    too many of them to sum by. Values add up.
    """

    TIME = "time"
    DIMENSION = "dimension"
    IDENTITY = "identity"
    VALUE = "value"
    STACK = "stack"
    HISTOGRAM = "histogram"


_WHOLE = (Storage.INTEGER, Storage.STACK_ID)


class BadValuesError(ValueError):
    """Values of the right JSON type that have no meaning: place -> fault."""

    def __init__(self, faults: Mapping[int, str]) -> None:
        super().__init__(*faults.values())
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults that a category may declare, as JSON Schema, and why others are refused."""

    json: Mapping[str, Any]
    refusal: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnType:
    """One column type: everything that differs from type to type.

    Values are of the Python type `wire` in a request. `encode` returns a value as it is stored, or
    raises ValueError; it refuses all that the wire's JSON Schema refuses. `decode` turns it back.
    """

    name: str
    help: str
    storage: Storage
    role: Role
    wire: Any
    example: Any
    kernel: KernelField
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    # How people write a value: on a command line, in a file of options. Raises ValueError.
    parse: Callable[[str], Any] = str
    unit: str = ""
    # How the page and Grafana sum the values of a group.
    aggregate: str = "sum"
    # Negative values have no shares of a whole and no logarithm.
    signed: bool = False
    # A value is the number of events that the row sums.
    counts_events: bool = False
    # Charts that are not declared: a heatmap shows it, groups are by the lowest number above 0.
    heatmap: bool = False
    group_rank: int = 0
    # A row may be without a value, if the category says `default: null`.
    nullable: bool = False
    defaults: Defaults | None = None
    # The value in an imported row that does not know it; None if it must know it.
    unknown: Any = None
    # A probe's flag may have the type.
    option: bool = True
    # The types that stored values may be declared as later.
    widens_to: frozenset[str] = frozenset()
    json: Mapping[str, Any] = field(init=False)
    # A quick check of a value, which `encode` completes.
    fits: Callable[[Any], bool] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "json", json_schema(self.wire))
        object.__setattr__(self, "fits", check_of(self.json))

    def encoded(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return the values as they are stored; None stays. Raises BadValuesError."""
        if self.encode is None:
            return values
        if self.storage in _WHOLE and float not in set(map(type, values)):
            # As nearly always: JSON's 5.0 is a whole number as well.
            return values
        try:
            distinct = set(values)
        except TypeError:
            # Lists have no hash.
            return self._each(values, values)
        # Most columns repeat a few values: each is encoded once.
        distinct.discard(None)
        known = dict(zip(distinct, self._each(distinct, values), strict=True))
        known[None] = None
        return list(map(known.__getitem__, values))

    def _each(self, values: Iterable[Any], places: Sequence[Any]) -> list[Any]:
        assert self.encode
        stored: list[Any] = []
        faults: dict[int, str] = {}
        for value in values:
            try:
                stored.append(self.encode(value))
            except ValueError as error:
                faults[places.index(value)] = str(error)
        if faults:
            raise BadValuesError(faults)
        return stored


def whole(value: Any) -> Any:
    """JSON Schema takes 5.0 for an integer, and so must we. Raise ValueError."""
    if not isinstance(value, float):
        return value
    number = int(value)
    if number != value or not -INT64_MAX - 1 <= number <= INT64_MAX:
        raise ValueError(f"{value} is not a whole number of 64 bits")
    return number


def text_type(limit: int, pattern: str = "^[^\\u0000]*$", **more: Any) -> Any:
    """Return the wire type of text of at most `limit` characters, with more of its JSON Schema.

    Unless it has another pattern, it is without NUL: engines store that in different ways, and
    nothing that a kernel names contains it.
    """
    keywords = ({"pattern": pattern} if pattern else {}) | more
    return Annotated[str, Meta(max_length=limit, json=keywords)]
