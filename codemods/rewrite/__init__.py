"""A plan to byte edits, file by file. libcst sees the statements that change, and nothing else."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backpop.codemods.edits import Edit, FileChange
from backpop.codemods.facts import ClassInfo, Module, Site
from backpop.codemods.link import Project
from backpop.codemods.plan.model import Conversion, Reverse
from backpop.codemods.plan.place import relationship_calls
from backpop.codemods.rewrite.forward import forward_edit
from backpop.codemods.rewrite.imports import import_edits
from backpop.codemods.rewrite.reverse import reverse_edits
from backpop.codemods.rewrite.statements import LayoutError, TextEdit


@dataclass(frozen=True)
class Rewritten:
    """The changes, by path, and the sites that could not be written, with the reason: no side of them is."""

    changes: tuple[FileChange, ...]
    failures: dict[Site, str]


def rewrite(project: Project, conversions: Sequence[Conversion], line_length: int) -> Rewritten:
    """Turn conversions into changes of files. A site that fails on one side is left out on all."""
    failures: dict[Site, str] = {}
    while True:
        remaining = [conversion for conversion in conversions if conversion.site not in failures]
        changes, failed = _attempt(project, remaining, line_length)
        if not failed:
            return Rewritten(tuple(changes), failures)
        failures |= failed


def _attempt(
    project: Project, conversions: Sequence[Conversion], line_length: int
) -> tuple[list[FileChange], dict[Site, str]]:
    forwards: dict[Module, list[Conversion]] = defaultdict(list)
    reverses: dict[Module, list[Conversion]] = defaultdict(list)
    for conversion in conversions:
        forwards[conversion.home].append(conversion)
        if conversion.reverse is not None:
            reverses[conversion.target.module].append(conversion)
    changes: list[FileChange] = []
    failures: dict[Site, str] = {}
    for module in sorted({*forwards, *reverses}, key=lambda one: one.path):
        here, there = forwards.get(module, []), reverses.get(module, [])
        file = _File(project, module, line_length)
        try:
            edits = file.edits(here, there)
            first: list[Edit] = []
            if any(conversion.home is not module for conversion in there):
                first = file.edits([], there) if here else edits
        except _Failed as failed:
            failures |= {conversion.site: failed.detail for conversion in failed.conversions}
            continue
        changes.append(FileChange(Path(module.path), module.source.data, tuple(edits), tuple(first)))
    return changes, failures


class _Failed(Exception):
    def __init__(self, conversions: Sequence[Conversion], detail: str) -> None:
        super().__init__(detail)
        self.conversions = conversions
        self.detail = detail


class _File:
    """Collects the edits of one module."""

    def __init__(self, project: Project, module: Module, line_length: int) -> None:
        self.project = project
        self.module = module
        self.line_length = line_length

    def edits(self, forwards: Sequence[Conversion], reverses: Sequence[Conversion]) -> list[Edit]:
        """The edits of a file, checked: the result must parse."""
        found = [*self._forward_edits(forwards), *self._reverse_edits(reverses)]
        everything = list({id(one): one for one in (*forwards, *reverses)}.values())
        try:
            found += self._import_edits(forwards, reverses)
            return self._encoded(found)
        except (LayoutError, SyntaxError, ValueError) as error:
            raise _Failed(everything, str(error)) from error

    def _forward_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        by_statement: dict[ast.stmt, list[Conversion]] = defaultdict(list)
        for conversion in conversions:
            by_statement[conversion.site.stmt].append(conversion)
        found: list[TextEdit] = []
        for together in by_statement.values():
            try:
                edit = forward_edit(self.module.source, together)
            except LayoutError as error:
                raise _Failed(together, str(error)) from error
            if edit is not None:
                found.append(edit)
        return found

    def _reverse_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        by_class: dict[ClassInfo, list[Reverse]] = defaultdict(list)
        for conversion in conversions:
            if conversion.reverse is not None:
                by_class[conversion.target].append(conversion.reverse)
        return [
            edit
            for made, reverses in by_class.items()
            for edit in reverse_edits(
                made, reverses, [call for call, _ in relationship_calls(self.project, made)], self.line_length
            )
        ]

    def _import_edits(self, forwards: Sequence[Conversion], reverses: Sequence[Conversion]) -> list[TextEdit]:
        written = [conversion.reverse for conversion in reverses if conversion.reverse is not None]
        before_line = len(self.module.source.line_starts)
        for reverse in written:
            if reverse.imports:
                outermost = next(stmt for stmt in self.module.tree.body if _holds(stmt, reverse.target.node))
                before_line = min(before_line, outermost.lineno)
        return list(import_edits(self.project, self.module, written, forwards, before_line, self.line_length))

    def _encoded(self, found: list[TextEdit]) -> list[Edit]:
        source = self.module.source
        # stable, so that several reverses of one place keep their order
        found.sort(key=lambda edit: (edit.start, edit.end))
        parts: list[str] = []
        done = 0
        for edit in found:
            if edit.start < done:
                raise LayoutError("two changes meet in one place")
            parts += (source.text[done : edit.start], edit.new)
            done = edit.end
        parts.append(source.text[done:])
        ast.parse("".join(parts))
        return [
            Edit(source.byte_offset(edit.start), source.byte_offset(edit.end), source.encode(edit.new))
            for edit in found
        ]


def _holds(outer: ast.stmt, inner: ast.stmt) -> bool:
    return outer.lineno <= inner.lineno and (outer.end_lineno or 0) >= (inner.end_lineno or 0)
