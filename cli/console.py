"""What all commands say things with: stderr for people, stdout for what was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backpop.codemods.plan.model import Report


class When(Enum):
    """When there is colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def is_coloured(when: When) -> bool:
    """Whether stdout gets colour."""
    if when is When.AUTO:
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return when is When.ALWAYS


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr)


def put(data: bytes, file: Path | None) -> bool:
    """What was asked for, to a file or to stdout. Where the file cannot be written, say so; False then."""
    if file is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return True
    try:
        file.write_bytes(data)
    except OSError as error:
        say(f"error: {printable(str(file))} cannot be written: {error.strerror}")
        return False
    return True


def shown(path: str) -> str:
    """A path as messages show it: relative to the current folder where it is below that.

    A line that begins with two colons is a command to the runner of a GitHub workflow.
    """
    try:
        name = str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
    return f"./{name}" if name.lstrip().startswith("::") else name


def printable(text: str) -> str:
    """Text without control characters, so that no file name or source can steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 file``, ``2 files``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def line_of(report: Report) -> str:
    """A report as one line: ``path:line:column: CODE title: detail``."""
    from backpop.codemods.codes import CODES

    place = f"{shown(report.path)}:{report.line}:{report.column}"
    return printable(f"{place}: {report.code} {CODES[report.code].title}: {report.detail}")


def say_all(reports: Iterable[Report]) -> None:
    """Reports for people, each on a line."""
    for report in reports:
        say(line_of(report))
