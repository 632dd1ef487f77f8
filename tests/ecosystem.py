"""Convert released packages and compare with what is recorded: ``make ecosystem``, by hand and now and then.

Of each package of ``ecosystem.toml``, the archive with the pinned hash is fetched and unpacked into a git
work tree of its own. No code of it runs, unless it is to be verified. What holds for every package:

* no command ends with a traceback, and the conversion reads every file that Python can parse;
* ``git apply`` takes the diff, and makes the very bytes that ``--write`` writes;
* every changed file still compiles, and a second run changes nothing;
* ``audit`` and the way back work on the result, and ``git apply`` takes the diff of that too.

How many backrefs are converted and left, by code, is compared with the table in the documentation, and with
``--record`` written there: a change of behaviour shows in review.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

from unearth import PackageFinder, UnpackError

from backpop.codemods.plan.model import Report
from backpop.codemods.run import Outcome, Settings, to_back_populates

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = Path(__file__).with_suffix(".toml")
RECORD = ROOT / "docs" / "about" / "real-code.md"
CACHE = ROOT / ".cache" / "ecosystem"
BARS = 8  # of a whole line of the table

GIT = ("git", "-c", "core.autocrlf=")
BACKPOP = (sys.executable, "-m", "backpop.cli")


class FailedError(Exception):
    """Something that holds for every package does not hold for one."""


class NotFetchedError(Exception):
    """The archive of a package is not in the cache, and cannot be fetched."""


@dataclass(frozen=True)
class Package:
    """What ``ecosystem.toml`` says of one package.

    ``modules`` are what SQLAlchemy is to map, each also by itself if ``alone``, in an environment with the
    package and what it ``requires`` beside its own ``dependencies``, or in place of them, and with these
    variables, once Python has run ``setup``; what matches one of ``exclude`` is not verified.
    """

    name: str
    version: str
    sha256: str
    modules: Sequence[str] = ()
    alone: bool = True
    dependencies: bool = True
    exclude: Sequence[str] = ()
    requires: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    setup: str = ""

    @property
    def requirement(self) -> str:
        """Exactly this version."""
        return f"{self.name}=={self.version}"

    @property
    def folder(self) -> Path:
        """What is kept of it between runs."""
        return CACHE / f"{self.name}-{self.version}"

    def archive(self) -> Path:
        """The file with the pinned hash, fetched if it is not there. Raises :class:`NotFetchedError`."""
        folder = self.folder / "archive"
        if not folder.exists():
            hashes = {"sha256": [self.sha256]}
            finder = PackageFinder(ignore_compatibility=True)
            with TemporaryDirectory(prefix="ecosystem-") as aside:
                try:
                    found = finder.find_matches(self.requirement, allow_prereleases=True, hashes=hashes)
                    link, kept = found[0].link, Path(aside, "archive")
                    finder.download_and_unpack(link, kept if link.is_wheel else Path(aside), kept, hashes)
                except UnpackError:  # another hash
                    raise
                except Exception as error:  # a network fails in many ways
                    raise NotFetchedError(f"{self.requirement}: {error!r}") from error
                self.folder.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(aside, "archive"), folder)
        (archive,) = folder.iterdir()
        return archive


def packages() -> list[Package]:
    """All packages, in the order of the file."""
    entries: dict[str, dict[str, Any]] = tomllib.loads(PACKAGES.read_text("utf-8"))
    return [Package(name, **entry) for name, entry in entries.items()]


# -- one package


def convert(package: Package, verifying: bool = False) -> str:
    """Try everything on one package. Returns its line of the table, without the last column if not verified.

    Raises :class:`FailedError`, and :class:`NotFetchedError` if there is no archive.
    """
    archive = package.archive()
    with TemporaryDirectory(prefix="ecosystem-") as folder:
        tree = _unpacked(archive, Path(folder).resolve() / "tree")
        _run([*GIT, "init", "-q"], tree)
        _run([*GIT, "add", "-A", "-f"], tree)
        released = _run([*GIT, "write-tree"], tree).stdout.decode().strip()
        outcome = to_back_populates([tree], Settings())
        _check_conversion(tree, outcome)
        _check_way_back(tree)
        columns = [f"{package.name} {package.version}", *_counts(outcome)]
        if verifying and package.modules:
            _run([*GIT, "checkout", "-q", released, "--", "."], tree)
            columns.append(_verified(package, tree))
    return "| " + " | ".join(columns) + " |"


def _unpacked(archive: Path, folder: Path) -> Path:
    """The top of the files of an archive, without what browsers are sent."""

    def is_wanted(name: str) -> bool:
        return name.endswith(".py") or not re.search(r"/(static|node_modules)/", name)

    if archive.suffix == ".whl":
        with ZipFile(archive) as wheel:
            wheel.extractall(folder, [name for name in wheel.namelist() if is_wanted(name)])
        return folder
    with tarfile.open(archive) as source:
        source.extractall(folder, (one for one in source if is_wanted(one.name)), filter="data")
    (top,) = folder.iterdir()
    return top


def _check_conversion(tree: Path, outcome: Outcome) -> None:
    expected = 2 if outcome.problems else 0
    diff = _backpop(tree, "to-back-populates", expected=expected).stdout
    _apply(tree, diff)
    applied = _changed(tree)
    if applied.keys() != {change.path.relative_to(tree).as_posix() for change in outcome.changes}:
        raise FailedError("the applied diff is not what was planned")
    _run([*GIT, "checkout", "-q", "."], tree)
    _backpop(tree, "to-back-populates", "--write", expected=expected)
    if _changed(tree) != applied:
        raise FailedError("--write does not write what the diff says")
    for name, data in applied.items():
        compile(data, name, "exec", dont_inherit=True)
    if _backpop(tree, "to-back-populates", expected=expected).stdout:
        raise FailedError("a second run changes something")
    _run([*GIT, "add", "-u"], tree)


def _check_way_back(tree: Path) -> None:
    _backpop(tree, "audit", expected=None)
    diff = _backpop(tree, "to-backref", "--options", "--many-to-many", expected=None).stdout
    _apply(tree, diff)
    for name, data in _changed(tree).items():
        compile(data, name, "exec", dont_inherit=True)


def _apply(tree: Path, diff: bytes) -> None:
    if diff:
        _run([*GIT, "apply", "--whitespace=nowarn", "-"], tree, given=diff)


def _changed(tree: Path) -> dict[str, bytes]:
    """The bytes of the files that differ from what is in git's index."""
    names = _run([*GIT, "diff", "--name-only", "-z"], tree).stdout.decode().split("\0")
    return {name: (tree / name).read_bytes() for name in names if name}


def _backpop(tree: Path, *arguments: str, expected: int | None) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([*BACKPOP, *arguments], cwd=tree, capture_output=True, check=False)
    if b"Traceback" in done.stderr or (
        done.returncode not in {0, 2} if expected is None else done.returncode != expected
    ):
        message = done.stderr.decode(errors="replace")[-2000:]
        raise FailedError(f"{' '.join(arguments)}: status {done.returncode}\n{message}")
    return done


def _run(
    command: Sequence[str], folder: Path, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, check=False)
    if done.returncode:
        raise FailedError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done


def _counts(outcome: Outcome) -> list[str]:
    """The columns of what was found: files, conversions, files changed, what is left, and notes."""
    return [
        str(outcome.files),
        str(len(outcome.conversions)),
        str(len(outcome.changes)),
        _by_code((*outcome.problems, *outcome.refusals)),
        _by_code(outcome.notes),
    ]


def _by_code(reports: Iterable[Report]) -> str:
    return ", ".join(
        f"{code} {count}" for code, count in sorted(Counter(one.code for one in reports).items())
    )


# -- verification


def _verified(package: Package, tree: Path) -> str:
    """What ``backpop verify`` says, with the package installed in an environment of its own."""
    python = _installed(package)
    command = [*BACKPOP, "verify", "--python", str(python), "--verify-timeout", "600"]
    command += [] if package.alone else ["--no-verify-alone"]
    command += [f"--exclude={pattern}" for pattern in package.exclude]
    command += ["--verify-setup", package.setup] if package.setup else []
    home = tree.parent / "home"  # some write there when they are imported
    home.mkdir()
    environment = {**os.environ, **package.environment, "HOME": str(home)}
    done = subprocess.run(
        [*command, *package.modules, "."],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^(\d+ relationships?, \d+ sides?): identical", done.stderr, re.MULTILINE)
    if done.returncode or found is None:
        raise FailedError(f"verify: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return f"{found[1]}: identical"


def _installed(package: Package) -> Path:
    """The interpreter of an environment that has the package."""
    folder = package.folder / "venv"
    python = folder / "bin" / "python"
    ready = folder.with_name(".ready")
    if not ready.exists():
        venv.create(folder, clear=True, with_pip=False, symlinks=True)
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        if package.dependencies:
            _run([*command, package.requirement, *package.requires], CACHE)
        else:
            _run([*command, "--no-deps", package.requirement], CACHE)
            _run([*command, *package.requires], CACHE)
        ready.touch()
    return python


# -- the record


def recorded(path: Path = RECORD) -> dict[str, str]:
    """The lines of the recorded table, by package."""
    lines = path.read_text("utf-8").splitlines()
    return {line.split()[1]: line for line in lines if re.match(r"\| [a-z][\w-]+ \d", line)}


def same(line: str, record: str | None) -> bool:
    """Whether a line of the table says what is recorded; one that was not verified need not say that."""
    return record is not None and (line == record or record.startswith(f"{line} "))


def write_record(lines: dict[str, str], path: Path = RECORD) -> None:
    """Put lines into the table, in the order of the packages; what was verified before stays if it fits."""
    old = recorded(path)
    rows = []
    for package in packages():
        line, record = lines.get(package.name), old.get(package.name)
        if line is None:
            rows.append(record or "")
        elif line.count("|") < BARS:
            rows.append(record if record is not None and same(line, record) else f"{line}  |")
        else:
            rows.append(line)
    head = [line for line in path.read_text("utf-8").splitlines() if line not in old.values()]
    path.write_text("\n".join([*head, *filter(None, rows)]) + "\n", "utf-8")


def main() -> int:
    """Convert the packages that are named, all if none is, and compare with the record."""
    parser = argparse.ArgumentParser(description="Convert released packages, and compare with the record.")
    parser.add_argument("names", nargs="*", metavar="PACKAGE", help="only these")
    parser.add_argument(
        "--verify", action="store_true", help="also install some, and let SQLAlchemy map them"
    )
    parser.add_argument("--record", action="store_true", help="write the table instead of comparing with it")
    arguments = parser.parse_args()
    chosen = [one for one in packages() if not arguments.names or one.name in arguments.names]
    lines: dict[str, str] = {}
    wrong = 0
    record = recorded()

    def tried(package: Package) -> str | Exception:
        try:
            return convert(package, arguments.verify)
        except Exception as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for package, result in zip(chosen, pool.map(tried, chosen), strict=True):
            if isinstance(result, str):
                lines[package.name] = result
                print(result, flush=True)
                if not arguments.record and not same(result, record.get(package.name)):
                    wrong += 1
                    print(f"  differs from what is recorded:\n{record.get(package.name)}")
            else:
                wrong += 1
                print(f"{package.name}: {type(result).__name__}: {result}", flush=True)
    if arguments.record:
        write_record(lines)
    print(f"{len(chosen)} packages, {wrong} with something to look at")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
