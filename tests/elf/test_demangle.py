"""Names of C++ and Rust as c++filt prints them; damaged and hostile ones stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kscope.elf.demangle import MAX_RESULT, demangle
from tests.elf.programs import readable

NAMES = [
    "_Z5totali",
    "_ZN4shop6Basket3addERKSt6vectorIiSaIiEE",
    "_ZN12_GLOBAL__N_16hiddenEv",
    "_ZN4shop5OrderD1Ev",
    "_ZN4shop5OrdercvbEv",
    "_ZNK4shop5OrderplERKS0_",
    "_ZThn16_N4shop5Order4sendEv",
    "_ZN6icu_786LocaleC2ERKS0_.cold",
    "_ZL9read_filePKc.part.0.isra.2",
    "_ZZN4shop4mainEvENKUliE_clEi",
    "_ZSt4moveIRN4shop5OrderEEONSt16remove_referenceIT_E4typeEOS4_",
    "_ZN4shop4callIXadL_ZNS_8callbackERKNS_5OrderEEEEEvv",
    "_ZN4shop4sendIJiPKcdEEEvDpT_",
    "_Z20_register_spawn_syncv",
    "_Z24sp_get_flags_for_commandP3LEX",
    "_ZN3std2io5stdio6_print17h0123456789abcdefE",
    "_ZN4core3fmt5Write9write_fmt17hfedcba9876543210E",
    "_ZN71_$LT$shop..Order$u20$as$u20$core..fmt..Debug$u20$$u2b$$u20$Send$GT$3fmt17h0a1b2c3d4e5f6071E",
    "_ZN64_$LT$$RF$T$u20$as$u20$core..ops..$LP$A$C$B$RP$$GT$4call17h0a1b2c3d4e5f6071E",
    "_RNvCs6GmmlP4bgsG_1r4main",
    "_RINvCs6GmmlP4bgsG_1r4flagKb1_Kc78_Kln5_EB2_",
    "_RNCNvCs6GmmlP4bgsG_1r4mains_0B3_",
    "_RNvMNtCs6GmmlP4bgsG_1r5outerNtB2_3Gen4show",
    "_RNvXCs6GmmlP4bgsG_1rReNtB2_4Walk4walk",
    "_RNvXs_Cs6GmmlP4bgsG_1rINtNtCsgEmfK2I1SDS_4core6option6OptionThjEENtB4_4Walk4walk",
    "_RINvC1r3genAThlEj3_EB2_",
    "_RINvC1r3genFUKCPhEuEB2_",
    "_RINvC1r3genDG_INtC1r2FnRL0_hEp6OutputRL0_yNtB2_4SendEL_EB2_",
    "_RINvC1r3genDNtC1r4SendEL_EB2_",
    "_RINvC1r3genFG_RL0_QShEzEB2_",
    "_RINvCs6GmmlP4bgsG_1ru9gre_5qa9alEB2_",
    "_RNvYNtC1r3FooNtB4_3Bar4walk",
    "_RNSNvC1r3foo6vtableB3_",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_cppfilt(name: str) -> None:
    """Rust's without hashes."""
    assert demangle(name) == readable([name])[0] != name


@pytest.mark.parametrize(
    "name",
    [
        "main",
        "",
        "_",
        "_Z",
        "_R",
        "_start",
        "_Zebra",
        "_Return",
        "_ZN3fooE3",
        "i",
        "Pc",
        "_RNvC1r4fo",
    ],
)
def test_other_names_stay(name: str) -> None:
    """Those of C, and such as only look like mangled ones."""
    assert demangle(name) == name


def test_parts_of_rust_functions_are_kept_and_hashes_of_llvm_are_not() -> None:
    """As rustc's own demangler does."""
    assert demangle("_RNvC1r4main.cold") == "r::main.cold"
    assert demangle("_RNvC1r4main.llvm.7E0F") == "r::main"
    assert demangle("_ZN1r4main17h0123456789abcdefE.llvm.7E0F") == "r::main"


def test_parts_are_repeated_up_to_a_bound() -> None:
    """Names of this kind are readable while they are short."""
    assert demangle(growing(3, 3)).count("x") == 1 + 3 + 9 + 27
    assert demangle(growing_rust(3)).count("u8") == 2 * (1 + 3 + 9 + 27)


DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def growing(levels: int, references: int) -> str:
    """Return a C++ name whose readable form has `references ** levels` times `x`."""
    name = "_Z1f1x"
    last = 0
    for level in range(levels):
        reference = f"S{DIGITS[last - 1] if last else ''}_"
        name += f"1aI{reference * references}E"
        last = 2 * level + 2
    return name


def growing_rust(levels: int) -> str:
    """Return a Rust name in which each tuple has the one before it three times."""
    name = "_RINvC1r1f"
    place = len(name) - 2
    name += "Thh"
    for _ in range(levels):
        digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        back = f"B{digits[place - 1]}_" if place <= len(digits) else "B10_"
        here = len(name) - 2
        name += "E" + "T" + back * 3
        place = here + 1
    return name + "E" * 2


HOSTILE = [
    *(growing(levels, 2) for levels in (10, 17)),
    growing(16, 8),
    "_Z1fI" + "J" + "i" * 400 + "EEv" + "Dp" * 40 + "T_",
    "_Z1f" + "P" * 900 + "i",
    "_Z" + "N1a" * 250 + "E" * 240,
    "_ZN1acv" + "T_I" * 200 + "i" + "E" * 200 + "Ev",
    "_Z" + "1f" * 100_000,
    "_R" + "Y" * 900,
    "_RNvC1r" + "Y" * 400,
    "_RINvC1r1f" + "R" * 900 + "hE",
    "_RINvC1r1f" + "B8_" * 300 + "E",
    "_RB_",
    "_RNvB_1a",
    "_RINvC1r1fFG" + "z" * 11 + "_hEuE",
    "_RINvC1r1f" + "D" * 300,
    "_RNvC1ru9999999_a",
    "_ZN" + "9" * 4000 + "17h0123456789abcdefE",
    *(growing_rust(levels) for levels in (5, 20)),
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:20])
def test_hostile_names_are_left_as_they_are(name: str) -> None:
    """They would take minutes and gigabytes, as some repeat the part before them in each part."""
    assert len(demangle(name)) <= max(MAX_RESULT, len(name))


PARTS = """S_ S0_ T_ I E J N 1a Dp sp F v i P X L cv C1r Nv B_ B0_ M Y R T A K G_ D p u3a_b s_ _"""


@given(st.sampled_from(["_Z", "_R", "_ZN"]), st.lists(st.sampled_from(PARTS.split()), max_size=60))
def test_no_name_is_an_error(start: str, parts: list[str]) -> None:
    """A result is text, and of bounded length."""
    name = start + "".join(parts)
    assert 0 < len(demangle(name)) <= max(MAX_RESULT, len(name))


@given(st.text(max_size=80))
def test_no_text_is_an_error(text: str) -> None:
    """Names of a damaged table have any characters."""
    for start in ("", "_Z", "_R", "_ZN1"):
        assert len(demangle(start + text)) <= max(MAX_RESULT, len(start + text))
