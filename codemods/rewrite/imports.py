"""Imports: names that the reverses need, and names that nothing uses any more."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard

import libcst as cst

from backpop.codemods.facts import Binding, Bound, Module, Scope, first_line, last_name
from backpop.codemods.files import sources_of
from backpop.codemods.link import External, Opaque, Project, Value
from backpop.codemods.plan.model import Import
from backpop.codemods.rewrite.forward import has_own_lines
from backpop.codemods.rewrite.statements import LayoutError, TextEdit, transform_lines
from backpop.codemods.source import Source

_RELATIONSHIPS = {"relationship", "Relationship", "backref"}


class _EditNames(cst.CSTTransformer):
    """Adds names to, and takes names from, one ``from ... import ...`` statement."""

    def __init__(self, add: Sequence[Import], remove: Collection[str], indent: str, room: int) -> None:
        super().__init__()
        self.add = add
        self.remove = remove
        self.indent = indent
        self.room = room  # columns left for the names of a statement without parentheses

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
        if isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        names = list(updated_node.names)
        was_sorted = _is_sorted(names)
        for bound in sorted(self.remove):
            names = _without(names, bound)
        node = updated_node.with_changes(names=names)
        for wanted in self.add:
            node = _with(node, wanted, was_sorted)
        if node.lpar is None and self.add and len(cst.Module([]).code_for_node(node)) > self.room:
            node = _one_per_line(node, self.indent)
        return node


def _key(alias: cst.ImportAlias) -> str:
    return str(alias.evaluated_name)


def _is_sorted(names: Sequence[cst.ImportAlias]) -> bool:
    keys = [_key(alias) for alias in names]
    return any(keys == sorted(keys, key=order) for order in _ORDERS)


def _by_kind(name: str) -> str:
    """isort's order: constants, classes, then the rest."""
    return f"{0 if name.isupper() else 1 if name[:1].isupper() else 2}{name}"


_ORDERS: tuple[Callable[[str], str], ...] = (str, str.lower, _by_kind)


def _without(names: list[cst.ImportAlias], bound: str) -> list[cst.ImportAlias]:
    for index, alias in enumerate(names):
        if (alias.evaluated_alias or alias.evaluated_name) != bound:
            continue
        rest = names[:index] + names[index + 1 :]
        if index == len(names) - 1 and rest:
            rest[-1] = rest[-1].with_changes(comma=alias.comma)
        return rest
    return names


def _with(node: cst.ImportFrom, wanted: Import, in_order: bool) -> cst.ImportFrom:
    assert not isinstance(node.names, cst.ImportStar)
    names = list(node.names)
    alias = cst.ImportAlias(
        cst.Name(wanted.name), cst.AsName(cst.Name(wanted.alias)) if wanted.alias else None
    )
    index = len(names)
    if in_order:
        keys = [_key(one) for one in names]
        order = next(order for order in _ORDERS if keys == sorted(keys, key=order))
        index = next((at for at, key in enumerate(keys) if order(key) > order(wanted.name)), index)
    separator = _separator(node)
    if index < len(names):
        names.insert(index, alias.with_changes(comma=separator))
        return node.with_changes(names=names)
    last = names[-1]
    rpar = node.rpar
    between: cst.Comma = separator
    if rpar is not None and isinstance(rpar.whitespace_before, cst.ParenthesizedWhitespace):
        comment = rpar.whitespace_before.first_line.comment
        if comment is not None and isinstance(separator.whitespace_after, cst.ParenthesizedWhitespace):
            line = rpar.whitespace_before.first_line  # the comment of what was the last name stays with it
            between = separator.with_deep_changes(separator.whitespace_after, first_line=line)
            rpar = rpar.with_deep_changes(
                rpar.whitespace_before,
                first_line=line.with_changes(comment=None, whitespace=cst.SimpleWhitespace("")),
            )
    names[-1] = last.with_changes(comma=between)
    names.append(alias.with_changes(comma=last.comma))
    return node.with_changes(names=names, rpar=rpar)


def _separator(node: cst.ImportFrom) -> cst.Comma:
    """The comma between two names of a statement, with the white space that follows it there."""
    assert not isinstance(node.names, cst.ImportStar)
    space: cst.BaseParenthesizableWhitespace = cst.SimpleWhitespace(" ")
    if len(node.names) > 1 and isinstance(node.names[0].comma, cst.Comma):
        space = node.names[0].comma.whitespace_after
    elif node.lpar is not None:
        space = node.lpar.whitespace_after
        if isinstance(space, cst.SimpleWhitespace):
            space = cst.SimpleWhitespace(" ")
    if isinstance(space, cst.ParenthesizedWhitespace):
        line = space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
        space = space.with_changes(first_line=line, empty_lines=())
    return cst.Comma(whitespace_after=space)


def _one_per_line(node: cst.ImportFrom, indent: str) -> cst.ImportFrom:
    assert not isinstance(node.names, cst.ImportStar)
    inside = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(indent))
    closing = cst.ParenthesizedWhitespace(indent=True)
    names = [alias.with_changes(comma=cst.Comma(whitespace_after=inside)) for alias in node.names[:-1]]
    names.append(node.names[-1].with_changes(comma=cst.Comma()))
    return node.with_changes(
        names=names,
        lpar=cst.LeftParen(whitespace_after=inside),
        rpar=cst.RightParen(whitespace_before=closing),
    )


def import_edits(
    module: Module,
    needed: Iterable[Import],
    unused: Iterable[Binding],
    before_line: int,
    line_length: int,
) -> Iterator[TextEdit]:
    """The edits of a module's imports. Those ``needed`` go above ``before_line``; those ``unused`` go."""
    source = module.source
    wanted = {one for one in needed if not _is_bound(module, one)}
    checked = sorted(one for one in wanted if one.guard)
    wanted.difference_update(checked)
    touched: dict[ast.ImportFrom | ast.Import, tuple[list[Import], set[str]]] = {}
    for one in sorted(wanted):
        existing = _statement_for(module, module.tree.body, one, before_line)
        if existing is not None:
            touched.setdefault(existing, ([], set()))[0].append(one)
            wanted.discard(one)
    block = module.checking_block
    for one in list(checked):
        existing = _statement_for(module, block.body if block is not None else (), one)
        if existing is not None:
            touched.setdefault(existing, ([], set()))[0].append(one)
            checked.remove(one)
    guards: dict[ast.ImportFrom | ast.Import, ast.AST | None] = {}
    for binding in unused:
        node = binding.node
        if isinstance(node, ast.ImportFrom | ast.Import) and has_own_lines(source, node):
            touched.setdefault(node, ([], set()))[1].add(binding.name)
            guards[node] = binding.guard
    gone = {node for node, (add, remove) in touched.items() if not add and len(remove) == len(node.names)}
    for whole in _whole(source, gone, guards):
        yield _removed(module, whole.lineno, whole.end_lineno or whole.lineno)
    for stmt, (add, remove) in touched.items():
        first, last = stmt.lineno, stmt.end_lineno or stmt.lineno
        if stmt in gone or isinstance(stmt, ast.Import):
            continue
        edit = transform_lines(source, first, last, _EditNames(add, remove, source.indent_unit, line_length))
        if (
            edit is not None
            and remove
            and _comments(edit.new) < _comments(source.text[edit.start : edit.end])
        ):
            edit = transform_lines(source, first, last, _EditNames(add, (), source.indent_unit, line_length))
        if edit is not None:
            yield edit
    for stdlib in (True, False):
        section = sorted(one for one in wanted if _is_stdlib(one.module) is stdlib)
        if section:
            yield _new_statements(module, section, before_line)
    if checked:
        yield _for_checkers(module, checked, before_line)


def _whole(
    source: Source,
    gone: Collection[ast.ImportFrom | ast.Import],
    guards: Mapping[ast.ImportFrom | ast.Import, ast.AST | None],
) -> Iterator[ast.stmt]:
    """The statements to take out: an ``if TYPE_CHECKING:`` with all that it holds, where nothing is left."""
    done: set[ast.AST] = set()
    for stmt in gone:
        whole: ast.stmt = stmt
        guard = guards.get(stmt)
        if isinstance(guard, ast.If):
            if not guard.orelse and all(one in gone for one in guard.body):
                whole = guard
            elif all(one in gone for one in guard.body):
                continue
        if whole not in done and "#" not in source.segment(whole) + source.line_text(whole.lineno):
            done.add(whole)
            yield whole


def _comments(text: str) -> int:
    return text.count("#")


def _is_bound(module: Module, wanted: Import) -> bool:
    return any(
        _module_of(binding.module, binding.level) == wanted.module
        and binding.imported == wanted.name
        and (not binding.type_checking or bool(wanted.guard))
        for binding in module.scope.bindings.get(wanted.bound, ())
    )


def _module_of(name: str | None, level: int) -> str:
    """A module as an import statement writes it, dots included."""
    return "." * level + (name or "")


def _statement_for(
    module: Module, body: Iterable[ast.stmt], wanted: Import, before_line: int | None = None
) -> ast.ImportFrom | None:
    """The statement of a block that already imports from the same place."""
    if not wanted.name:
        return None
    for stmt in body:
        if (
            isinstance(stmt, ast.ImportFrom)
            and _module_of(stmt.module, stmt.level) == wanted.module
            and (before_line is None or stmt.lineno < before_line)
            and stmt.names[0].name != "*"
            and has_own_lines(module.source, stmt)
        ):
            return stmt
    return None


def _is_stdlib(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def _new_statements(module: Module, wanted: Sequence[Import], before_line: int) -> TextEdit:
    """New import statements of one section: after its last import, else after the last import, else on top.

    The sections are those of the standard library and of SQLAlchemy.
    """
    source = module.source
    newline = source.newline
    text = "".join(line + newline for line in _lines(wanted))
    imports = _imports(module, before_line)
    stdlib = _is_stdlib(wanted[0].module)
    future = [stmt for stmt in imports if "__future__" in _modules_of(stmt)]
    related = [
        stmt
        for stmt in imports
        if stmt not in future
        and any(_is_stdlib(name) if stdlib else _is_sqlalchemy(name) for name in _modules_of(stmt))
    ]
    names = [_modules_of(stmt)[0] for stmt in related]
    if names == sorted(names) and any(name < wanted[0].module for name in names):  # keep them in order
        related = [stmt for stmt, name in zip(related, names, strict=True) if name < wanted[0].module]
    body = module.tree.body
    if stdlib and not related and imports:  # a section of its own, above the others
        if future:
            offset = source.line_end(future[-1].end_lineno or future[-1].lineno)
            return TextEdit(offset, offset, newline + text)
        offset = source.line_starts[first_line(imports[0]) - 1]
        return TextEdit(offset, offset, text + newline)
    after: list[ast.stmt] = [*(related or imports)[-1:]]
    if not after and body and ast.get_docstring(module.tree, clean=False) is not None:
        after, text = body[:1], newline + text
    if after:
        return _below(module, after[0], text)
    offset = source.line_starts[first_line(body[0]) - 1]
    return TextEdit(offset, offset, text + newline * 2)


def _for_checkers(module: Module, wanted: Sequence[Import], before_line: int) -> TextEdit:
    """New import statements in the block for type checkers, which is added below the imports if need be."""
    source, block = module.source, module.checking_block
    if block is not None:
        last = block.body[-1]
        indent = source.indent_of(block.body[0].lineno)
        text = "".join(indent + line + source.newline for line in _lines(wanted))
        if isinstance(last, ast.Pass) and last is block.body[0]:
            start, end = source.span(last)
            return TextEdit(start, end, text[len(indent) : -len(source.newline)])
        imports = [stmt for stmt in block.body if isinstance(stmt, ast.Import | ast.ImportFrom)]
        above: list[ast.stmt] = [stmt for stmt in imports if _order(stmt) < wanted[0].module]
        if [_order(stmt) for stmt in imports] != sorted(map(_order, imports)) or not imports:
            above = [imports[-1] if imports else last]
        if above:
            return _below(module, above[-1], text)
        offset = source.line_starts[block.body[0].lineno - 1]
        return TextEdit(offset, offset, text)
    lines = [f"if {wanted[0].guard}:", *(source.indent_unit + line for line in _lines(wanted))]
    text = source.newline + "".join(line + source.newline for line in lines)
    imports = _imports(module, before_line)
    if not imports:
        raise LayoutError("there is no import to stand below")
    end = imports[-1].end_lineno or imports[-1].lineno
    if end < len(source.line_starts) and source.line_text(end + 1).strip():
        text += source.newline
    return _below(module, imports[-1], text)


def _lines(wanted: Sequence[Import]) -> Iterator[str]:
    """One statement for each module, or for each where a whole module is imported."""
    for module, together in itertools.groupby(wanted, key=lambda one: one.name and one.module):
        if not module:
            yield from (one.text for one in together)
            continue
        first, *others = sorted(together, key=lambda one: _by_kind(one.name))
        yield ", ".join([first.text, *(one.text.partition(" import ")[2] for one in others)])


def _order(stmt: ast.Import | ast.ImportFrom) -> str:
    if isinstance(stmt, ast.ImportFrom):
        return _module_of(stmt.module, stmt.level)
    return stmt.names[0].name


def _below(module: Module, stmt: ast.stmt, text: str) -> TextEdit:
    """Lines below a statement. Raises :class:`LayoutError` where its last line has no end."""
    offset = module.source.line_end(stmt.end_lineno or stmt.lineno)
    if not module.source.text[:offset].endswith(("\n", "\r")):
        raise LayoutError("the import shares the last line of the file")
    return TextEdit(offset, offset, text)


def _imports(module: Module, before_line: int) -> list[ast.Import | ast.ImportFrom]:
    """The import statements at the top of a module."""
    return [
        stmt
        for stmt in module.tree.body
        if isinstance(stmt, ast.Import | ast.ImportFrom) and stmt.lineno < before_line
    ]


def _is_sqlalchemy(name: str) -> bool:
    return name.partition(".")[0] == "sqlalchemy"


def _modules_of(stmt: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(stmt, ast.ImportFrom):
        return [] if stmt.level else [stmt.module or ""]
    return [alias.name for alias in stmt.names]


def _removed(module: Module, first: int, last: int) -> TextEdit:
    """Whole lines taken out, with one of two blank lines that would then meet."""
    source = module.source
    start, end = source.line_starts[first - 1], source.line_end(last)
    blank_before = first > 1 and not source.line_text(first - 1).strip()
    blank_after = (
        last < len(source.line_starts)
        and not source.line_text(last + 1).strip()
        and (last + 1 < len(source.line_starts))
    )
    if blank_after and (blank_before or first == 1):
        end = source.line_end(last + 1)
    while first == 1 and end < len(source.text) and not source.line_text(source.line_of(end)).strip():
        end = source.line_end(source.line_of(end))
    return TextEdit(start, end, "")


def unused_imports(
    project: Project, module: Module, gone: Iterable[ast.AST], stay: Collection[str], scopes: Iterable[Scope]
) -> list[Binding]:
    """Imports that nothing needs once ``gone`` is taken out of a module, with all that is below.

    Names in ``stay`` are read by what is written instead; ``scopes`` are where the imports may stand. Only
    imports of SQLAlchemy and ``typing``, and those for type checkers, are given, and functions and values of
    a module that is imported for others as well: importing something else may do something.
    """
    roots, places = list(gone), set(scopes)
    found = list(_unused(project, module, roots, stay, places))
    taken = {(binding.node, binding.name) for binding in found}
    guards = {binding.guard for binding in found if isinstance(binding.guard, ast.If)}
    emptied = [guard for guard in guards if not guard.orelse and all(_is_taken(s, taken) for s in guard.body)]
    if not emptied:
        return found
    return list(_unused(project, module, [*roots, *(guard.test for guard in emptied)], stay, places))


def _is_taken(stmt: ast.stmt, taken: Collection[tuple[ast.AST, str]]) -> bool:
    """Whether an import statement binds nothing but what is taken out."""
    return isinstance(stmt, ast.ImportFrom) and all(
        (stmt, alias.asname or alias.name) in taken for alias in stmt.names
    )


def _unused(
    project: Project, module: Module, roots: Sequence[ast.AST], stay: Collection[str], scopes: Iterable[Scope]
) -> Iterator[Binding]:
    inside = {node for root in roots for node in ast.walk(root)}
    annotations = [root.annotation for root in roots if isinstance(root, ast.AnnAssign)]
    texts = [node for annotation in annotations for node in ast.walk(annotation) if _is_text(node)]
    quoted = {word for text in texts for word in re.findall(r"\w+", str(text.value))}
    names = {node.id for node in inside if isinstance(node, ast.Name)} | quoted
    for name in sorted(names - set(stay)):
        bindings = [binding for scope in scopes for binding in scope.bindings.get(name, ())]
        if len(bindings) != 1 or bindings[0].how not in {Bound.FROM, Bound.IMPORT}:
            continue
        if any(use not in inside for use in _bare_uses(module, name)):
            continue
        for_checkers = bindings[0].type_checking
        if bindings[0].guard is not None and not for_checkers:
            continue
        if (name in quoted or for_checkers) and _is_quoted(module, name, inside):
            continue
        found = project.resolve(ast.Name(name), bindings[0].scope)
        known = isinstance(found, External) and found.name.partition(".")[0] in {"sqlalchemy", "typing"}
        own = isinstance(found, Opaque | Value) and _is_imported_anyway(module, bindings[0], inside)
        if (known or own or for_checkers) and not _exported(project, module, name):
            yield bindings[0]


def _is_imported_anyway(module: Module, binding: Binding, but: Collection[ast.AST]) -> bool:
    """Whether an import statement has another name, which is still read."""
    names = (alias.asname or alias.name for alias in getattr(binding.node, "names", ()))
    return any(use not in but for name in names for use in _bare_uses(module, name))


def _bare_uses(module: Module, name: str) -> Iterator[ast.Name]:
    return (use for use in module.uses(name) if isinstance(use, ast.Name))


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_quoted(module: Module, name: str, but: Collection[ast.AST]) -> bool:
    """Whether a string of a module, which may be an annotation, has a name in it.

    The arguments of relationships are for the registry, which knows nothing of imports.
    """
    pattern = re.compile(rf"\b{re.escape(name)}\b")
    waiting: list[ast.AST] = [module.tree]
    while waiting:
        node = waiting.pop()
        if _is_text(node) and node not in but and pattern.search(str(node.value)):
            return True
        if not (isinstance(node, ast.Call) and last_name(node.func) in _RELATIONSHIPS):
            waiting += ast.iter_child_nodes(node)
    return False


def _exported(project: Project, module: Module, name: str) -> bool:
    """Whether a name of a module may be used from outside of it: nothing is certain but that it is not."""
    if "__all__" in module.scope.bindings and any(
        isinstance(node, ast.Constant) and node.value == name for node in ast.walk(module.tree)
    ):
        return True
    homes = [*module.parts[-1:], *(["."] if module.name == "__init__" else [])]  # also ``from . import``
    takers = {path for home in homes for path in project.files.holding(sources_of(name), home)}
    for path in sorted(takers):
        other = project.module(path)
        if other is None or (other is not module and _takes(project, other, module, name)):
            return True
    return False


def _takes(project: Project, other: Module, module: Module, name: str) -> bool:
    """Whether a module takes a name from another: by an import, a star import or an attribute."""

    def is_it(binding: Binding) -> bool:
        return project.find_module(binding.module, binding.level, other) is module

    scopes = [other.scope, *(made.body for made in other.classes), *(made.scope for made in other.classes)]
    bindings = [one for scope in scopes for many in scope.bindings.values() for one in many]
    if any(one.how is Bound.FROM and one.imported == name and is_it(one) for one in bindings):
        return True
    uses = list(other.uses(name))
    passes_on = any(isinstance(use, ast.Name) for use in uses) or other.name == "__init__"
    if passes_on and any(is_it(star) for scope in scopes for star in scope.stars):
        return True
    return any(
        isinstance(use, ast.Attribute) and project.resolve(use.value, other.scope) is module for use in uses
    )
