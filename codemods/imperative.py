"""Imperative mappings: which call maps which class.

SQLAlchemy: "Imperative Mapping". A class that is mapped so may be known only by the name that a scope has for
it (``User = self.classes.User``); a :class:`~backpop.codemods.facts.ClassInfo` without a body stands for it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backpop.codemods.facts import ClassInfo, MapperCall, Scope, last_name

if TYPE_CHECKING:
    from backpop.codemods.link import Project, Resolved


@dataclass(frozen=True, eq=False)
class Mapping:
    """One call that maps a class to a table."""

    made: ClassInfo
    named: ast.expr  # the class, as the call names it
    call: MapperCall

    def argument(self, name: str, position: int = 9) -> ast.expr | None:
        """An argument of the call, None where it is not given or is ``None``."""
        node = self.call.node
        found = node.args[position] if len(node.args) > position else None
        for keyword in node.keywords:
            if keyword.arg == name:
                found = keyword.value
        return None if isinstance(found, ast.Constant) and found.value is None else found

    @property
    def table(self) -> ast.expr | None:
        """The table that the class is mapped to; None for one that only inherits."""
        return self.argument("local_table", 1)

    @property
    def where(self) -> str:
        """``path:line`` for messages."""
        return f"{self.call.scope.module.shown}:{self.call.stmt.lineno}"


class Mappings:
    """The imperative mappings of a project, scope by scope."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._of_scope: dict[Scope, list[Mapping]] = {}
        self._of_class: dict[Scope, dict[ClassInfo, list[Mapping]]] = {}
        self._heirs: dict[Scope, dict[ClassInfo, list[Mapping]]] = {}
        self._stand_ins: dict[tuple[Scope, Resolved | str], ClassInfo] = {}

    def of_scope(self, scope: Scope) -> list[Mapping]:
        """The mappings that the statements of a scope make, in order."""
        if scope not in self._of_scope:
            calls = scope.module.mapper_calls.get(scope, ())
            found = [one for call in calls if (one := self._mapping(call)) is not None]
            self._of_scope[scope] = found
            self._of_class[scope] = _by_class((one.made, one) for one in found)
        return self._of_scope[scope]

    def of_call(self, node: ast.expr | None, scope: Scope) -> Mapping | None:
        """The mapping that a call makes."""
        return next((one for one in self.of_scope(scope) if one.call.node is node), None)

    def of_class(self, made: ClassInfo, scope: Scope) -> list[Mapping]:
        """The mappings of a class that a scope, or the nearest one around it, makes; else other modules."""
        for outer in scope.chain():
            if outer.kind != "class" and self.of_scope(outer):
                found = self._of_class[outer].get(made)
                if found:
                    return found
        return self._project.once(_elsewhere, made)

    def named(self, expr: ast.expr, scope: Scope) -> ClassInfo | None:
        """The class that an expression stands for, where a scope around it maps one imperatively."""
        if isinstance(expr, ast.Call):
            mapping = self.of_call(expr, scope)
            return mapping.made if mapping is not None else None
        resolved = self._meaning(expr, scope)
        mapper = getattr(resolved, "expr", None)
        if isinstance(mapper, ast.Call):  # the variable of a mapper
            return self.named(mapper, scope)
        if isinstance(resolved, ClassInfo):
            return resolved if self.of_class(resolved, scope) else None
        if resolved is None:
            return None
        for outer in scope.chain():
            if outer.kind != "class" and self.of_scope(outer) and (outer, resolved) in self._stand_ins:
                return self._stand_ins[outer, resolved]
        return None

    def _meaning(self, expr: ast.expr, scope: Scope) -> Resolved | str | None:
        """What an expression stands for; for a global that only functions define, its name."""
        if isinstance(expr, ast.Name) and not self._project.lookup(expr.id, scope):
            return expr.id
        return self._project.resolve(expr, scope)

    def bases(self, made: ClassInfo, scope: Scope) -> Iterator[Mapping]:
        """The mappings that those of a class inherit from, from the inside out, as far as they are known."""
        seen = {made}
        while len(found := self.of_class(made, scope)) == 1:
            parent = found[0].argument("inherits")  # a class or its mapper
            base = self.named(parent, scope) if parent is not None else None
            if base is None or base in seen:
                return
            seen.add(base)
            made = base
            yield from self.of_class(made, scope)

    def of_kin(self, made: ClassInfo, scope: Scope) -> Iterator[Mapping]:
        """The mappings that inherit from those of a class, and those that its own inherit from."""
        yield from self.bases(made, scope)
        if scope not in self._heirs:
            self._heirs[scope] = _by_class(
                (base, one)
                for outer in scope.chain()
                for one in (self.of_scope(outer) if outer.kind != "class" else ())
                for base in dict.fromkeys(above.made for above in self.bases(one.made, scope))
            )
        yield from self._heirs[scope].get(made, ())

    def _mapping(self, call: MapperCall) -> Mapping | None:
        if not self._maps(call):
            return None
        node = call.node
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        named = node.args[0] if node.args else given.get("class_")
        if named is None or "non_primary" in given:
            return None
        resolved = self._meaning(named, call.scope)
        if resolved is None or not isinstance(named, ast.Name | ast.Attribute):
            return None
        if isinstance(resolved, ClassInfo):
            return Mapping(resolved, named, call)
        key = (call.scope, resolved)
        if key not in self._stand_ins:
            self._stand_ins[key] = _stand_in(named, call)
        return Mapping(self._stand_ins[key], named, call)

    def _maps(self, call: MapperCall) -> bool:
        """Whether a call is one of SQLAlchemy's, or of a fixture that hands that out (``self.mapper``)."""
        func = call.node.func
        if last_name(func) == "map_imperatively":
            return True
        for one in self._project.resolve_all(func, call.scope):
            name = str(getattr(one, "name", ""))
            external = name.startswith("sqlalchemy.") and name.rpartition(".")[2] == "mapper"
            if external or name.rpartition(".")[2] == "map_imperatively":
                return True
            if isinstance(func, ast.Attribute) and name == "mapper" and not isinstance(one, ClassInfo):
                return isinstance(func.value, ast.Name) and func.value.id in {"self", "cls"}
        return False


def _elsewhere(project: Project, made: ClassInfo) -> list[Mapping]:
    """The mappings of a class of a module that modules make when they are imported."""
    if made.scope.kind != "module" or made.node not in made.module.tree.body or project.is_mapped(made):
        return []
    paths = project.files.where(_may_map(made.name.encode()))
    return [
        one
        for module in project.modules_of(paths)
        for one in project.mappings.of_scope(module.scope)
        if one.made is made
    ]


def _may_map(name: bytes) -> Callable[[bytes], bool]:
    return lambda data: (b"map_imperatively(" in data or b"mapper(" in data) and name in data


def _by_class(pairs: Iterable[tuple[ClassInfo, Mapping]]) -> dict[ClassInfo, list[Mapping]]:
    found: dict[ClassInfo, list[Mapping]] = {}
    for made, mapping in pairs:
        found.setdefault(made, []).append(mapping)
    return found


def _stand_in(named: ast.expr, call: MapperCall) -> ClassInfo:
    """A class without a statement, which is known by what a scope calls it."""
    name = last_name(named)
    node = ast.copy_location(ast.ClassDef(name, [], [], [ast.Pass()], []), call.stmt)
    module = call.scope.module
    body = Scope("class", name, node, module, call.scope)
    return ClassInfo(name, node, module, call.scope, body, None)
