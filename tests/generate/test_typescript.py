"""The page's types, from the types of the answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from kscope.generate.typescript import typescript
from kscope.server.openapi.components import components


class Shade(StrEnum):
    LIGHT = "light"
    DARK = "dark"


class Picture(msgspec.Struct, rename={"own": "self"}):
    """The drawing.

    Twice, if it is large.
    """

    own: list[int | float | None]
    pairs: tuple[int, str]
    shade: Shade
    state: Literal["new", "old"]
    above: Picture | None
    notes: dict[str, list[bool]]
    title: str | msgspec.UnsetType = msgspec.UNSET


EXPECTED = """\
/**
 * The drawing.
 *
 * Twice, if it is large.
 */
export interface Picture {
  self: (number | null)[];
  pairs: [number, string];
  shade: Shade;
  state: "new" | "old";
  above: Picture | null;
  notes: Record<string, boolean[]>;
  title?: string;
}

export type Shade = "dark" | "light";
"""


def test_optional_null_literal_and_enum_types_are_exact() -> None:
    """A field that may be absent is optional; one that is null is not."""
    assert typescript(components([Picture])) == EXPECTED


def test_a_name_that_is_not_an_identifier_is_quoted() -> None:
    """Wire names follow the server's spelling."""
    rule = {"type": "object", "properties": {"a-b": {}}, "required": ["a-b"]}
    assert '"a-b": unknown;' in typescript({"Odd": rule})
