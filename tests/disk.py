"""``--write`` on a real disk that is full, or read-only: what it says, and what is on the disk then.

    unshare --map-root-user --mount python tests/disk.py

A small file system in memory is mounted, which needs a mount namespace of one's own (as above), or root. It
is filled but for some pages: none first, then one more each time, until the conversion fits. Each run before
that must end with status 2 and say why, and leave every file as it was and nothing else; with room again, the
next one must end with the bytes of a run that never lacked any.
"""

from __future__ import annotations

import argparse
import mmap
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kill import DIRECTIONS, Trial, finish, prepare, restore, result_of, state_of

_SIZE = 1 << 20


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Have a file system in memory at a folder. Raises ``CalledProcessError`` where that is not allowed."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path, room: int) -> Path:
    """Leave so many bytes on a disk. Returns the file that takes all else."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(mmap.PAGESIZE))
        except OSError:
            file.truncate(file.tell() - room)
    return filler


def full(trial: Trial, disk: Path) -> Counter[int]:
    """Convert with more and more room, until it is enough. Returns how often it ended with each status."""
    ended: Counter[int] = Counter()
    while not ended[0]:
        restore(trial)
        filler = fill(disk, ended.total() * mmap.PAGESIZE)
        status, errors = result_of(trial.arguments)
        filler.unlink()
        ended[status] += 1
        if status:
            assert status == 2, errors
            assert "No space left on device; nothing was written" in errors
            assert state_of(trial.folder) == trial.before
            finish(trial.arguments)
        assert state_of(trial.folder) == trial.after
    assert ended[2], "the disk was full at first"
    return ended


def read_only(trial: Trial, disk: Path) -> None:
    """Convert where the system, not a mode, keeps everybody from writing: root as well."""
    restore(trial)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    status, errors = result_of(trial.arguments)
    assert "is read-only" in errors
    assert state_of(trial.folder) == trial.before
    assert status == 0, "what is locked is refused, as BP601"
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    finish(trial.arguments)
    assert state_of(trial.folder) == trial.after


def _main() -> None:
    parser = argparse.ArgumentParser(description="Run --write on a full disk, and on a read-only one.")
    parser.add_argument("--pairs", type=int, default=8, help="each makes two files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backpop-disk-") as name:
        disk = Path(name).resolve()
        for direction in DIRECTIONS:
            with mounted(disk, f"size={_SIZE}"):
                trial = prepare(disk, direction, options.pairs)
                print(f"{direction[0]}: {full(trial, disk)[2]} times full, and completed")
                read_only(trial, disk)
                print(f"{direction[0]}: read-only, and completed")


if __name__ == "__main__":
    _main()
