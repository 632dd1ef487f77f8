"""Declarations for type checkers, as ``children: Mapped[list["Child"]]``, that give way to the attribute."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator

from backpop.codemods.facts import Hint
from backpop.codemods.plan.model import Reverse
from backpop.codemods.rewrite.forward import has_own_lines
from backpop.codemods.rewrite.statements import LayoutError, TextEdit


class RemovedHints:
    """The declarations that give way to the real attributes, with the comments that belong to them."""

    def __init__(self, reverses: Iterable[Reverse]) -> None:
        self.hints: list[Hint] = []
        self.bodies: dict[ast.stmt, list[ast.stmt]] = {}
        for reverse in reverses:
            if reverse.hint is not None:
                self.hints.append(reverse.hint)
                self.source = reverse.target.module.source
                block = reverse.hint.block
                self.bodies[reverse.hint.stmt] = block.body if block else reverse.target.node.body
        stmts = self.bodies.keys()
        self.blocks = {
            hint.block: hint
            for hint in reversed(self.hints)
            if hint.block is not None and not hint.block.orelse and stmts >= set(hint.block.body)
        }

    def nodes(self) -> Iterator[ast.AST]:
        """What goes, of which names may be needed no more."""
        yield from (hint.stmt for hint in self.hints)
        yield from (block.test for block in self.blocks)

    def edits(self) -> Iterator[TextEdit]:
        """The edits that take them out. Raises :class:`LayoutError` for one that shares its line."""
        for hint in self.hints:
            if hint.block not in self.blocks:
                lines = self._lines(hint.stmt)
                yield TextEdit(self.source.line_starts[lines[0] - 1], self.source.line_end(lines[-1]), "")
        for block in self.blocks:
            first, last = block.lineno, block.end_lineno or block.lineno
            if self._is_blank(first - 1) and self._is_blank(last + 1):
                first -= 1
            yield TextEdit(self.source.line_starts[first - 1], self.source.line_end(last), "")

    def comments(self, hint: Hint | None) -> Iterator[str]:
        """The comments to write above the attribute that takes the place of a declaration."""
        if hint is None:
            return
        lines = [self._lines(hint.stmt)]
        if (
            hint.block is not None and self.blocks.get(hint.block) is hint
        ):  # and what nothing else takes along
            taken = {line for one in self.hints if one.block is hint.block for line in self._lines(one.stmt)}
            rest = range(hint.block.lineno, (hint.block.end_lineno or hint.block.lineno) + 1)
            lines.insert(0, [line for line in rest if line not in taken])
        for block in lines:
            text = "".join(self.source.line_text(line).strip() + "\n" for line in block)
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                if token.type == tokenize.COMMENT:
                    yield token.string

    def _lines(self, stmt: ast.stmt) -> list[int]:
        """The lines of a declaration, with those of the comments above it that do not speak of the next."""
        first, last = stmt.lineno, stmt.end_lineno or stmt.lineno
        if not has_own_lines(self.source, stmt):
            raise LayoutError(f"line {first} holds more than one statement")
        if not any(o.lineno == last + 1 and o not in self.bodies for o in self.bodies[stmt]):
            while self.source.line_text(first - 1).lstrip().startswith("#"):
                first -= 1
        return list(range(first, last + 1))

    def _is_blank(self, line: int) -> bool:
        return line > len(self.source.line_starts) or not self.source.line_text(line).strip()
