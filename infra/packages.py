"""Checks of the packages that `sam build` made: their size, and whether Lambda can run them.

`python infra/packages.py` prints a table and fails on an error. `pytest infra/packages.py` tests that it does.
"""

import io
import os
import pathlib
import re
import sys
import zipfile

import pytest

from checks import BINARIES, ROOT

BUILD = ROOT / ".aws-sam" / "build"

# Our limit; that of Lambda is 50 MB. A smaller package starts faster after a deployment.
MOST_BYTES = 5_000_000

# The C library of provided.al2023.
NEWEST_GLIBC = (2, 34)

ARCHITECTURES = {62: "x86_64", 183: "arm64"}


def package(directory):
    """The zip that `sam package` would upload."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            archive.write(path, path.relative_to(directory))
    return content.getvalue()


def glibc(binary):
    """The newest version of the C library that the binary asks for."""
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", binary)
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def rows(build):
    """For each function: its name, what its package holds, its bytes zipped and not, its C library, its processor."""
    for resource in BINARIES:
        directory = build / resource
        binary = directory / "bootstrap"
        if not binary.is_file():
            yield resource, [], 0, 0, (0, 0), None
            continue
        content = binary.read_bytes()
        machine = ARCHITECTURES.get(int.from_bytes(content[18:20], "little"))
        yield resource, os.listdir(directory), len(package(directory)), len(content), glibc(content), machine


def problems(build):
    for resource, files, zipped, _, version, machine in rows(build):
        if files != ["bootstrap"]:
            yield f"the package of {resource} holds {files}"
            continue
        if zipped > MOST_BYTES:
            yield f"the package of {resource} has {zipped} bytes, of at most {MOST_BYTES}"
        if version > NEWEST_GLIBC:
            yield f"{resource} wants glibc {version[0]}.{version[1]}, which provided.al2023 does not have"
        if machine is None:
            yield f"{resource} is made for a processor that Lambda does not have"


@pytest.fixture
def build(tmp_path):
    for resource in BINARIES:
        (tmp_path / resource).mkdir()
        header = bytearray(64)
        header[18] = 62
        (tmp_path / resource / "bootstrap").write_bytes(bytes(header) + b"GLIBC_2.9 GLIBC_2.34")
    return tmp_path


def test_good_packages_are_accepted(build):
    assert list(problems(build)) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0" * 18 + b"\x3e\0" + os.urandom(MOST_BYTES), "at most"),
        (b"\0" * 18 + b"\x3e\0GLIBC_2.35", "glibc 2.35"),
        (b"\0" * 18 + b"\xf3\0", "processor"),
    ],
    ids=["too large", "too new", "another processor"],
)
def test_bad_package_is_found(build, content, said):
    (build / "AiFunction" / "bootstrap").write_bytes(content)
    assert [said in problem and "AiFunction" in problem for problem in problems(build)] == [True]


def test_missing_and_overfull_packages_are_found(build):
    (build / "RosFunction" / "bootstrap").unlink()
    (build / "AiFunction" / ".env").write_text("")
    assert len(list(problems(build))) == 2


if __name__ == "__main__":
    print("| function | package, MB | binary, MB | processor | glibc |\n|---|---|---|---|---|")
    for resource, _, zipped, size, version, machine in rows(BUILD):
        print(f"| {BINARIES[resource]} | {zipped / 1e6:.2f} | {size / 1e6:.2f} | {machine} | {version[0]}.{version[1]} |")
    found = list(problems(BUILD))
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    sys.exit(bool(found))
