"""A plan to byte edits, file by file. libcst sees the statements that change, and nothing else."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from backpop.codemods.edits import Edit, FileChange, splice
from backpop.codemods.facts import TOO_DEEP, ClassInfo, Module, Site
from backpop.codemods.link import Project
from backpop.codemods.plan.model import Collapse, Conversion, Expansion, Form, Reverse, names_in
from backpop.codemods.plan.place import relationship_calls
from backpop.codemods.rewrite.beside import entry_edits, statement_edits
from backpop.codemods.rewrite.collapse import kept_edits, removal_edits
from backpop.codemods.rewrite.forward import forward_edits
from backpop.codemods.rewrite.hints import RemovedHints
from backpop.codemods.rewrite.imports import import_edits, unused_imports
from backpop.codemods.rewrite.reverse import reverse_edits
from backpop.codemods.rewrite.statements import LayoutError, TextEdit, check_syntax, spliced
from backpop.codemods.source import UnreadableError, decode


class Rewritten(NamedTuple):
    """The changes, by path, and the sites that could not be written, with the reason: no side of them is."""

    changes: tuple[FileChange, ...]
    failures: dict[Site, str]


def rewrite(project: Project, conversions: Sequence[Conversion], line_length: int | None) -> Rewritten:
    """Turn conversions into changes of files. A site that fails on one side is left out on all.

    ``line_length`` is in columns; without it each file's own lines show it.
    """
    failures: dict[Site, str] = {}
    while True:
        remaining = [conversion for conversion in conversions if conversion.site not in failures]
        changes, failed = _attempt(project, remaining, line_length)
        if not failed:
            return Rewritten(tuple(changes), failures)
        failures |= failed


def _attempt(
    project: Project, conversions: Sequence[Conversion], line_length: int | None
) -> tuple[list[FileChange], dict[Site, str]]:
    forwards: dict[Module, list[Conversion]] = defaultdict(list)
    reverses: dict[Module, list[Conversion]] = defaultdict(list)
    for conversion in conversions:
        if not (isinstance(conversion, Collapse) and conversion.done):
            forwards[conversion.home].append(conversion)
        if not (isinstance(conversion, Expansion) and conversion.reverse is None):
            reverses[conversion.there].append(conversion)
    collapsing = any(isinstance(conversion, Collapse) for conversion in conversions)
    changes: list[FileChange] = []
    failures: dict[Site, str] = {}
    for module in sorted({*forwards, *reverses}, key=lambda one: one.path):
        here, there = forwards.get(module, []), reverses.get(module, [])
        file = (_Collapsing if collapsing else _Expanding)(project, module, line_length)
        try:
            edits = file.edits(here, there)
            first = file.first(here, there)
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

    def __init__(self, project: Project, module: Module, line_length: int | None) -> None:
        self.project = project
        self.module = module
        self.line_length = line_length or module.source.line_length

    def edits(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[Edit]:
        """The edits of a file with these forwards and reverses, checked: the result must parse."""
        try:
            found = [*self._forward_edits(here), *self._reverse_edits(there)]
            found += self._import_edits(here, there)
            return self._encoded(found)
        except (LayoutError, SyntaxError, ValueError, *TOO_DEEP) as error:
            raise _Failed(self._culprits(here, there), str(error)) from error

    def _culprits(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[Conversion]:
        """The conversions that fail by themselves; all of them, if it takes several to fail."""
        everything = list({id(one): one for one in (*here, *there)}.values())
        if len(everything) == 1:
            return everything
        failing = []
        for one in everything:
            try:
                self.edits([each for each in here if each is one], [each for each in there if each is one])
            except _Failed:
                failing.append(one)
        return failing or everything

    def first(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[Edit]:
        """The edits of a state from which another run can go on; see :class:`FileChange`."""
        raise NotImplementedError

    def _forward_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        raise NotImplementedError

    def _reverse_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        raise NotImplementedError

    def _import_edits(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[TextEdit]:
        raise NotImplementedError

    def _relationships(self, made: ClassInfo) -> list[ast.Call]:
        return [call for call, _ in relationship_calls(self.project, made)]

    def _line_above(self, nodes: Iterable[ast.AST]) -> int:
        """The line of the first statement that holds one of some nodes; imports go above it."""
        line = min((getattr(node, "lineno", 0) for node in nodes), default=0)
        holding = (
            stmt.lineno
            for stmt in self.module.tree.body
            if stmt.lineno <= line <= (stmt.end_lineno or stmt.lineno)
        )
        return next(holding, len(self.module.source.line_starts))

    def _encoded(self, found: list[TextEdit]) -> list[Edit]:
        source = self.module.source
        # stable, so that several reverses of one place keep their order
        found.sort(key=lambda edit: (edit.start, edit.end))
        text = spliced(source.text, found, 0, len(source.text))
        check_syntax(source, self.module.tree, found)
        edits = [
            Edit(source.byte_offset(edit.start), source.byte_offset(edit.end), source.encode(edit.new))
            for edit in found
        ]
        try:
            same = decode(source.path, splice(source.data, edits)).text == text
        except UnreadableError:
            same = False
        if not same:  # an encoding in which a part of the text depends on what stands before it
            raise LayoutError(f"parts of a file in {source.encoding} cannot be replaced")
        return edits


class _Expanding(_File):
    """Backrefs to pairs."""

    def first(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[Edit]:
        """With the reverses of forwards elsewhere, which nothing refers to yet."""
        if all(conversion.home is self.module for conversion in there):
            return []
        return self.edits([], there)

    def _forward_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        by_statement: dict[ast.stmt, list[Expansion]] = defaultdict(list)
        for conversion in _expansions(conversions):
            by_statement[conversion.site.stmt].append(conversion)
        found: list[TextEdit] = []
        for together in by_statement.values():
            try:
                found += forward_edits(self.module.source, together)
            except LayoutError as error:
                raise _Failed(together, str(error)) from error
        return found

    def _reverse_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        together: dict[tuple[ast.AST, bool], list[Expansion]] = defaultdict(list)
        for conversion in _expansions(conversions):
            if conversion.reverse is not None:
                spot = conversion.reverse.spot
                together[spot.node, spot.form is Form.BODY].append(conversion)
        found: list[TextEdit] = []
        for group in together.values():
            try:
                found += self._written([one.reverse for one in group if one.reverse is not None])
            except LayoutError as error:
                raise _Failed(group, str(error)) from error
        return found

    def _written(self, reverses: Sequence[Reverse]) -> Iterator[TextEdit]:
        """The edits of reverses that are written in one place."""
        source, spot, target = self.module.source, reverses[0].spot, reverses[0].target
        if spot.form is Form.BODY:
            return reverse_edits(target, reverses, self._relationships(target), self.line_length)
        if spot.form is Form.ENTRY:
            return entry_edits(source, reverses, self.line_length)
        return statement_edits(source, reverses, self.line_length)

    def _import_edits(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[TextEdit]:
        written = [conversion.reverse for conversion in _expansions(there) if conversion.reverse is not None]
        needed = dict.fromkeys(one for reverse in written for one in reverse.imports)
        before_line = self._line_above(reverse.spot.node for reverse in written if reverse.imports)
        converted = list(_expansions(here))
        stay = {name for reverse in written for name in reverse.reads()}
        stay |= {name for one in converted for name in names_in(one.name_text)}
        scopes = {scope for one in converted for scope in one.site.scope.chain()}
        gone: list[ast.AST] = [one.backref for one in converted]
        gone += RemovedHints(written).nodes()
        unused = unused_imports(self.project, self.module, gone, stay, scopes)
        return list(import_edits(self.module, needed, unused, before_line, self.line_length))


def _expansions(conversions: Iterable[Conversion]) -> Iterator[Expansion]:
    return (one for one in conversions if isinstance(one, Expansion))


class _Collapsing(_File):
    """Pairs to backrefs."""

    def first(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[Edit]:
        """With the backrefs, beside reverses elsewhere that are still there."""
        if all(conversion.target.module is self.module for conversion in here):
            return []
        return self.edits(here, [])

    def _forward_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        found: list[TextEdit] = []
        for conversion in _collapses(conversions):
            try:
                found += kept_edits(self.module.source, conversion, self.line_length)
            except LayoutError as error:
                raise _Failed([conversion], str(error)) from error
        return found

    def _reverse_edits(self, conversions: Sequence[Conversion]) -> list[TextEdit]:
        by_class: dict[ClassInfo, list[Collapse]] = defaultdict(list)
        for conversion in _collapses(conversions):
            by_class[conversion.target].append(conversion)
        found: list[TextEdit] = []
        for made, together in by_class.items():
            removed = [one.removed.stmt for one in together]
            try:
                found += removal_edits(made, removed, self._relationships(made))
            except LayoutError as error:
                raise _Failed(together, str(error)) from error
        return found

    def _import_edits(self, here: Sequence[Conversion], there: Sequence[Conversion]) -> list[TextEdit]:
        written, removed = list(_collapses(here)), list(_collapses(there))
        needed = dict.fromkeys(one for conversion in written for one in conversion.imports)
        before_line = self._line_above(conversion.source.node for conversion in written if conversion.imports)
        texts = [text for one in written for text in (one.function, *(option.text for option in one.options))]
        stay = {name for text in texts if text for name in names_in(text)}
        scopes = {scope for one in removed for scope in one.removed.scope.chain()}
        gone = [one.removed.stmt for one in removed]
        unused = unused_imports(self.project, self.module, gone, stay, scopes)
        return list(import_edits(self.module, needed, unused, before_line, self.line_length))


def _collapses(conversions: Iterable[Conversion]) -> Iterator[Collapse]:
    return (one for one in conversions if isinstance(one, Collapse))
