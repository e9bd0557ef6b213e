"""The rules by which a function's caller is found, from the programs of `.eh_frame`.

A program is a list of instructions (DW_CFA_* in the DWARF standard): some change the rules, some
advance to the next address where they change. Compilers write the same few sequences again and
again, so each set of rules remembers which one follows it after which instructions: a program is
then one look-up for each of its addresses.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from kscope.elf.errors import ElfError

# The bytes of all different sequences of instructions of one file, with a charge for each. libLLVM
# has 46 kB in 6,600 sequences, Node 3 kB in 700.
MAX_BYTES = 1 << 20
_CHARGE = 16
# Sets of rules that are put aside and taken back later. Compilers put aside one.
_MOST_ASIDE = 8
_RDI = 5


class How(Enum):
    """Where the caller's value of a register is, if it is not at a known place."""

    UNCHANGED = auto()
    UNDEFINED = auto()
    IN_RDI = auto()  # where vfork keeps the return address, if the machine is x86-64
    ELSEWHERE = auto()


# The place at CFA plus a number of bytes, or at the address that a DWARF expression yields.
Saved = int | bytes | How
# The canonical frame address, the caller's stack pointer: a register plus an offset, or an
# expression.
Cfa = tuple[int, int] | bytes


class Rules(NamedTuple):
    """The rules at one address: the CFA, and where frame pointer and return address are saved."""

    cfa: Cfa = b""
    frame: Saved = How.UNCHANGED
    back: Saved = How.UNCHANGED
    aside: "Rules | None" = None
    depth: int = 0


NO_RULES = Rules()
LOST = Rules(b"", How.ELSEWHERE, How.ELSEWHERE)


@dataclass(frozen=True, slots=True)
class Common:
    """The common part of functions: factors, numbers of registers, first rules."""

    code_factor: int
    data_factor: int
    frame: int
    back: int
    is_signal: bool
    first: Rules = NO_RULES


# The operands of the instructions by number: u and s are numbers, b is an expression. Advances are
# not among them, nor is set_loc, which no compiler writes.
_OPERANDS = {
    **dict.fromkeys((0x00, 0x0A, 0x0B, 0x2C, 0x2D, *range(0xC0, 0x100)), ""),
    **dict.fromkeys((0x06, 0x07, 0x08, 0x0D, 0x0E, 0x2E, *range(0x80, 0xC0)), "u"),
    0x13: "s",
    **dict.fromkeys((0x05, 0x09, 0x0C, 0x14, 0x2F), "uu"),
    **dict.fromkeys((0x11, 0x12, 0x15), "us"),
    0x0F: "b",
    **dict.fromkeys((0x10, 0x16), "ub"),
}
_NUMBER = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_BLOCK = b"(?:" + b"|".join(re.escape(bytes([n])) + b".{%d}" % n for n in range(128)) + b")"
# An advance by nothing changes nothing, so it is taken for an instruction without an effect.
_ADVANCE = rb"(?:[\x41-\x7f]|\x02[^\0]|\x03(?!\0\0)..|\x04(?!\0{4}).{4})"
_NO_ADVANCE = rb"\x40|\x02\0|\x03\0\0|\x04\0{4}"

# Nearly all instructions are of these forms: the pattern tries them first.
_SHORT = [rb"[\x0d\x0e\x80-\xbf][\x00-\x7f]", rb"\x0c[\x00-\x7f]{2}", rb"[\x00\x0a\x0b\xc0-\xff]"]


def _instruction() -> bytes:
    """Return a pattern that matches one instruction."""
    forms = [*_SHORT]
    for operands in dict.fromkeys(_OPERANDS.values()):
        codes = b"".join(b"\\x%02x" % code for code, own in _OPERANDS.items() if own == operands)
        forms.append(b"[" + codes + b"]")
        forms[-1] += b"".join(_BLOCK if each == "b" else _NUMBER for each in operands)
    return b"(?:" + b"|".join([*forms, _NO_ADVANCE]) + b")"


# Without possessive quantifiers: those of Python 3.11.2 miss matches.
_INSTRUCTION = re.compile(_instruction(), re.DOTALL)
_INSTRUCTIONS = re.compile(_instruction() + b"*", re.DOTALL)
# Returns, for each address of a program: the advance to it (none to the first one), and the
# instructions there. What cannot be read, up to the end, is in place of an advance.
parts = re.compile(rb"(\A|%b|.+)(%b*)" % (_ADVANCE, _instruction()), re.DOTALL).findall


class UnreadableError(Exception):
    """A program has an instruction that is damaged or unknown."""


class _Distances(dict[bytes, int]):
    def __missing__(self, advance: bytes) -> int:
        if not _ADVANCED.fullmatch(advance):
            raise UnreadableError
        return int.from_bytes(advance[1:], "little")


_ADVANCED = re.compile(_ADVANCE, re.DOTALL)
# By how much each advance advances, in units of the code factor. Raises UnreadableError.
distances = _Distances(
    {bytes([0x40 | n]): n for n in range(64)} | {bytes([2, n]): n for n in range(256)} | {b"": 0}
)


class Step(dict[bytes, "Step"]):
    """Rules, `rule` as the table stores them, and the step that follows by instructions."""

    __slots__ = ("_steps", "common", "rule", "rules")

    def __init__(self, steps: "Steps", common: Common, rules: Rules, rule: int) -> None:
        super().__init__()
        self._steps = steps
        self.common = common
        self.rules = rules
        self.rule = rule

    def __missing__(self, instructions: bytes) -> "Step":
        return self._steps.follow(self, instructions)


class Steps:
    """All steps of one file. `pack` returns the number that the table stores for rules."""

    def __init__(self, pack: Callable[[Common, Rules], int]) -> None:
        self._pack = pack
        self._known: dict[tuple[Common, Rules], Step] = {}
        self._left = MAX_BYTES

    def first(self, common: Common) -> Step:
        """Return the step at the start of a function."""
        return self._step(common, common.first)

    def follow(self, step: Step, instructions: bytes) -> Step:
        """Return the step after the instructions, and remember it. Raises ElfError if too many."""
        self._left -= len(instructions) + _CHARGE
        if self._left < 0:
            raise ElfError("has too many different unwind rules")
        rules = rules_after(step.rules, instructions, step.common)
        step[instructions] = self._step(step.common, rules)
        return step[instructions]

    def _step(self, common: Common, rules: Rules) -> Step:
        key = common, rules
        if key not in self._known:
            self._known[key] = Step(self, common, rules, self._pack(common, rules))
        return self._known[key]


def first_rules(program: bytes, common: Common) -> Rules:
    """Return the rules that the program of a CIE sets up for its functions."""
    readable = _INSTRUCTIONS.fullmatch(program)
    return rules_after(NO_RULES, program, common) if readable else LOST


def rules_after(rules: Rules, instructions: bytes, common: Common) -> Rules:
    """Return the rules after instructions that `parts` returned."""
    for instruction in _INSTRUCTION.findall(instructions):
        code = instruction[0]
        if code >= 0x80:
            if code & 0x3F not in {common.frame, common.back}:
                continue
            operands = [code & 0x3F, *_operands(_OPERANDS[code], instruction)]
            rules = _save(rules, common, code & 0xC0, operands)
        elif code in _SAVES:
            rules = _save(rules, common, code, _operands(_OPERANDS[code], instruction))
        elif code in _CFAS:
            operands = _operands(_OPERANDS[code], instruction)
            rules = rules._replace(cfa=_CFAS[code](rules.cfa, common.data_factor, *operands))
        elif code == 0x0A:
            deeper = rules.depth < _MOST_ASIDE
            rules = rules._replace(aside=rules, depth=rules.depth + 1) if deeper else LOST
        elif code == 0x0B:
            rules = rules.aside or LOST
    return rules


def _save(rules: Rules, common: Common, code: int, operands: list[int | bytes]) -> Rules:
    """Return the rules after an instruction about where one register is saved."""
    register, *value = operands
    if register == common.frame:
        return rules._replace(frame=_SAVES[code](common.first.frame, common.data_factor, *value))
    if register == common.back:
        return rules._replace(back=_SAVES[code](common.first.back, common.data_factor, *value))
    return rules


def _saved_at(_first: Saved, factor: int, offset: int) -> Saved:
    return offset * factor


def _elsewhere(_first: Saved, _factor: int, _value: object) -> Saved:
    return How.ELSEWHERE


def _in_register(_first: Saved, _factor: int, register: int) -> Saved:
    return How.IN_RDI if register == _RDI else How.ELSEWHERE


# Where a register is saved after each instruction: from the first rule, data factor and operand.
_SAVES: dict[int, Callable[..., Saved]] = {
    0x05: _saved_at,
    0x06: lambda first, _factor: first,
    0x07: lambda _first, _factor: How.UNDEFINED,
    0x08: lambda _first, _factor: How.UNCHANGED,
    0x09: _in_register,
    0x10: lambda _first, _factor, expression: expression,
    0x11: _saved_at,
    0x14: _elsewhere,
    0x15: _elsewhere,
    0x16: _elsewhere,
    0x2F: lambda _first, factor, offset: -offset * factor,
    0x80: _saved_at,
    0xC0: lambda first, _factor: first,
}


def _at_register(cfa: Cfa, _factor: int, register: int) -> Cfa:
    return (register, cfa[1]) if isinstance(cfa, tuple) else b""


def _at_offset(cfa: Cfa, _factor: int, offset: int) -> Cfa:
    return (cfa[0], offset) if isinstance(cfa, tuple) else b""


# The CFA after each instruction: from the one before, the data factor, and its operands.
_CFAS: dict[int, Callable[..., Cfa]] = {
    0x0C: lambda _cfa, _factor, register, offset: (register, offset),
    0x0D: _at_register,
    0x0E: _at_offset,
    0x0F: lambda _cfa, _factor, expression: expression,
    0x12: lambda _cfa, factor, register, offset: (register, offset * factor),
    0x13: lambda cfa, factor, offset: _at_offset(cfa, factor, offset * factor),
}


def _operands(kinds: str, instruction: bytes) -> list[int | bytes]:
    """Return the operands of an instruction that the pattern has found whole."""
    found: list[int | bytes] = []
    at = 1
    for kind in kinds:
        if kind == "b":
            found.append(instruction[at + 1 :])
            continue
        value, at = number(instruction, at, signed=kind == "s")
        found.append(value)
    return found


def number(data: bytes | memoryview, at: int, *, signed: bool = False) -> tuple[int, int]:
    """Return the LEB128 number at a place, and the place behind it. Raises IndexError."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift >= 70:
            return value - (1 << shift if signed and byte & 0x40 else 0), at
