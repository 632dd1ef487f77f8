"""Which files a command is about, as the command line and the configuration say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backpop.cli.config import folder_of
from backpop.cli.formatter import line_length_of
from backpop.codemods.run import Settings


@dataclass(frozen=True)
class Selection:
    """The paths, and what is left out of them."""

    paths: tuple[Path, ...]
    exclude: tuple[str, ...]
    gitignore: bool

    def settings(self, *, line_length: int | None = None, writing: bool = False) -> Settings:
        """The settings of a run over these files."""
        of_formatter = line_length_of(self.paths[0])
        return Settings(
            line_length=line_length or (of_formatter.columns if of_formatter else None),
            exclude=self.exclude,
            exclude_from=folder_of(self.paths[0]),
            gitignore=self.gitignore,
            writing=writing,
        )


def selection(paths: Sequence[Path] | None, exclude: Sequence[str] | None, gitignore: bool) -> Selection:
    """What the parameters of a command say; the current folder without any path."""
    return Selection(tuple(paths or [Path()]), tuple(exclude or ()), gitignore)
