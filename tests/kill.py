"""``--write`` disturbed at random moments: what is on the disk then, and what the next run makes of it.

    python tests/kill.py --runs 500 [--twice]

The command runs in a process of its own, forked from this one so that it starts at once, and is killed: in
two of five runs at a moment of the writing (of changes that were planned before), in two while files are
being replaced, which is the shortest part of it, in the others at any moment at all. Then each file must hold
its old bytes, its new ones, or the old ones with the additions alone; modes and links must be as they were;
nothing may lie about but temporary files of its own; and an undisturbed run must end with the bytes that it
would have made of the untouched tree, with no temporary file left.

With ``--twice`` a second run starts while the first is at work. One of them must do all of it, and the other
either find nothing to do or end with status 2.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tool import plan

from backpop.cli.main import main
from backpop.codemods.edits import FileChange
from backpop.codemods.write import write_changes

DIRECTIONS = (("to-back-populates",), ("to-backref", "--options", "--many-to-many"))

_BASE = "from sqlalchemy.orm import declarative_base\n\nBase = declarative_base()\n"
_PARENT = """\
from sqlalchemy import Column, ForeignKey, Integer, Table
from sqlalchemy.orm import backref, relationship

from models.base import Base


class Parent{n}(Base):
    __tablename__ = "parent{n}"
    id = Column(Integer, primary_key=True)  # the key
    favourite_id = Column(ForeignKey("child{n}.id"))
    favourite = relationship("Child{n}", foreign_keys=[favourite_id], backref=backref("fans", lazy="joined"))


class Note{n}(Base):
    __tablename__ = "note{n}"
    id = Column(Integer, primary_key=True)
    parent_id = Column(ForeignKey("parent{n}.id"))
    parent = relationship(Parent{n}, backref="notes")
"""
_CHILD = """\
from sqlalchemy import Column, ForeignKey, Integer, Table
from sqlalchemy.orm import relationship

from models.base import Base


class Child{n}(Base):
    __tablename__ = "child{n}"
    id = Column(Integer, primary_key=True)
    parent_id = Column(ForeignKey("parent{n}.id"))
    parent = relationship("Parent{n}", backref="children", foreign_keys=[parent_id])
"""
_TEMPORARY = ".backpop-"

State = dict[str, tuple[bytes, int, str | None]]


def make_tree(folder: Path, pairs: int) -> None:
    """Write a package of two modules for each pair: odd modes, odd line ends, and a link among them."""
    models = folder / "models"
    models.mkdir(parents=True)
    (models / "__init__.py").write_bytes(b"")
    (models / "base.py").write_text(_BASE, "utf-8")
    for number in range(pairs):
        for name, template in (("parent", _PARENT), ("child", _CHILD)):
            path = models / f"{name}{number:04}.py"
            text = template.replace("{n}", str(number))
            path.write_bytes((text.replace("\n", "\r\n") if number % 3 == 0 else text).encode())
            path.chmod((0o644, 0o755, 0o600, 0o664)[number % 4])
    (folder / "link.py").symlink_to("models/parent0000.py")


def state_of(folder: Path) -> State:
    """Bytes, mode and link of every file."""
    found: State = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = (b"", 0, str(path.readlink()))
        elif path.is_file():
            found[str(path.relative_to(folder))] = (
                path.read_bytes(),
                stat.S_IMODE(path.stat().st_mode),
                None,
            )
    return found


def fork(work: Callable[[], object], errors: int | None = None, seconds: float = 0) -> int:
    """Do something in a process of its own; ``errors`` gets its stderr.

    It ends after so many ``seconds`` of processor time, if that is not 0: by SIGPROF, which ends a process as
    SIGKILL does where nothing handles it, and at a moment that does not depend on what else the machine does.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(errors if number == 2 and errors is not None else null, number)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        work()
    except SystemExit as done:
        os._exit(done.code if isinstance(done.code, int) else 1)
    except BaseException:
        os._exit(70)
    os._exit(0)


def run(arguments: list[str], errors: int | None = None, seconds: float = 0) -> int:
    """Start the command in a process of its own, as :func:`fork` does."""

    def command() -> None:
        sys.argv = ["backpop", *arguments]
        main()

    return fork(command, errors, seconds)


def exit_status(child: int) -> int:
    """Wait for a process to end."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def result_of(arguments: list[str]) -> tuple[int, str]:
    """Run the command undisturbed; returns its exit status and what it wrote to stderr."""
    with tempfile.TemporaryFile() as errors:
        status = exit_status(run(arguments, errors=errors.fileno()))
        errors.seek(0)
        return status, errors.read().decode()


def finish(arguments: list[str]) -> None:
    """Run the command undisturbed."""
    status, errors = result_of(arguments)
    assert status == 0, f"{arguments}: status {status}\n{errors}"


@dataclass
class Trial:
    """A tree, what an undisturbed run makes of it, and how much processor time it, and its writing, takes."""

    folder: Path
    arguments: list[str]
    changes: Sequence[FileChange]
    before: State
    after: State
    whole: float = 0
    writing: float = 0
    replacing: float = 0

    @property
    def halfway(self) -> dict[str, bytes]:
        """The files with the additions alone."""
        return {str(change.path.relative_to(self.folder)): change.halfway for change in self.changes}

    def write(self, at_first: Callable[[], object] | None = None) -> None:
        """The part of a run that writes; does something when all is staged and the first file is replaced."""
        replace, waiting = os.replace, [at_first]

        def replaced(source: Path, target: Path) -> None:
            if waiting and (first := waiting.pop()) is not None:
                first()
            replace(source, target)

        with patch.object(os, "replace", replaced):
            write_changes(self.changes)


def prepare(folder: Path, direction: tuple[str, ...], pairs: int) -> Trial:
    """Make a tree, and run the command over a copy of it."""
    original, work = folder / "original", folder / "work"
    make_tree(original, pairs)
    if direction[0] == "to-backref":
        finish(["to-back-populates", "--write", str(original)])
    before = state_of(original)
    _copy(original, work)
    changes = plan(work, " ".join(direction)).changes
    trial = Trial(work, [*direction, "--write", str(work)], changes, before, before)
    trial.replacing = -_seconds(lambda: fork(lambda: trial.write(lambda: os._exit(0))))
    restore(trial)
    trial.writing = _seconds(lambda: fork(trial.write))
    trial.replacing += trial.writing
    trial.after = after = state_of(work)
    restore(trial)
    trial.whole = _seconds(lambda: run(trial.arguments))
    assert state_of(work) == after
    assert {name: state[1:] for name, state in after.items()} == {
        name: state[1:] for name, state in before.items()
    }
    assert sum(after[name] != before[name] for name in before) > pairs
    return trial


def _seconds(start: Callable[[], int]) -> float:
    """The processor time of a process that ends well."""
    _, status, used = os.wait4(start(), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return used.ru_utime + used.ru_stime


def _copy(original: Path, work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(original, work, symlinks=True)


def restore(trial: Trial) -> None:
    """Put back what was there before the first run."""
    _copy(trial.folder.with_name("original"), trial.folder)


def kill(trial: Trial, rng: random.Random) -> str:
    """One run, killed, checked, and completed. Returns what the kill found; raises ``AssertionError``."""
    restore(trial)
    match rng.choice(["replacing", "replacing", "writing", "writing", "all"]):
        case "replacing":
            seconds = rng.uniform(0, max(trial.replacing, 0.001))
            child = fork(lambda: trial.write(lambda: signal.setitimer(signal.ITIMER_PROF, seconds)))
        case "writing":
            child = fork(trial.write, seconds=rng.uniform(0, trial.writing))
        case _:
            child = run(trial.arguments, seconds=rng.uniform(0, trial.whole))
    assert exit_status(child) in {0, -signal.SIGPROF}
    found = check(trial)
    finish(trial.arguments)
    assert state_of(trial.folder) == trial.after, "the next run completes it"
    return found


def race(trial: Trial, rng: random.Random) -> str:
    """Two runs at once. Returns how they ended; raises ``AssertionError``."""
    restore(trial)
    first = run(trial.arguments)
    time.sleep(rng.choice([0, rng.uniform(0, trial.writing), rng.uniform(0, trial.whole)]))
    ended = sorted(exit_status(child) for child in (first, run(trial.arguments)))
    assert ended in ([0, 0], [0, 2]), ended
    assert state_of(trial.folder) == trial.after
    return "both did it" if ended == [0, 0] else "one did it"


def check(trial: Trial) -> str:
    """What a killed run left behind, in a word."""
    state = state_of(trial.folder)
    left = {name for name in state if name not in trial.before}
    assert all(_TEMPORARY in name for name in left), left
    assert set(trial.before) <= set(state), "no file is lost"
    old = added = new = 0
    for name, (data, mode, link) in trial.before.items():
        now, now_mode, now_link = state[name]
        assert (now_mode, now_link) == (mode, link), name
        final = trial.after[name][0]
        if final == data:
            assert now == data, name
        elif now == data:
            old += 1
        elif now == final:
            new += 1
        else:
            assert now == trial.halfway[name], name
            added += 1
    if not new and not added:
        return "staged" if left else "before"
    if not old and not added:
        return "after"
    only_adds = [name for name, data in trial.halfway.items() if data == trial.after[name][0]]
    if all(state[name][0] == trial.after[name][0] for name in only_adds) and new > len(only_adds):
        return "changing"
    return "adding"


def trials(
    runs: int, pairs: int, seed: int, folder: Path, disturb: Callable[[Trial, random.Random], str]
) -> Iterator[tuple[str, str]]:
    """Disturb as many runs, the directions in turn; yields the command and what that came to."""
    rng = random.Random(seed)
    prepared: list[tuple[str, Trial]] = []
    for direction in DIRECTIONS:
        home = folder / direction[0]
        home.mkdir()
        prepared.append((direction[0], prepare(home, direction, pairs)))
    for number in range(runs):
        name, trial = prepared[number % len(prepared)]
        yield name, disturb(trial, rng)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Disturb --write at random moments.")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=200, help="each makes two files")
    parser.add_argument("--twice", action="store_true", help="do not kill it: start it twice at once")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    disturb, done = (race, "raced") if options.twice else (kill, "killed and completed")
    print(f"seed {options.seed}, {2 * options.pairs + 2} files")
    found: Counter[tuple[str, str]] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="backpop-kill-") as folder:
        for trial in trials(options.runs, options.pairs, options.seed, Path(folder).resolve(), disturb):
            found[trial] += 1
            if found.total() % 50 == 0:
                print(found.total(), dict(found), flush=True)
    for (command, kind), count in sorted(found.items()):
        print(f"{command:20} {kind:10} {count:4}")
    print(f"{options.runs} runs {done} in {time.monotonic() - began:.0f} s: nothing was lost")


if __name__ == "__main__":
    _main()
