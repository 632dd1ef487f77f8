"""The exit statuses of every command, and the one place that computes them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """0: what was asked for was done. 1: something was found. 2: something went wrong. 2 beats 1 beats 0."""

    OK = 0
    FOUND = 1
    ERROR = 2
    INTERRUPTED = 130


def exit_status(*, found: bool, wrong: bool) -> Exit:
    """The status of a run that found something a check looks for, or that met an error."""
    return Exit.ERROR if wrong else Exit.FOUND if found else Exit.OK
