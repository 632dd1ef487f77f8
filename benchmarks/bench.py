"""How long whole runs take, beside the least that they can cost and beside other tools.

Everything is prepared below ``.cache/bench``: source archives from the package index (``archives.txt``, with
their hashes), synthetic trees, and an environment for the other tools (``peers.txt``). The commands of one
table run in turns, so that a busy machine slows all of them, and each number is a median.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
CACHE = ROOT / ".cache" / "bench"
RUNS = 5
_FEW = 100  # files: as many as have one module of models, so that all of a run is loaded
LONG = 20  # seconds: what takes longer runs twice only

_FILLER = '''"""Synthetic module {number}: what a file without models looks like."""

import logging
from collections import defaultdict

LOG = logging.getLogger(__name__)


class Service{number}:
    """Counts what it is given."""

    def __init__(self, limit=10):
        self.limit = limit
        self.seen = defaultdict(int)

{methods}
def make_service_{number}(settings):
    """The service, as the settings say."""
    return Service{number}(limit=settings.get("limit", 10))
'''
_METHOD = '''    def step_{step}(self, items, *, strict=False):
        """Take some items, and tell which of them are new."""
        fresh = [item for item in items if item not in self.seen]
        for item in items:
            self.seen[item] += 1
            if strict and self.seen[item] > self.limit:
                raise ValueError(f"{{item!r}} was seen {{self.seen[item]}} times")
        LOG.debug("step {step}: %d of %d", len(fresh), len(items))
        return fresh

'''
_BASE = """from sqlalchemy.orm import declarative_base

Base = declarative_base()
"""
_MODELS = '''"""Synthetic models {number}."""

from sqlalchemy import Column, DateTime, ForeignKey, Integer, String
from sqlalchemy.orm import backref, relationship

from app.base import Base


class Owner{number}(Base):
    __tablename__ = "owner_{number}"
    id = Column(Integer, primary_key=True)
    name = Column(String(50), nullable=False)


class Item{number}(Base):
    __tablename__ = "item_{number}"
    id = Column(Integer, primary_key=True)
    created = Column(DateTime)
    owner_id = Column(ForeignKey("owner_{number}.id"))
    owner = relationship("Owner{number}", backref=backref("items", cascade="all, delete-orphan"))
    group_id = Column(ForeignKey("owner_{other}.id"))
    group = relationship("Owner{other}", backref="members_{number}")
'''


@dataclass(frozen=True)
class Command:
    """What is measured: a command line, and the variables that it needs."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Timing:
    """The runs of one command: seconds by the clock and of the processor, and the most memory, in MB."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: float = 0

    def add(self, wall: float, cpu: float, memory: float) -> None:
        self.wall.append(wall)
        self.cpu.append(cpu)
        self.memory = max(self.memory, memory)

    @property
    def seconds(self) -> float:
        """The median by the clock."""
        return statistics.median(self.wall)


def run_once(command: Command, folder: Path) -> tuple[float, float, float]:
    """One run in a folder: seconds by the clock, seconds of the processor, peak memory in MB.

    A tool's status 1 says that it found something; raises ``RuntimeError`` for a higher one.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command.words,
        cwd=folder,
        env={**os.environ, **command.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    if process.returncode not in {0, 1}:
        raise RuntimeError(f"{' '.join(command.words[:6])}: status {process.returncode}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def measure(commands: Mapping[str, Command], folder: Path, runs: int = RUNS) -> dict[str, Timing]:
    """Run commands in turns, after one turn that does not count but for those that take long."""
    timings = {name: Timing() for name in commands}
    for turn in range(-1, runs):
        for name, command in commands.items():
            timing = timings[name]
            if timing.wall and timing.wall[0] > LONG and turn > 0:
                continue
            found = run_once(command, folder)
            if turn >= 0 or found[0] > LONG:
                timing.add(*found)
    return timings


def table(title: str, timings: Mapping[str, Timing], base: str) -> Iterator[str]:
    """The lines of a Markdown table; the last column compares with the command that is named ``base``."""
    yield f"### {title}"
    yield ""
    yield f"| command | seconds | of the processor | MB | runs | {base} is |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, timing in timings.items():
        ratio = timing.seconds / timings[base].seconds
        compared = (
            "" if name == base else f"{ratio:.1f} x faster" if ratio >= 1 else f"{1 / ratio:.2f} x slower"
        )
        yield (
            f"| {name} | {timing.seconds:.2f} | {statistics.median(timing.cpu):.2f} "
            f"| {timing.memory:.0f} | {len(timing.wall)} | {compared} |"
        )
    yield ""


# -- what is measured


def backpop(sources: Path, *arguments: str) -> Command:
    """Our own command, from a checkout."""
    link = CACHE / "import" / "-".join(sources.parts[1:])
    for name in ("cli", "codemods"):
        target = link / "backpop" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(sources / name)
    # compiled, as an installed package is, whatever this shell says
    environment = {"PYTHONPATH": str(link), "PYTHONDONTWRITEBYTECODE": ""}
    # -P: the tree that is read may have modules of any name
    return Command([sys.executable, "-P", "-m", "backpop.cli", *arguments], environment)


def dry_run(sources: Path = ROOT) -> Command:
    return backpop(sources, "to-back-populates")


def python(*arguments: str) -> Command:
    return Command([sys.executable, *arguments])


def peers(tree: Path) -> tuple[dict[str, Command], list[str]]:
    """What other tools take for the same files, and the names of those that are not there."""
    tools = CACHE / "peers"
    if not (tools / "bin" / "pip").exists():
        subprocess.run([sys.executable, "-m", "venv", tools], check=True)
    for requirement in (HERE / "peers.txt").read_text("utf-8").split():
        install = [tools / "bin" / "pip", "install", "--quiet", requirement]
        subprocess.run(install, check=False, capture_output=True)
    copy = tree.with_name(f"{tree.name}-pyupgrade")  # it can only write
    if not copy.exists():
        shutil.copytree(tree, copy)
    files = [str(path) for path in sorted(copy.rglob("*.py"))]
    noop = [
        sys.executable,
        "-m",
        "libcst.tool",
        "codemod",
        "--no-format",
        "--hide-progress",
        "-x",
        "noop.NoOp",
    ]
    wanted = {
        "libcst.tool codemod, no-op": Command([*noop, "."], {"PYTHONPATH": str(HERE)}),
        "pyupgrade": Command([str(tools / "bin" / "pyupgrade"), "--exit-zero-even-if-changed", *files]),
        "ruff check --no-cache": Command(
            [str(tools / "bin" / "ruff"), "check", "--no-cache", "--isolated", "-q", "."]
        ),
        "ast-grep": Command(
            [
                str(tools / "bin" / "ast-grep"),
                "run",
                "-l",
                "python",
                "-p",
                "relationship($$$, backref=$X)",
                ".",
            ]
        ),
        "ripgrep": Command(["rg", "-lw", "backref", "."]),
        "git grep": Command(["git", "grep", "-lw", "backref"]),
    }
    found = {name: command for name, command in wanted.items() if shutil.which(command.words[0])}
    return found, sorted(wanted.keys() - found.keys())


# -- what it is measured on


def archives() -> Iterator[tuple[str, Path]]:
    """The source archives, unpacked, each in a git work tree."""
    requirements = HERE / "archives.txt"
    names = [line.partition("==")[0] for line in requirements.read_text("utf-8").splitlines()]
    store = CACHE / "archives"
    marker = store / ".done"
    if not marker.exists() or marker.stat().st_mtime < requirements.stat().st_mtime:
        store.mkdir(parents=True, exist_ok=True)
        fetch = ["download", "--no-deps", "--require-hashes", "--no-binary", ",".join(names)]
        subprocess.run(
            [sys.executable, "-m", "pip", *fetch, "--requirement", requirements, "--dest", store], check=True
        )
        marker.touch()
    for line in requirements.read_text("utf-8").splitlines():
        name, _, version = line.split()[0].partition("==")
        archive = next(
            path for path in store.iterdir() if path.name.lower() == f"{name}-{version}.tar.gz".lower()
        )

        def unpack(folder: Path, archive: Path = archive) -> None:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")

        yield f"{name} {version}", prepared(f"{name}-{version}", unpack)


def without_backref(tree: Path) -> Path:
    """The same tree without the files that mention a backref."""

    def copy(folder: Path) -> None:
        shutil.copytree(tree, folder, ignore=shutil.ignore_patterns(".git"), dirs_exist_ok=True)
        for path in folder.rglob("*.py"):
            if b"backref" in path.read_bytes():
                path.unlink()

    return prepared(f"{tree.name}-without", copy)


def synthetic(size: int) -> Path:
    """A tree of ``size`` files, one of a hundred with models."""

    def make(folder: Path) -> None:
        every = 100
        for start in range(0, size, every):
            package = folder / "app" / f"part{start // every:04}"
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
            number, other = start // every, max(start // every - 1, 0)
            (package / "models.py").write_text(_MODELS.format(number=number, other=other), "utf-8")
            for index in range(start, start + min(every, size - start) - 2):
                methods = "".join(_METHOD.format(step=step) for step in range(4 + index % 9))
                (package / f"service{index}.py").write_text(
                    _FILLER.format(number=index, methods=methods), "utf-8"
                )
        (folder / "app" / "base.py").write_text(_BASE, "utf-8")
        (folder / "app" / "__init__.py").touch()

    return prepared(f"synthetic-{size}", make)


def prepared(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made when it is first asked for, with all its files added to git."""
    folder = CACHE / "trees" / name
    if not folder.exists():
        fresh = folder.with_name(f"{name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        make(fresh)
        for command in (["init", "--quiet"], ["add", "--all"]):
            subprocess.run(["git", "-C", fresh, *command], check=True, capture_output=True)
        fresh.rename(folder)
    return folder


# -- the commands


def compare_peers(runs: int) -> Iterator[str]:
    """backpop, the floor and other tools on real packages."""
    for name, tree in archives():
        others, missing = peers(tree)
        commands = {"backpop": dry_run(), "floor": python(str(HERE / "floor.py")), **others}
        yield from table(name, measure(commands, tree, runs), "backpop")
        if missing:
            yield f"Not there, so not measured: {', '.join(missing)}."
            yield ""
        plain = {
            "backpop": dry_run(),
            "import typer": python("-c", "import typer"),
            "reading": python(str(HERE / "reading.py")),
        }
        timings = measure(plain, without_backref(tree), runs)
        yield from table(f"{name}, without the files that mention a backref", timings, "backpop")


def compare_sizes(sizes: Sequence[int], runs: int) -> Iterator[str]:
    """Time per file, beyond that of a tree of ``_FEW`` files with a pair, and memory."""
    yield "### Size"
    yield ""
    yield "| files | seconds | microseconds for each file | MB |"
    yield "|---:|---:|---:|---:|"
    least = measure({"": dry_run()}, synthetic(_FEW), runs)[""].seconds
    for size in sizes:
        timing = measure({"": dry_run()}, synthetic(size), runs)[""]
        each = (timing.seconds - least) / (size - _FEW) * 1e6
        yield f"| {size} | {timing.seconds:.2f} | {each:.0f} | {timing.memory:.0f} |"
    yield ""


def compare_revisions(base: str, runs: int) -> Iterator[str]:
    """This checkout against another revision."""
    checkout = CACHE / "base"
    git = ["git", "-C", ROOT, "worktree"]
    subprocess.run([*git, "remove", "--force", checkout], check=False, capture_output=True)
    subprocess.run([*git, "add", "--quiet", "--detach", checkout, base], check=True)
    try:
        trees = [*archives(), ("synthetic, 1000 files", synthetic(1000))]
        for name, tree in trees:
            timings = measure({"here": dry_run(), base: dry_run(checkout)}, tree, runs)
            yield from table(name, timings, "here")
    finally:
        subprocess.run([*git, "remove", "--force", checkout], check=False)


def main(
    base: Annotated[str, typer.Option(help="Compare with this revision, and with nothing else.")] = "",
    quick: Annotated[bool, typer.Option(help="Fewer runs, and no tree of 100,000 files.")] = False,
) -> None:
    runs = 2 if quick else RUNS
    sizes = [1_000, 10_000] if quick else [1_000, 10_000, 100_000]
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}\n")
    lines = (
        compare_revisions(base, runs)
        if base
        else (line for part in (compare_peers(runs), compare_sizes(sizes, runs)) for line in part)
    )
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
