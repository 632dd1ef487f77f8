"""Reading files, in several processes where there are so many that it pays."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

from backpop.codemods.files import KINDS, Index, indexes
from backpop.codemods.plan.model import Report

Track = Callable[[Sequence[str], str], Iterable[str]]
"""Passes some files on, one by one, and may tell somebody how far that is; the text says what is done."""

MANY = 4000
"""From how many files on others are started to read more: reading these takes as long as that does."""
_PART = 1000  # files that a process reads at a time


class Surveyed(NamedTuple):
    """What reading some files gave: those that were read, those with a sign of what is looked for, and what
    they hold of each of the ``KINDS``."""

    read: list[str]
    signed: list[str]
    held: list[Index]
    problems: list[Report]


def read(path: str, problems: list[Report]) -> bytes | None:
    """The bytes of a file; None, and a problem more, if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        problems.append(Report(path, 1, 1, "BP001", error.strerror or str(error)))
        return None


def survey(
    files: Sequence[str], signs: Sequence[Callable[[bytes], bool]], jobs: int, track: Track
) -> Iterator[Surveyed]:
    """Read files in ``jobs`` processes, in order, some at a time."""
    from concurrent.futures import ProcessPoolExecutor

    parts = [files[start : start + _PART] for start in range(0, len(files), _PART)]
    # Ctrl-C reaches all processes: this one ends the others
    pool = ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        answers = pool.map(_survey, parts, repeat(signs))
        for done, _ in enumerate(track(files, "Reading files")):
            if done % _PART == 0:
                yield _shared(next(answers), parts[done // _PART])
    finally:
        pool.shutdown(cancel_futures=True)


def _shared(found: Surveyed, files: Sequence[str]) -> Surveyed:
    """The same, with the paths of this process instead of copies of them."""
    own = {path: path for path in files}
    held = [{name: [own[path] for path in paths] for name, paths in index.items()} for index in found.held]
    return Surveyed([own[path] for path in found.read], found.signed, held, found.problems)


def _survey(files: Sequence[str], signs: Sequence[Callable[[bytes], bool]]) -> Surveyed:
    found = Surveyed([], [], [], [])

    def contents() -> Iterator[tuple[str, bytes]]:
        for path in files:
            data = read(path, found.problems)
            if data is None:
                continue
            found.read.append(path)
            if any(sign(data) for sign in signs):
                found.signed.append(path)
            yield path, data

    found.held.extend(indexes(KINDS, contents()).values())
    return found
