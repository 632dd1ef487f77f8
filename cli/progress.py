"""How far a long run is, on a terminal's stderr; short runs and pipes show nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

DELAY = 0.5
"""Seconds before a run counts as long."""
_EVERY = 32  # items between two looks at the clock


def tracked(items: Sequence[T], what: str) -> Iterator[T]:
    """Pass on some items, and show a bar while that takes long."""
    bar: Progress | None = None
    start = time.monotonic()
    try:
        for done, item in enumerate(items):
            if done % _EVERY == 0:
                if bar is not None:
                    bar.update(bar.task_ids[0], completed=done)
                elif time.monotonic() - start > DELAY:
                    bar = _begun(what, len(items), done)
            yield item
    finally:
        if bar is not None:
            bar.stop()


def is_shown(*, quiet: bool) -> bool:
    """Whether there is somebody to show it to."""
    return not quiet and sys.stderr is not None and sys.stderr.isatty()


def _begun(what: str, total: int, done: int) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(what, total=total, completed=done)
    bar.start()
    return bar
