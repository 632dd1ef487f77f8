"""A unified diff that ``git apply`` and ``patch -p1`` take, built from the edits themselves.

No two texts are compared: the edits say which lines change, so the work is proportional to them, and the
patch cannot disagree with the bytes that are written. Lines end at LF and nowhere else: whatever other
separators Python or Unicode know (CR, form feed, U+2028...) are bytes of a line like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backpop.codemods.edits import Edit, FileChange, splice

if TYPE_CHECKING:
    from unidiff.patch import Hunk, PatchedFile

CONTEXT = 3
"""How many unchanged lines a hunk shows before and after a change, as git does."""

_NAME_TO_QUOTE = re.compile(r'[\x00-\x1f\x7f"\\]')
_ESCAPES = {"\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r", '"': '"', "\\": "\\"}


@dataclass
class Block:
    """Adjacent lines of a file, its bytes ``[start, end)``, that other lines replace."""

    start: int
    end: int
    line: int  # how many lines stand before it
    old: list[bytes]
    new: list[bytes]


def build_patch(changes: Iterable[FileChange], root: Path) -> bytes:
    """Return one patch for all ``changes``, in the order of their paths, which it gives relative to ``root``.

    A change without an effect leaves no trace in it; without any other, the patch is empty. Raises
    ``ValueError`` for a file that is not below ``root``, and for edits that overlap or are not sorted.
    """
    from unidiff.patch import PatchSet

    patch = PatchSet("")
    for name, change in sorted(
        ((change.path.relative_to(root).as_posix(), change) for change in changes), key=lambda pair: pair[0]
    ):
        if blocks := blocks_of(change):
            patch.append(_patched_file(name, change.before, blocks))
    return str(patch).encode("utf-8", "surrogateescape")


def count_lines(change: FileChange) -> tuple[int, int]:
    """Return how many lines the patch of one file adds, and how many it removes."""
    blocks = blocks_of(change)
    return sum(len(block.new) for block in blocks), sum(len(block.old) for block in blocks)


def blocks_of(change: FileChange) -> list[Block]:
    """Widen the edits to whole lines, join those that meet, and drop the lines that stay the same."""
    before = change.before
    spans: list[tuple[int, int, list[Edit]]] = []
    for edit in change.edits:
        start = before.rfind(b"\n", 0, edit.start) + 1
        begins_line = edit.start == start and not (spans and spans[-1][1] > start)
        ends_line = edit.end == start or before[edit.end - 1 : edit.end] == b"\n"
        whole_lines = begins_line and ends_line and edit.new[-1:] in {b"", b"\n"}
        end = edit.end if whole_lines else before.find(b"\n", edit.end) + 1 or len(before)
        joined = [edit]
        if spans and start <= spans[-1][1]:
            start, _, earlier = spans.pop()
            joined = [*earlier, edit]
        spans.append((start, end, joined))

    blocks = []
    line = counted = 0
    for start, end, edits in spans:
        line += before.count(b"\n", counted, start)
        counted = start
        inside = before[start:end]
        shifted = [Edit(edit.start - start, edit.end - start, edit.new) for edit in edits]
        block = _trimmed(Block(start, end, line, _lines(inside), _lines(splice(inside, shifted))))
        if block.old or block.new:
            blocks.append(block)
    return blocks


def _trimmed(block: Block) -> Block:
    old, new = block.old, block.new
    shorter = min(len(old), len(new))
    head = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    shorter -= head
    tail = next((index for index in range(shorter) if old[-1 - index] != new[-1 - index]), shorter)
    return Block(
        start=block.start + sum(map(len, old[:head])),
        end=block.end - sum(map(len, old[len(old) - tail :])),
        line=block.line + head,
        old=old[head : len(old) - tail],
        new=new[head : len(new) - tail],
    )


def _lines(data: bytes) -> list[bytes]:
    *complete, rest = data.split(b"\n")
    lines = [line + b"\n" for line in complete]
    return [*lines, rest] if rest else lines


def _patched_file(name: str, before: bytes, blocks: Sequence[Block]) -> PatchedFile:
    from unidiff.patch import PatchedFile

    patched = PatchedFile(source=_header_name(f"a/{name}"), target=_header_name(f"b/{name}"))
    shift = 0
    for group in _grouped(blocks):
        patched.append(_hunk(before, group, shift))
        shift += sum(len(block.new) - len(block.old) for block in group)
    return patched


def _header_name(name: str) -> str:
    """Spell a name as git does where ``patch`` or ``git apply`` would misread it otherwise."""
    # Without the tab, `patch` takes what follows a space for a date.
    end = "\t" if " " in name else ""
    if _NAME_TO_QUOTE.search(name):
        escaped = _NAME_TO_QUOTE.sub(
            lambda match: "\\" + _ESCAPES.get(match[0], f"{ord(match[0]):03o}"), name
        )
        return f'"{escaped}"{end}'
    return name + end


def _grouped(blocks: Sequence[Block]) -> list[list[Block]]:
    """Put the blocks whose context would touch or overlap into one hunk."""
    groups: list[list[Block]] = []
    for block in blocks:
        if groups and block.line - (groups[-1][-1].line + len(groups[-1][-1].old)) <= 2 * CONTEXT:
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def _hunk(before: bytes, blocks: Sequence[Block], shift: int) -> Hunk:
    from unidiff.patch import Hunk, Line

    body: list[tuple[str, bytes]] = []
    done = _lines_back(before, blocks[0].start)
    for block in blocks:
        body += [(" ", line) for line in _lines(before[done : block.start])]
        body += [("-", line) for line in block.old]
        body += [("+", line) for line in block.new]
        done = block.end
    body += [(" ", line) for line in _lines(before[done : _lines_on(before, done)])]

    lengths = [sum(kind in kinds for kind, _ in body) for kinds in (" -", " +")]
    leading = next(index for index, (kind, _) in enumerate(body) if kind != " ")
    first = blocks[0].line - leading
    # The first line of an empty side is the one before it.
    source, target = first + bool(lengths[0]), first + shift + bool(lengths[1])
    hunk = Hunk(source, lengths[0], target, lengths[1])
    for kind, line in body:
        text = line.decode("utf-8", "surrogateescape")
        ends = text.endswith("\n")
        hunk.append(
            Line(
                text if ends else text + "\n",
                kind,
                source if kind != "+" else None,
                target if kind != "-" else None,
            )
        )
        if not ends:
            hunk.append(Line(" No newline at end of file\n", "\\"))
        source += kind != "+"
        target += kind != "-"
    assert hunk.is_valid()
    return hunk


def _lines_back(data: bytes, position: int) -> int:
    """Where the lines of context before a position begin."""
    for _ in range(CONTEXT):
        if position:
            position = data.rfind(b"\n", 0, position - 1) + 1
    return position


def _lines_on(data: bytes, position: int) -> int:
    """Where the lines of context after a position end."""
    for _ in range(CONTEXT):
        position = data.find(b"\n", position) + 1 or len(data)
    return position
