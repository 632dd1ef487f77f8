"""One statement of a file, through a libcst transformer, back as the smallest edit of the text."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import libcst as cst

from backpop.codemods.facts import first_line
from backpop.codemods.source import Source


class LayoutError(Exception):
    """A statement that cannot be taken out of its file and put back; the message says why."""


class TextEdit(NamedTuple):
    """Replace the text ``[start, end)`` of a file by ``new``."""

    start: int
    end: int
    new: str


def check_syntax(source: Source, tree: ast.Module, edits: Sequence[TextEdit]) -> None:
    """Parse what becomes of the top-level statements that sorted edits touch. Raises ``SyntaxError``.

    The others stay as they are, and each of those stands on lines of its own.
    """
    cuts, last = [0], 0
    for stmt in tree.body:
        if first_line(stmt) > last:
            cuts.append(source.line_starts[first_line(stmt) - 1])
        last = stmt.end_lineno or stmt.lineno
    pieces = list(pairwise([*cuts, len(source.text)]))
    touched = deque(
        # what is written where two pieces meet touches both
        (max(bisect_left(cuts, edit.start) - 1, 0), bisect_right(cuts, edit.end) - 1, edit)
        for edit in edits
    )
    while touched:
        first, last, _ = touched[0]
        together: list[TextEdit] = []
        while touched and touched[0][0] <= last:
            last = max(last, touched[0][1])
            together.append(touched.popleft()[2])
        ast.parse(spliced(source.text, together, pieces[first][0], pieces[last][1]))


def spliced(text: str, edits: Iterable[TextEdit], start: int, end: int) -> str:
    """The text between two offsets with sorted edits. Raises :class:`LayoutError` where two of them meet."""
    parts: list[str] = []
    for edit in edits:
        if edit.start < start:
            raise LayoutError("two changes meet in one place")
        parts += (text[start : edit.start], edit.new)
        start = edit.end
    return "".join((*parts, text[start:end]))


def transform_lines(
    source: Source, first: int, last: int, transformer: cst.CSTTransformer
) -> TextEdit | None:
    """Run a transformer over whole lines of a file (counted from 1, both included).

    The lines must hold complete statements of one block; libcst parses them alone, as the body of a class
    where they are indented. Returns the edit, without the text that stays at either end; None if nothing
    changed. Raises :class:`LayoutError` where libcst cannot parse the lines or does not give them back.
    """
    start, end = source.line_starts[first - 1], source.line_end(last)
    old = source.text[start:end].rstrip("\r\n")  # libcst loses a carriage return at the end
    head = f"class _:{source.newline}" if old[:1] in {" ", "\t", "\f"} else ""
    try:
        tree = cst.parse_module(head + old)
    except cst.ParserSyntaxError as error:
        raise LayoutError(f"line {first}: {error.message}") from error
    if tree.code != head + old:
        raise LayoutError(f"line {first} is not parsed without loss")
    code = tree.visit(transformer).code
    if not code.startswith(head):
        raise LayoutError(f"line {first} cannot be put back")
    return smallest(start, old, code[len(head) :])


def smallest(start: int, old: str, new: str) -> TextEdit | None:
    """The edit that turns ``old``, at offset ``start``, into ``new``, without their common ends."""
    if old == new:
        return None
    left = _common(old, new)
    right = _common(old[left:][::-1], new[left:][::-1])
    return TextEdit(start + left, start + len(old) - right, new[left : len(new) - right])


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
