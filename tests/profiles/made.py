"""pprof profiles made with protobuf, by the published messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.query.profile_proto import profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass
class Making:
    """A profile under way; `message` is the protobuf message itself."""

    message: Any = field(default_factory=profile)

    def __post_init__(self) -> None:
        self.message.string_table.append("")

    def text(self, text: str) -> int:
        if text not in self.message.string_table:
            self.message.string_table.append(text)
        return list(self.message.string_table).index(text)

    def mapping(self, file: str, start: int = 0, limit: int = 0, offset: int = 0) -> int:
        added = self.message.mapping.add(
            id=len(self.message.mapping) + 1,
            memory_start=start,
            memory_limit=limit,
            file_offset=offset,
            filename=self.text(file),
        )
        return int(added.id)

    def location(self, *names: str, mapping: int = 0, address: int = 0) -> int:
        """Several names are inlined functions, the innermost first."""
        added = self.message.location.add(
            id=len(self.message.location) + 1, mapping_id=mapping, address=address
        )
        for name in names:
            function = self.message.function.add(
                id=len(self.message.function) + 1, name=self.text(name)
            )
            added.line.add(function_id=function.id)
        return int(added.id)

    def sample(self, leaf_first: Sequence[int], *values: int, **labels: str | int) -> None:
        added = self.message.sample.add(location_id=leaf_first, value=values)
        for name, value in labels.items():
            label = added.label.add(key=self.text(name))
            if isinstance(value, int):
                label.num = value
            else:
                label.str = self.text(value)

    def types(self, *kinds: tuple[str, str]) -> None:
        for kind, unit in kinds:
            self.message.sample_type.add(type=self.text(kind), unit=self.text(unit))

    @property
    def content(self) -> bytes:
        return bytes(self.message.SerializeToString())


def cpu(stacks: Mapping[str, int], **labels: str | int) -> Making:
    """Return a CPU profile of folded stacks with nanoseconds, sampled 100 times a second."""
    made = Making()
    made.types(("cpu", "nanoseconds"))
    made.message.period = 10_000_000
    made.message.period_type.type = made.text("cpu")
    made.message.period_type.unit = made.text("nanoseconds")
    for stack, nanoseconds in stacks.items():
        places = [made.location(name) for name in reversed(stack.split(";"))]
        made.sample(places, nanoseconds, **labels)
    return made
