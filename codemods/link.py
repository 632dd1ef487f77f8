"""Names to definitions across the modules of a project.

Static and cautious: what cannot be followed resolves to None, and the planning stage refuses.
Modules are parsed when something first asks for them, each once.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, takewhile
from typing import NamedTuple, TypeVar, cast

from backpop.codemods.facts import Binding, Bound, ClassInfo, Module, Scope, aside_of, callee, last_name
from backpop.codemods.files import Files, classes, tables
from backpop.codemods.imperative import Mappings
from backpop.codemods.layout import Layout, Tree

T = TypeVar("T", bound=Hashable)
R = TypeVar("R")

_DEPTH = 25  # a chain of aliases longer than this is taken to be a cycle

# A binding, or a star import, the name that is looked for, and whether that is for a call that is followed.
_Step = tuple[Binding, str, bool]

# Bases that say nothing of the mapping.
_NO_ROOT = {
    "builtins.object",
    "typing.Generic",
    "typing.Protocol",
    "abc.ABC",
    "sqlalchemy.orm.MappedAsDataclass",
    "sqlalchemy.ext.asyncio.AsyncAttrs",
}
_ROOT_CLASSES = {"DeclarativeBase", "DeclarativeBaseNoMeta"}
_ROOT_MAKERS = {"declarative_base", "automap_base", "generate_base"}
_MAPPED_LATER = {"DeferredReflection", "AutomapBase", "automap_base"}
ATTRIBUTE_MAKERS = {"Column", "mapped_column", "relationship"}
_MAPPED_DECORATORS = {"mapped", "mapped_as_dataclass"}


class External(NamedTuple):
    """Something that a library outside of the project defines, by its dotted name."""

    name: str

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]


class Value(NamedTuple):
    """The value of an expression, known by where it is written."""

    expr: ast.expr
    scope: Scope


class Attribute(NamedTuple):
    """An attribute of a value that is not itself understood: ``db.Model``."""

    owner: Resolved
    name: str


class Opaque(NamedTuple):
    """Something bound that cannot be followed: a parameter, a function, a loop variable."""

    binding: Binding


Resolved = External | Value | Attribute | Opaque | ClassInfo | Module


class Root(NamedTuple):
    """The declarative base, or registry, that a class hangs on. ``sure`` unless it may be any class."""

    key: Resolved | str
    sure: bool


class Project:
    """All files of a run, and the questions that planning asks about them.

    ``tree`` knows where they are, ``files`` what is in them; ``load`` parses one, and returns None for a
    file that cannot be read (and has been reported). ``factories`` are dotted names of functions that make
    relationships.
    """

    def __init__(
        self,
        tree: Tree,
        files: Files,
        load: Callable[[Layout], Module | None],
        factories: Sequence[str] = (),
    ) -> None:
        self.tree = tree
        self.files = files
        self._load = load
        self.mappings = Mappings(self)
        self._factories = factories
        self._modules: dict[str, Module | None] = {}
        self._resolving: set[_Step] = set()
        self._followed: dict[_Step, list[Resolved]] = {}
        self._unstarred: dict[str, set[Module]] = {}
        self._following_call = False
        self._bases: dict[ClassInfo, list[Resolved | None]] = {}
        self._ancestors: dict[ClassInfo, list[ClassInfo]] = {}
        self._roots: dict[ClassInfo, frozenset[Root]] = {}
        self._reach: dict[str, frozenset[str]] = {}
        self._resolved: dict[tuple[ast.expr | str, Scope], list[Resolved]] = {}
        self._results: dict[tuple[Callable[..., object], object], object] = {}

    def once(self, function: Callable[[Project, T], R], subject: T) -> R:
        """What a function of a project makes of something, worked out when it is first asked for."""
        key = function, subject
        if key not in self._results:
            self._results[key] = function(self, subject)
        return cast("R", self._results[key])

    # -- modules

    def module(self, path: str) -> Module | None:
        """The facts of one file, parsed when first asked for."""
        if path not in self._modules:
            self._modules[path] = self._load(self.tree.layout(path))
        return self._modules[path]

    def find_module(self, name: str, level: int, importer: Module) -> Module | None:
        """The project's module that an import names, or None for one outside of the project."""
        path = self.tree.find(name, level, importer.package)
        return self.module(path) if path else None

    # -- names

    def resolve(self, expr: ast.expr | None, scope: Scope) -> Resolved | None:
        """What an expression stands for, or None where that is not one certain thing."""
        found = self.resolve_all(expr, scope)
        return found[0] if len(found) == 1 else None

    def resolve_all(self, expr: ast.expr | None, scope: Scope) -> list[Resolved]:
        """Everything that an expression may stand for (a name may be bound in several branches)."""
        if expr is None or isinstance(expr, ast.Constant):
            return []
        # what a function binds may change while it is evaluated
        key = (expr.id if isinstance(expr, ast.Name) and scope.kind != "function" else expr), scope
        found = self._resolved.get(key)
        if found is None:
            found = self._resolve(expr, scope)
            if self._is_settled:
                self._resolved[key] = found
        return found

    @property
    def _is_settled(self) -> bool:
        """Whether what is found now is all there is: nothing that is just being followed is missing."""
        return not self._resolving and not self._following_call

    def _resolve(self, expr: ast.expr, scope: Scope) -> list[Resolved]:
        if isinstance(expr, ast.Name):
            return self._name(expr.id, scope)
        if isinstance(expr, ast.Attribute):
            return _unique(
                part
                for owner in self.resolve_all(expr.value, scope)
                for part in self._attribute(owner, expr.attr)
            )
        return [Value(expr, scope)]

    def lookup(self, name: str, scope: Scope) -> list[Binding]:
        """The bindings of a name that an expression in this scope sees (class bodies see no class around)."""
        for index, outer in enumerate(scope.chain()):
            if outer.kind == "class" and index > 0:
                continue
            if name in outer.bindings:
                return outer.bindings[name]
        return []

    def seen_from(self, expr: ast.expr, scope: Scope) -> Scope:
        """The scope that the first name of an expression is looked up in.

        A class body does not see there what it only binds itself, or further down.
        """
        root = expr
        while isinstance(root, ast.Attribute):
            root = root.value
        if scope.kind != "class" or not isinstance(root, ast.Name) or not hasattr(root, "lineno"):
            return scope
        bindings = scope.bindings.get(root.id, [])
        late = bool(bindings) and all(one.end > (root.lineno, root.col_offset) for one in bindings)
        return scope.outside if late else scope

    def _name(self, name: str, scope: Scope) -> list[Resolved]:
        for index, outer in enumerate(scope.chain()):
            if outer.kind == "class" and index > 0:
                continue
            found = self._in_scope(outer, name)
            if found is not None:
                return found
        return [External(f"builtins.{name}")] if name in _BUILTINS else []

    def _in_scope(self, scope: Scope, name: str, *, finished: bool = False) -> list[Resolved] | None:
        """What a name stands for in one scope: its bindings, or what the last star import brings.

        ``finished`` asks for what it stands for when all of the scope has run.
        """
        bindings = scope.bindings.get(name, [])
        if finished:
            bindings = settled(bindings)
        last = max((binding.line for binding in bindings), default=0)
        found = self._bindings(bindings)
        for star in reversed(scope.stars):
            if star.line > last and (brought := self._from_star(star, name)):
                return _unique(iter([*found, *brought]))
        return found if bindings else None

    def _bindings(self, bindings: Sequence[Binding]) -> list[Resolved]:
        at_run_time = [binding for binding in bindings if not binding.type_checking] or bindings
        return _unique(part for binding in at_run_time for part in self.meaning(binding))

    def meaning(self, binding: Binding) -> list[Resolved]:
        """What one binding of a name stands for."""
        return self._step((binding, binding.name), lambda: self._meaning(binding))

    def _step(self, of: tuple[Binding, str], follow: Callable[[], list[Resolved]]) -> list[Resolved]:
        """What one step of following a name leads to; nothing for one that is being taken already.

        In one search each step is taken once, or names that lead to each other in circles would have to be
        followed along every path.
        """
        step = *of, self._following_call
        if step in self._followed:
            return self._followed[step]
        if step in self._resolving or len(self._resolving) > _DEPTH:
            return []
        self._resolving.add(step)
        try:
            found = follow()
        finally:
            self._resolving.discard(step)
            if not self._resolving:
                self._followed.clear()
        if self._resolving:
            self._followed[step] = found
        return found

    def _meaning(self, binding: Binding) -> list[Resolved]:
        if binding.how is Bound.CLASS and binding.made is not None:
            return [binding.made]
        if binding.how is Bound.IMPORT:
            module = self.find_module(binding.module, 0, binding.scope.module)
            return [module or External(binding.module)]
        if binding.how is Bound.FROM:
            return self._from(binding, binding.imported)
        if binding.how is Bound.VALUE:
            outer = binding.scope.parent
            if outer and isinstance(binding.value, ast.Name) and binding.value.id == binding.name:
                return self._name(binding.name, outer)  # ``name = name`` in a class body
            if isinstance(binding.value, ast.Name | ast.Attribute):
                return self.resolve_all(binding.value, binding.scope)
            if isinstance(binding.value, ast.Constant) and binding.value.value is None:
                return []  # ``except ImportError: name = None``
            return [Value(binding.value, binding.scope)] if binding.value is not None else []
        return [Opaque(binding)]

    def _from(self, binding: Binding, name: str) -> list[Resolved]:
        importer = binding.scope.module
        module = self.find_module(binding.module, binding.level, importer)
        if module is not None:
            found = self._member(module, name)
            if found:
                return found
        inner = f"{binding.module}.{name}" if binding.module else name
        submodule = self.find_module(inner, binding.level, importer)
        if submodule is not None:
            return [submodule]
        if module is not None or binding.level:
            return []
        return [External(f"{binding.module}.{name}")]

    def _from_star(self, star: Binding, name: str) -> list[Resolved]:
        return self._step((star, name), lambda: next(filter(None, self._brought(star, name)), []))

    def _brought(self, star: Binding, name: str) -> Iterator[list[Resolved]]:
        """What a star import may bring for a name, the likeliest first: from the modules that bind it.

        Modules that do not may pass it on by a star import of their own.
        """
        nothing = self._unstarred.setdefault(name, set())
        seen: set[Module] = set()
        waiting = [star]
        bound = False
        while waiting:
            current = waiting.pop()
            module = self.find_module(current.module, current.level, current.scope.module)
            if module is None:
                if name in _STAR.get(current.module, ()):
                    yield [External(f"{current.module}.{name}")]
                    bound = True
            elif module not in seen and module not in nothing and not name.startswith("_"):
                seen.add(module)
                exported = self.once(_exported, module)
                if exported is not None and name not in exported:
                    continue
                if name in module.scope.bindings:
                    yield self._member(module, name)
                    bound = True
                else:
                    waiting += module.scope.stars
        if not bound:
            nothing |= seen

    def _member(self, module: Module, name: str) -> list[Resolved]:
        """A name of a module's own namespace, as other modules find it there."""
        return self._in_scope(module.scope, name, finished=True) or []

    def _attribute(self, owner: Resolved, name: str) -> list[Resolved]:
        if isinstance(owner, Module):
            found = self._member(owner, name)
            if found:
                return found
            submodule = self.find_module(name, 1, owner) if owner.name == "__init__" else None
            return [submodule] if submodule else []
        if isinstance(owner, External):
            return [External(f"{owner.name}.{name}")]
        if isinstance(owner, ClassInfo):
            for made in (owner, *self.ancestors(owner)):
                if name in made.body.bindings:
                    return self._bindings(made.body.bindings[name])
            return []
        if isinstance(owner, Value) and isinstance(owner.expr, ast.Call):
            maker = self._maker(owner, owner.expr.func)
            if isinstance(maker, ClassInfo):  # an instance of a class of the project
                inner = self._attribute(maker, name)
                if inner:
                    return inner
        return [Attribute(owner, name)]

    def _maker(self, value: Value, func: ast.expr) -> Resolved | None:
        """What is called to make a value, unless that takes following another call: ``query.filter()``."""
        if self._following_call:
            return None
        self._following_call = True
        try:
            return self.resolve(func, value.scope)
        finally:
            self._following_call = False

    @cached_property
    def factories(self) -> frozenset[Resolved]:
        """What the user names as functions that make relationships."""
        return frozenset(found for name in self._factories for found in self._dotted(name))

    def _dotted(self, name: str) -> Iterator[Resolved]:
        """Everything that a dotted name may stand for, inside of the project and outside."""
        yield External(name)
        parts = tuple(name.split("."))
        for size in range(len(parts) - 1, 0, -1):
            path = self.tree.find(".".join(parts[:size]), 0, ())
            module = self.module(path) if path else None
            found: list[Resolved] = [module] if module is not None else []
            for part in parts[size:]:
                found = [inner for owner in found for inner in self._attribute(owner, part)]
            yield from found

    # -- classes

    def classes_named(self, name: str, aside: tuple[str, ...] | None = None) -> list[ClassInfo]:
        """Every class of this simple name; if ``aside`` is given, of the files that stand there."""
        paths = self.files.holding(classes, name)
        if aside is not None:
            places = map(self.tree.layout, paths)
            paths = [place.path for place in places if aside_of(place.package, place.name) == aside]
        modules = self.modules_of(paths)
        return [made for module in modules for made in module.named.get(name, ())]

    def modules_of(self, paths: Sequence[str]) -> Iterator[Module]:
        """The modules of some files, by path; without those that cannot be read."""
        for path in sorted(paths):
            module = self.module(path)
            if module is not None:
                yield module

    def bases(self, made: ClassInfo) -> list[Resolved | None]:
        """What the bases of a class resolve to."""
        found = self._bases.get(made)
        if found is None:
            found = [self.resolve(_unsubscripted(base), made.scope) for base in made.node.bases]
            if self._is_settled:
                self._bases[made] = found
        return found

    def ancestors(self, made: ClassInfo) -> list[ClassInfo]:
        """The project's classes that a class derives from, in the order of method resolution."""
        if made not in self._ancestors:
            for one in self._bases_first(made, self._ancestors, []):
                above = [base for base in self.bases(one) if isinstance(base, ClassInfo) and base is not one]
                self._ancestors[one] = _merged([[base, *self.ancestors(base)] for base in above] + [above])
        return self._ancestors[made]

    def _bases_first(self, made: ClassInfo, known: dict[ClassInfo, R], nothing: R) -> Iterator[ClassInfo]:
        """What a class derives from, and last itself, as far as nothing is known of it: that is to follow.

        A class hierarchy with a cycle ends at what is being looked at, of which ``nothing`` is known.
        """
        waiting = [made]
        entered: set[ClassInfo] = set()
        while waiting:
            one = waiting[-1]
            if one in entered:
                entered.discard(one)
                yield waiting.pop()
            elif one in known:
                waiting.pop()
            else:
                entered.add(one)
                known[one] = nothing
                bases = self.bases(one)
                waiting += (base for base in bases if isinstance(base, ClassInfo) and base not in known)

    def subclasses(
        self, made: ClassInfo, names: Callable[[ClassInfo], Iterable[str]] = lambda one: (one.name,)
    ) -> list[ClassInfo]:
        """The project's classes that derive from a class, at any depth; ``names`` are those of a base."""
        found: dict[ClassInfo, None] = {}
        waiting = deque([made])
        while waiting:
            current = waiting.popleft()
            for other in (heir for name in names(current) for heir in self.once(_heirs, (current, name))):
                if other not in found and other is not made:
                    found[other] = None
                    waiting.append(other)
        return list(found)

    def roots(self, made: ClassInfo) -> frozenset[Root]:
        """The declarative bases or registries of a class; those that are sure where there are any.

        An empty set means a plain class: a mixin, or one that is mapped imperatively.
        """
        if made not in self._roots:
            for one in self._bases_first(made, self._roots, frozenset()):
                found = list(self._find_roots(one))
                sure = frozenset(root for root in found if root.sure)
                self._roots[one] = sure or frozenset(found)
        return self._roots[made]

    def _find_roots(self, made: ClassInfo) -> Iterator[Root]:
        node = made.node
        for decorator in node.decorator_list:
            func = callee(decorator)
            if isinstance(func, ast.Attribute) and func.attr in _MAPPED_DECORATORS:
                yield Root(self.resolve(func.value, made.scope) or ast.unparse(func.value), sure=True)
            target = self.resolve(func, made.scope)
            if isinstance(target, External) and target.last in {"as_declarative", "as_declarative_base"}:
                yield Root(made, sure=True)
        for keyword in node.keywords:
            declarative = keyword.arg == "metaclass" and self._is_declarative_meta(keyword.value, made.scope)
            if declarative and not any(isinstance(base, ClassInfo | Value) for base in self.bases(made)):
                yield Root(made, sure=True)
        for expr, base in zip(node.bases, self.bases(made), strict=True):
            if isinstance(base, ClassInfo):
                yield from self.roots(base)
            elif isinstance(base, External):
                if base.last in _ROOT_CLASSES:
                    yield Root(made, sure=True)
                elif base.name not in _NO_ROOT and not _of_stdlib(base.name):
                    yield Root(base, sure=False)
            elif isinstance(base, Value):
                yield Root(base, sure=last_name(callee(base.expr)) in _ROOT_MAKERS)
            elif isinstance(base, Attribute):
                yield Root(base, sure=base.name == "Model")
            elif isinstance(base, Opaque):
                yield Root(base, sure=False)
            else:
                yield Root(f"{made.module.path}:{ast.unparse(expr)}", sure=False)

    def _is_declarative_meta(self, expr: ast.expr, scope: Scope) -> bool:
        found = self.resolve(expr, scope)
        names = (
            [found, *(base for one in self.ancestors(found) for base in self.bases(one)), *self.bases(found)]
            if (isinstance(found, ClassInfo))
            else [found]
        )
        return any(isinstance(one, External) and one.last == "DeclarativeMeta" for one in names)

    def has_mapping(self, made: ClassInfo) -> bool:
        """Whether a class, or one that it derives from, shows a table or columns of its own."""
        return (
            _is_table(made)
            or any(
                name in one.body.bindings
                for one in (made, *self.ancestors(made))
                for name in ("__tablename__", "__table__", "__mapper_args__")
            )
            or any(
                isinstance(member.value, ast.Call) and last_name(member.value.func) in ATTRIBUTE_MAKERS
                for one in (made, *self.ancestors(made))
                for member in one.members
            )
        )

    def same_registry(self, one: ClassInfo, other: ClassInfo) -> bool | None:
        """Whether strings reach from one class to the other; None where that cannot be told."""
        first, second = self.roots(one), self.roots(other)
        if first & second:
            return True
        if not first or not second:
            return None
        if (_are_sure(first) and _are_closed(second)) or (_are_sure(second) and _are_closed(first)):
            return False  # what another package defines does not hang on a base that the project makes
        return None

    def is_mapped(self, made: ClassInfo) -> bool:
        """Whether a class is mapped declaratively: no mixin, no abstract or declarative base.

        A base that may be anything (one of another package) is not enough: the class itself must then show
        a table or columns.
        """
        return self.once(_is_mapped, made)

    def mapped_later(self, made: ClassInfo) -> str | None:
        """The base that leaves a declarative class without a mapper until a later call; None for most."""
        above = [base for one in (made, *self.ancestors(made)) for base in self.bases(one)]
        names = [base.last for base in above if isinstance(base, External)]
        names += [
            last_name(base.expr.func)
            for base in above
            if isinstance(base, Value) and isinstance(base.expr, ast.Call)
        ]
        return next((name for name in names if name in _MAPPED_LATER), None)

    def is_instrumented(self, made: ClassInfo) -> bool:
        """Whether assigning a relationship to an attribute of a mapped class makes it one of its mapper."""
        line = (made, *self.ancestors(made))
        return self.mapped_later(made) is None and not any(
            last_name(callee(decorator)) in _MAPPED_DECORATORS
            for one in line
            for decorator in one.node.decorator_list
        )

    def import_name(self, module: Module) -> tuple[str, ...]:
        """The dotted name that a module is imported by, as far as packages show it."""
        return module.parts[self.tree.outside(module.package) :]

    def import_path(self, importer: Module, goal: Module) -> str:
        """How one module imports from another, as it does from the others of the project: ``.goal``."""
        relative, cuts = 0, Counter[int]()  # how many of the outermost folders are no part of a dotted name
        for module in (importer, goal):
            for binding in (one for many in module.scope.bindings.values() for one in many):
                if binding.how is Bound.FROM and binding.level:
                    relative += 1
                elif binding.how in {Bound.FROM, Bound.IMPORT}:
                    path = self.tree.find(binding.module, 0, module.package)
                    if path is not None:
                        place = self.tree.layout(path)
                        length = len(place.package) + (place.name != "__init__")
                        cuts[length - len(binding.module.split("."))] += 1
            if relative or cuts:
                break
        ours, theirs = self.import_name(importer), self.import_name(goal)
        if relative > cuts.total() and len(ours) > 1 and ours[0] == theirs[0]:
            pairs = zip(importer.package, goal.parts, strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            return "." * (len(importer.package) - shared + 1) + ".".join(goal.parts[shared:])
        cut = cuts.most_common(1)[0][0] if cuts else len(goal.parts) - len(theirs)
        return ".".join(goal.parts[cut:])

    def meets(self, made: ClassInfo, name: str) -> list[ClassInfo]:
        """The mapped classes of a simple name that may be in the registry of a class.

        Without those of tests and examples that are not there with the class.
        """
        roots = self.roots(made)
        found = [
            other
            for aside in dict.fromkeys([(), made.module.aside])
            for other in self.once(_namesakes, (name, aside)).near(roots)
        ]
        return sorted(found, key=lambda other: other.module.path)

    def shares_registry(self, made: ClassInfo, name: str) -> bool:
        """Whether another mapped class of a simple name, tests and examples included, surely is there."""
        found = self.once(_namesakes, (name, None)).near(self.roots(made))
        return any(other is not made and self.same_registry(made, other) for other in found)

    def beside(self, made: ClassInfo) -> list[ClassInfo]:
        """The other mapped classes of its name in the module of a class that may be in its registry."""
        found = self.once(_namesakes_in, (made.name, made.module)).near(self.roots(made))
        return [other for other in found if other is not made]

    def has_table(self, name: str) -> bool:
        """Whether a table, or a class, of the project has this very name."""
        return bool(self.files.holding(tables, name) or self.files.holding(classes, name))

    # -- imports

    def imports(self, module: Module) -> tuple[str, ...]:
        """Paths of the project's modules that one module imports when it is itself imported, sorted."""
        return self.once(_imports, module)

    def is_imported_with(self, module: Module, goal: Module, most: int = 60) -> bool:
        """Whether importing a module, and the packages around it, imports another one, directly or not.

        Looks at ``most`` modules at most, those that are nearest.
        """
        path, packages, others = module.path, deque(self.tree.packages_around(module.path)), deque[str]()
        found = {path, *packages}
        for _ in range(most):
            if goal.path in found:
                return True
            current = self.module(path)
            for fresh in self.imports(current) if current is not None else ():
                if fresh not in found:
                    found.add(fresh)
                    (packages if fresh.endswith("__init__.py") else others).append(fresh)
            if not (packages or others):
                break
            # packages first: that is where projects gather their models
            path = packages.popleft() if packages else others.popleft()
        return goal.path in found

    def reaches(self, start: str, goal: str) -> bool:
        """Whether importing one file of the project imports another, directly or not."""
        if start not in self._reach:
            self._reach[start] = self._reached(start, frozenset())
        return goal in self._reach[start]

    def starts(self, start: str, goal: str) -> bool:
        """Whether one file of the project, while it is imported, may be what imports another.

        The packages around it run before it does.
        """
        return goal in self._reached(start, frozenset(self.tree.packages_around(start)))

    def _reached(self, start: str, running: frozenset[str]) -> frozenset[str]:
        """What importing one file imports, where some others run already; with the file itself."""
        found = {start}
        waiting = [start]
        while waiting:
            module = self.module(waiting.pop())
            imports = self.imports(module) if module else ()
            fresh = [path for path in imports if path not in found and path not in running]
            found.update(fresh)
            waiting.extend(fresh)
        return frozenset(found)


def _exported(_: Project, module: Module) -> frozenset[object] | None:
    """What ``__all__`` lists; None where there is none, or it is not all to be seen."""
    bindings = module.scope.bindings.get("__all__", [])
    if not bindings or "__all__." in module.source.text:  # .append() and the like
        return None
    found: list[object] = []
    for binding in bindings:
        if not isinstance(binding.value, ast.List | ast.Tuple):
            return None
        found += (one.value if isinstance(one, ast.Constant) else None for one in binding.value.elts)
    return None if None in found else frozenset(found)


def _imports(project: Project, module: Module) -> tuple[str, ...]:
    found: set[str] = set()
    scopes = [module.scope, *(made.body for made in module.classes if made.scope.kind == "module")]
    for scope in scopes:
        for binding in (*chain.from_iterable(scope.bindings.values()), *scope.stars):
            if not (binding.how is Bound.IMPORT or binding.how is Bound.FROM) or binding.type_checking:
                continue
            names = [binding.module]
            if binding.how is Bound.FROM:
                names.append(f"{binding.module}.{binding.imported}" if binding.module else binding.imported)
            elif isinstance(binding.node, ast.Import):
                names += [alias.name for alias in binding.node.names]
            for name in names:
                found.update(project.tree.find_all(name, binding.level, module.package))
    return tuple(sorted(found - {module.path}))


def _heirs(project: Project, known_as: tuple[ClassInfo, str]) -> list[ClassInfo]:
    """The classes that derive directly from one, in files that use it by some name."""
    made, name = known_as
    modules = project.modules_of(project.files.holding(classes, f"({name}"))
    return [heir for module in modules for heir in project.once(_by_base, module).get(made, ())]


def _by_base(project: Project, module: Module) -> dict[ClassInfo, list[ClassInfo]]:
    """The classes of a module by each class that they derive from directly."""
    found: dict[ClassInfo, list[ClassInfo]] = {}
    for made in module.classes:
        for base in dict.fromkeys(project.bases(made)):
            if isinstance(base, ClassInfo):
                found.setdefault(base, []).append(made)
    return found


def _is_mapped(project: Project, made: ClassInfo) -> bool:
    roots = project.roots(made)
    if any(
        isinstance(base, External) and base.last == "AbstractConcreteBase" for base in project.bases(made)
    ):
        return False  # its own body is a mixin to its subclasses
    return (
        (any(root.sure for root in roots) or (bool(roots) and project.has_mapping(made)))
        and made.literal("__abstract__") is not True
        and all(root.key != made for root in roots)
    )


class _Namesakes:
    """The mapped ones of some classes of one simple name, by what they hang on."""

    def __init__(self, project: Project, found: Iterable[ClassInfo]) -> None:
        self.made = [made for made in found if project.is_mapped(made)]
        self._of_root: dict[Root, list[int]] = {}
        self._unsure: list[int] = []
        self._open: list[int] = []
        for index, made in enumerate(self.made):
            roots = project.roots(made)
            for root in roots:
                self._of_root.setdefault(root, []).append(index)
            if not _are_sure(roots):
                self._unsure.append(index)
            if not _are_closed(roots):
                self._open.append(index)

    def near(self, roots: frozenset[Root]) -> list[ClassInfo]:
        """Those that may be in the registry of a class with these roots, in the order of their places."""
        if not (roots and _are_closed(roots)):
            return self.made
        others = self._open if _are_sure(roots) else self._unsure
        found = {*others, *(index for root in roots for index in self._of_root.get(root, ()))}
        return [self.made[index] for index in sorted(found)]


def _namesakes(project: Project, of: tuple[str, tuple[str, ...] | None]) -> _Namesakes:
    return _Namesakes(project, project.classes_named(*of))


def _namesakes_in(project: Project, of: tuple[str, Module]) -> _Namesakes:
    name, module = of
    return _Namesakes(project, module.named.get(name, ()))


def _are_sure(roots: frozenset[Root]) -> bool:
    return all(root.sure for root in roots)


def _are_closed(roots: frozenset[Root]) -> bool:
    """Whether no class with these roots hangs on a base that the project makes, but for one that is seen."""
    return all(root.sure or isinstance(root.key, External) for root in roots)


def _is_table(made: ClassInfo) -> bool:
    """Whether a class says that it is one of SQLModel's with a table."""
    given = {keyword.arg: keyword.value for keyword in made.node.keywords}
    table = given.get("table")
    return isinstance(table, ast.Constant) and table.value is True


def settled(bindings: list[Binding]) -> list[Binding]:
    """The bindings of a name that may hold in the end: none from before one that is unconditional."""
    certain = [index for index, binding in enumerate(bindings) if binding.guard is None]
    return bindings[certain[-1] if certain else 0 :]


def _merged(lines: list[list[ClassInfo]]) -> list[ClassInfo]:
    """Several orders of classes as one, as Python merges those of the bases (C3)."""
    if len(lines) == 2:
        return lines[0]  # there is one base
    found: list[ClassInfo] = []
    while lines := [line for line in lines if line]:
        heads = (line[0] for line in lines)
        fitting = (head for head in heads if not any(head in line[1:] for line in lines))
        head = next(fitting, lines[0][0])  # an order that Python would refuse
        found.append(head)
        lines = [[one for one in line if one is not head] for line in lines]
    return found


def _unique(found: Iterator[Resolved]) -> list[Resolved]:
    return list(dict.fromkeys(found))


def _unsubscripted(expr: ast.expr) -> ast.expr:
    return expr.value if isinstance(expr, ast.Subscript) else expr


def _of_stdlib(name: str) -> bool:
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or top == "builtins"


_BUILTINS = frozenset(dir(builtins))

# What a star import of these brings in, as far as it concerns relationships.
_ORM_NAMES = frozenset(
    {"relationship", "backref", "relation", "dynamic_loader", "foreign", "remote", "declarative_base"}
    | {"DeclarativeBase", "DeclarativeBaseNoMeta", "MappedAsDataclass", "registry", "mapper", "declared_attr"}
    | {
        "mapped_column",
        "Mapped",
        "DynamicMapped",
        "WriteOnlyMapped",
        "column_property",
        "deferred",
        "synonym",
    }
    | {"composite", "RelationshipProperty", "attribute_mapped_collection", "attribute_keyed_dict"}
    | {"column_keyed_dict", "column_mapped_collection", "mapped_collection", "keyfunc_mapping"}
)
_SQL_NAMES = frozenset(
    {"and_", "or_", "not_", "asc", "desc", "nullsfirst", "nullslast", "func", "case", "cast", "collate"}
    | {"distinct", "exists", "extract", "false", "true", "null", "literal", "literal_column", "select"}
    | {"text", "tuple_", "type_coerce", "between", "Table", "Column", "ForeignKey", "MetaData", "Integer"}
    | {"String", "Boolean", "Date", "DateTime", "Float", "Numeric", "Text", "Unicode", "UnicodeText"}
)
_STAR: dict[str, frozenset[str]] = {"sqlalchemy.orm": _ORM_NAMES, "sqlalchemy": _SQL_NAMES}
