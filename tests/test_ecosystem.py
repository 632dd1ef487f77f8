"""A few small packages of ``make ecosystem``, where they can be had, and its table."""

from __future__ import annotations

from pathlib import Path

import pytest
from ecosystem import NotFetchedError, Package, convert, packages, recorded, same, write_record

SMALL = {"octavia", "sqlalchemy-mptt", "ziggurat-foundations"}


@pytest.mark.parametrize(
    "package", [one for one in packages() if one.name in SMALL], ids=lambda one: one.name
)
def test_a_released_package_is_converted_as_recorded(package: Package) -> None:
    try:
        line = convert(package)
    except NotFetchedError as error:
        pytest.skip(f"the archive cannot be fetched: {error}")
    assert same(line, recorded()[package.name])


def test_every_package_is_recorded() -> None:
    assert list(recorded()) == [one.name for one in packages()]


def test_the_record_keeps_what_was_verified_as_long_as_it_fits(tmp_path: Path) -> None:
    first, second, third = (f"{one.name} {one.version}" for one in packages()[:3])
    record = tmp_path / "record.md"
    record.write_text(
        f"# Title\n\n| Package | |\n|---|---|\n| {first} | 1 | 2 | 3 |  |  | identical |\n"
        f"| {second} | 1 | 2 | 3 |  |  | identical |\n| {third} | 1 | 2 | 3 |  |  |  |\n"
    )
    names = [one.name for one in packages()]
    new = [f"| {first} | 1 | 2 | 3 |  |  |", f"| {second} | 1 | 1 | 3 | BP201 1 |  |"]
    assert [same(line, recorded(record)[name]) for name, line in zip(names, new, strict=False)] == [
        True,
        False,
    ]
    write_record(dict(zip(names, new, strict=False)), record)
    assert record.read_text().splitlines() == [
        "# Title",
        "",
        "| Package | |",
        "|---|---|",
        f"| {first} | 1 | 2 | 3 |  |  | identical |",
        f"| {second} | 1 | 1 | 3 | BP201 1 |  |  |",
        f"| {third} | 1 | 2 | 3 |  |  |  |",
    ]
