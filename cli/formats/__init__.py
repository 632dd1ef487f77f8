"""What machines read in place of the text for people. Nothing here is imported unless it is asked for."""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from typing import NamedTuple


class Format(Enum):
    """What ``--output-format`` can be."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


class Output(NamedTuple):
    """How the result of a command is given: in which format, and to which file; stdout without any."""

    format: Format = Format.TEXT
    file: Path | None = None


class Stopwatch:
    """How many ``seconds`` each part of a run took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a part; the next one begins."""
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def relative(path: str | Path, root: Path) -> str:
    """A path from the root that a document is relative to, with "/"; a whole one if it is not below that."""
    path = Path(path)
    return as_text(path.relative_to(root) if path.is_relative_to(root) else path)


def as_text(path: Path) -> str:
    """A path with "/", in which bytes that are no text are escaped, as in ``\\xff``."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
