"""Which files a command is about, as the command line and the configuration say it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import typer

from backpop.cli.config import folder_of, nearest
from backpop.cli.formatter import line_length_of
from backpop.cli.progress import is_shown, tracked
from backpop.codemods.codes import CODES
from backpop.codemods.discover import matcher
from backpop.codemods.plan.policy import ALL, Annotate, FileRule, Placement
from backpop.codemods.run import Settings
from backpop.codemods.scan import untracked

STDIN = Path("-")


class Selection(NamedTuple):
    """The paths, what is left out of them, and what the project calls a relationship.

    ``stdin`` is a file whose bytes come from there.
    """

    paths: tuple[Path, ...]
    stdin: Path | None
    exclude: tuple[str, ...]
    per_file_ignores: tuple[FileRule, ...]
    gitignore: bool
    factories: tuple[str, ...]
    jobs: int

    def settings(
        self,
        *,
        line_length: int | None = None,
        writing: bool = False,
        annotate: Annotate = Annotate.AUTO,
        placement: Placement = Placement.AUTO,
        quiet: bool = False,
    ) -> Settings:
        """The settings of a run over these files."""
        start = self.stdin or self.paths[0]
        of_formatter = line_length_of(start)
        return Settings(
            line_length=line_length or (of_formatter.columns if of_formatter else None),
            exclude=self.exclude,
            per_file_ignores=self.per_file_ignores,
            folder=folder_of(start) or Path.cwd(),
            gitignore=self.gitignore,
            factories=self.factories,
            jobs=self.jobs,
            writing=writing,
            annotate=annotate,
            placement=placement,
            given={} if self.stdin is None else {os.path.realpath(self.stdin): sys.stdin.buffer.read()},
            track=tracked if is_shown(quiet=quiet) else untracked,
        )


def selection(
    paths: Sequence[Path] | None,
    exclude: Sequence[str] | None,
    per_file_ignores: Sequence[str] | None,
    gitignore: bool,
    factories: Sequence[str] | None,
    jobs: int | None,
    stdin_filename: Path | None = None,
) -> Selection:
    """What the parameters of a command say; the current folder without any path."""
    rules = tuple(map(file_rule, per_file_ignores or ()))
    given = paths or [Path()]
    on_disk = tuple(path for path in given if path != STDIN)
    stdin = None
    if len(on_disk) < len(given):
        if stdin_filename is None:
            raise typer.BadParameter("- is a file from stdin: say which with --stdin-filename")
        stdin = stdin_filename
    named = tuple(factories or ())
    return Selection(on_disk, stdin, tuple(exclude or ()), rules, gitignore, named, processes(jobs))


def processes(jobs: int | None) -> int:
    """How many processes a run may use at a time, where ``--jobs`` says so or does not."""
    return jobs or min(os.cpu_count() or 1, 8)


def file_rule(text: str) -> FileRule:
    """Read ``PATTERN:CODE,CODE``. Raises ``ValueError`` for anything else."""
    pattern, _, listed = text.rpartition(":")
    codes = frozenset(code.strip() for code in listed.split(","))
    if not pattern:
        raise ValueError(f"{text!r} should be PATTERN:CODE, or PATTERN:{ALL}")
    for code in sorted(codes - CODES.keys() - {ALL}):
        raise ValueError(f"there is no code {code!r}{nearest(code, CODES)}")
    matcher([pattern])
    return FileRule(pattern, codes)
