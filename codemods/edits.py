"""What the rewriting stage hands to the patch and to the writer: byte edits, and nothing else.

The patch shown and the bytes written are both made from these values, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


class Edit(NamedTuple):
    """Replace the bytes ``[start, end)`` of a file by ``new``."""

    start: int
    end: int
    new: bytes


@dataclass(frozen=True)
class FileChange:
    """One file to change: its bytes as they were read, and the sorted, non-overlapping edits.

    ``first`` holds the edits of a state that only adds what nothing refers to yet: reverse relationships
    and their imports. A run that is killed between writing those and writing the rest leaves a project
    that the next run completes; see :mod:`backpop.codemods.write`.
    """

    path: Path
    before: bytes
    edits: tuple[Edit, ...]
    first: tuple[Edit, ...] = ()

    @cached_property
    def after(self) -> bytes:
        """The bytes of the file once every edit is applied."""
        return splice(self.before, self.edits)

    @property
    def halfway(self) -> bytes:
        """The bytes of the file with the additions alone."""
        return splice(self.before, self.first)


def splice(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Return ``data`` with ``edits`` applied; every byte outside of an edit is carried through.

    Raises ``ValueError`` when edits overlap or are not sorted.
    """
    parts: list[bytes] = []
    done = 0
    for edit in edits:
        if edit.start < done or edit.end < edit.start:
            raise ValueError(f"edits overlap or are out of order at byte {edit.start}")
        parts += (data[done : edit.start], edit.new)
        done = edit.end
    parts.append(data[done:])
    return b"".join(parts)
