"""Which files a command is about, as the command line and the configuration say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backpop.cli.config import folder_of, nearest
from backpop.cli.formatter import line_length_of
from backpop.codemods.codes import CODES
from backpop.codemods.discover import matcher
from backpop.codemods.plan.policy import ALL, Annotate, FileRule, Placement
from backpop.codemods.run import Settings


@dataclass(frozen=True)
class Selection:
    """The paths, and what is left out of them."""

    paths: tuple[Path, ...]
    exclude: tuple[str, ...]
    per_file_ignores: tuple[FileRule, ...]
    gitignore: bool

    def settings(
        self,
        *,
        line_length: int | None = None,
        writing: bool = False,
        annotate: Annotate = Annotate.AUTO,
        placement: Placement = Placement.AUTO,
    ) -> Settings:
        """The settings of a run over these files."""
        of_formatter = line_length_of(self.paths[0])
        return Settings(
            line_length=line_length or (of_formatter.columns if of_formatter else None),
            exclude=self.exclude,
            per_file_ignores=self.per_file_ignores,
            folder=folder_of(self.paths[0]) or Path.cwd(),
            gitignore=self.gitignore,
            writing=writing,
            annotate=annotate,
            placement=placement,
        )


def selection(
    paths: Sequence[Path] | None,
    exclude: Sequence[str] | None,
    per_file_ignores: Sequence[str] | None,
    gitignore: bool,
) -> Selection:
    """What the parameters of a command say; the current folder without any path."""
    rules = tuple(map(file_rule, per_file_ignores or ()))
    return Selection(tuple(paths or [Path()]), tuple(exclude or ()), rules, gitignore)


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
