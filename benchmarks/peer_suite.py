"""SQLAlchemy's own tests, before and after backpop has converted them: every outcome must stay the same.

``make peer-suite`` takes a pinned source archive (checked, kept in ``.cache``), converts its ``test/orm``
and ``examples`` in place and runs ``test/orm``, on SQLite, in both trees; with paths, those tests. It lists
what failed before and after, and every test with another outcome. Exits with 1 if one of those is not
explained in ``EXPLAINED``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "peer-suite"
VERSION = "2.0.58"
HASH = "sha256:2acdcec9836b7c1514a9ad426e7731669a1186d96481a2e82c50bf2aebb49061"
WIDTH = 110  # of what is shown of an outcome
FOLDERS = ("test/orm", "examples")

_REFLECTED = "x == remote(y) is y = x in SQL, for Python asks the operand of the subclass first"
EXPLAINED = {
    "test.orm.inheritance.test_poly_loading.LoaderOptionsTest.test_options_dont_pollute": (
        "in a class body relationships come before columns, so a SELECT has them in another order"
    ),
    "test.orm.test_mapper.ConfigureOrNotConfigureTest.test_backrefs[False]": (
        "expects that the reverse is not there before the mappers are configured"
    ),
    "test.orm.test_mapper.MapperTest.test_prop_shadow": (
        "expects that a reverse with the name of a column is refused no earlier than in configure_mappers()"
    ),
    "test.orm.test_relationships.CompositeSelfRefFKTest.test_annotated": _REFLECTED,
    "test.orm.test_relationships.CompositeSelfRefFKTest.test_annotated_no_overwriting": _REFLECTED,
}
"""Tests that an explicit pair gives another outcome, with the reason."""


def archive() -> Path:
    """The source archive, downloaded by pip, which checks the hash, where it is not there yet."""
    path = CACHE / f"sqlalchemy-{VERSION}.tar.gz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        wanted = CACHE / "requirements.txt"
        wanted.write_text(f"SQLAlchemy=={VERSION} --hash={HASH}\n")
        command = ["-m", "pip", "download", "--no-deps", "--no-binary", "SQLAlchemy", "--require-hashes"]
        subprocess.run([sys.executable, *command, "-r", wanted, "-d", CACHE], check=True)
    return path


def unpacked(name: str) -> Path:
    """A fresh copy of the sources."""
    tree = CACHE / name
    shutil.rmtree(tree, ignore_errors=True)
    with tarfile.open(archive()) as packed:
        packed.extractall(tree, filter="data")
    return tree / f"sqlalchemy-{VERSION}"


def convert(tree: Path) -> None:
    """Convert a tree in place, and show what backpop says of it but for each single refusal."""
    command = [sys.executable, "-m", "backpop.cli", "to-back-populates", *FOLDERS]
    done = subprocess.run([*command, "--write"], cwd=tree, stderr=subprocess.PIPE, check=True)
    for line in done.stderr.decode().splitlines():
        if not re.match(r"\S+:\d+:\d+: ", line):
            print(line, flush=True)
    again = subprocess.run([*command, "--check", "--quiet"], cwd=tree, stdout=subprocess.PIPE, check=False)
    if again.stdout:
        raise SystemExit(f"a second run would change {again.stdout.decode()}")


def outcomes(tree: Path, tests: list[str], workers: int) -> dict[str, str]:
    """Run tests in a tree; the outcome of each by its name, with the first line of what went wrong."""
    report = tree.parent / "junit.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", *tests, "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "lib")}
    with (tree.parent / "pytest.log").open("wb") as log:
        subprocess.run(
            [*command, "-n", str(workers)], cwd=tree, env=environment, stdout=log, stderr=log, check=False
        )
    if not report.exists():
        raise SystemExit(f"pytest made no report; see {log.name}")
    found: dict[str, str] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        failed = [part for part in case if part.tag in {"failure", "error", "skipped"}]
        lines = [f"{part.tag}: {part.get('message', '')}".partition("\n")[0] for part in failed]
        name = f"{case.get('classname')}.{case.get('name')}"
        found[name] = re.sub(r"0x[0-9a-f]+", "0x", "; ".join(lines)) or "passed"
    return found


def show(when: str, found: dict[str, str]) -> None:
    """Print how many tests had which outcome, and those that failed."""
    counts = Counter(outcome.partition(":")[0] for outcome in found.values())
    print(f"{when}: {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}")
    for name, outcome in sorted(found.items()):
        if outcome.startswith(("failure", "error")):
            print(f"  {name}\n    {outcome[:WIDTH]}")


def main(
    paths: Annotated[list[str] | None, typer.Argument(help="The tests to run; test/orm, if none.")] = None,
    workers: Annotated[int, typer.Option("--workers", "-n", help="Processes to run the tests in.")] = 2,
) -> None:
    """Compare the outcomes of SQLAlchemy's ORM tests before and after a conversion."""
    trees = {"before": unpacked("before"), "after": unpacked("after")}
    convert(trees["after"])
    found: dict[str, dict[str, str]] = {}
    for when, tree in trees.items():
        began = time.monotonic()
        found[when] = outcomes(tree, paths or ["test/orm"], workers)
        print(f"{when}: {len(found[when])} tests in {time.monotonic() - began:.0f} s", flush=True)
    for when, results in found.items():
        show(when, results)
    old, new = found.values()
    different = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    print(f"{len(different)} tests have another outcome")
    for name in different:
        print(f"  {name}\n    before: {old.get(name, 'missing')[:WIDTH]}")
        print(f"    after: {new.get(name, 'missing')[:WIDTH]}")
        print(f"    {EXPLAINED.get(name, 'NOT EXPLAINED')}")
    stale = sorted(EXPLAINED.keys() & old.keys() - set(different))
    for name in stale:
        print(f"{name} is explained, and has the same outcome")
    raise typer.Exit(int(bool(stale or set(different) - EXPLAINED.keys())))


if __name__ == "__main__":
    typer.run(main)
