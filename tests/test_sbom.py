"""The bill of materials and the licences of all that is shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import kscope
from tests.serving import ROOT

if TYPE_CHECKING:
    from pathlib import Path

STATIC = ROOT / "kscope/server/static"
METADATA = """\
Metadata-Version: 2.4
Name: {name}
Version: 1.0
License-Expression: {licence}
{more}"""


def test_a_bill_follows_the_schema_and_names_all(built_page: None, tmp_path: Path) -> None:
    """CycloneDX 1.6: the product, packages of Python and of the page, and who needs whom."""
    del built_page
    first, again = (made(tmp_path / name) for name in ("bom.json", "again.json"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(first) is None
    assert again == first
    bill = json.loads(first)
    product = bill["metadata"]["component"]
    assert (product["name"], product["version"]) == ("kernelscope", kscope.__version__)
    urls = {each["purl"].partition("@")[0] for each in bill["components"]}
    assert {"pkg:pypi/click", "pkg:pypi/starlette", "pkg:npm/re2js", "pkg:npm/pako"} < urls
    assert "pkg:pypi/pytest" not in urls
    (needs,) = [each for each in bill["dependencies"] if each["ref"] == product["bom-ref"]]
    assert any(each.startswith("pkg:npm/speedscope@") for each in needs["dependsOn"])


def test_the_page_of_licences_has_each_package(built_page: None) -> None:
    """All are known, and can be shipped with Apache-2.0."""
    del built_page
    done = sbom("--list", "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("licence", "problem"),
    [
        ("MIT", ""),
        ("GPL-3.0-only OR Apache-2.0", ""),
        ("GPL-3.0-only", "cannot be shipped with Apache-2.0"),
        ("MIT AND AGPL-3.0-only", "cannot be shipped with Apache-2.0"),
        ("Proprietary", "its licence is not known"),
        ("", "its licence is not known"),
    ],
)
def test_a_licence_that_does_not_fit_fails(licence: str, problem: str, tmp_path: Path) -> None:
    """Of a package that Kernelscope needs, in a folder of installed ones."""
    package(tmp_path, "kernelscope", "Apache-2.0 AND GPL-2.0-only", "Requires-Dist: other>=1\n")
    package(tmp_path, "other", licence)
    package(tmp_path, "unneeded", "Proprietary")
    done = sbom(tmp_path / "bom.json", "--of", tmp_path)
    assert done.returncode == (1 if problem else 0)
    lines = done.stderr.splitlines()
    assert len(lines) == bool(problem)
    assert all(line.startswith("other: ") and problem in line for line in lines)


def test_the_page_carries_the_texts_of_licences(built_page: None) -> None:
    """Those of what is within it, also within speedscope, which names none in its files."""
    del built_page
    text = (STATIC / "licenses.txt").read_text()
    for each in json.loads((STATIC / "packages.json").read_text()):
        assert f"{each['name']} {each['version']} ({each['license']})\n\n" in text
    assert text.count("Permission is hereby granted, free of charge") >= 9
    for holder in ("Oleksii Vasyliev", "Jamie Wong", "Khan Academy", "Mozilla Foundation"):
        assert holder in text


def made(path: Path) -> str:
    done = sbom(path)
    assert (done.returncode, done.stderr) == (0, "")
    return path.read_text()


def package(folder: Path, name: str, licence: str, more: str = "") -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name=name, licence=licence, more=more))


def sbom(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "packaging/sbom", *arguments],
        env=os.environ | {"SOURCE_DATE_EPOCH": "1767225600"},
        capture_output=True,
        text=True,
        check=False,
    )
