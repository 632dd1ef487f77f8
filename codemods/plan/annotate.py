"""How the reverse is annotated: ``children: Mapped[list["Child"]]``, as the author of the file would.

SQLAlchemy 2: "Declarative Table with mapped_column()", "Basic Relationship Patterns". An annotation decides
over ``uselist`` and ``lazy``, so there is one only where the foreign keys prove what it says. No annotation
is always right.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum

from backpop.codemods.facts import ClassInfo, Hint, Module, callee, is_mapped, last_name, unquoted
from backpop.codemods.link import ATTRIBUTE_MAKERS, Attribute, External, Opaque, Project, Value
from backpop.codemods.plan.direction import Direction, direction_of, may_be_none
from backpop.codemods.plan.factory import SQLMODEL
from backpop.codemods.plan.forward import Forward, annotated_class
from backpop.codemods.plan.model import Argument, Import, Refused, Reverse, names_in
from backpop.codemods.plan.move import Moved, quoted
from backpop.codemods.plan.place import relationship_calls, spelt
from backpop.codemods.plan.policy import Annotate
from backpop.codemods.plan.registry import class_name

_LAZY = {"dynamic": "DynamicMapped", "write_only": "WriteOnlyMapped"}
_COLLECTIONS = {"list": "List", "set": "Set"}  # and their older names in typing
# What only SQLAlchemy 2 has: before, an annotation said nothing to it.
_MODERN = ("mapped_column", "DeclarativeBase", "DynamicMapped", "WriteOnlyMapped")


class _NotSureError(Exception):
    """Why a reverse is left without an annotation."""


class Shape(Enum):
    """What a relationship gives: one object, which may be missing, or a collection of them."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    LIST = "list"
    SET = "set"
    DYNAMIC = "dynamic"
    WRITE_ONLY = "write_only"


# The arguments that say the same.
_SAID: dict[Shape, frozenset[str | None]] = {
    Shape.REQUIRED: frozenset({"uselist"}),
    Shape.OPTIONAL: frozenset({"uselist"}),
    Shape.LIST: frozenset({"uselist", "collection_class"}),
    Shape.SET: frozenset({"uselist", "collection_class"}),
    Shape.DYNAMIC: frozenset({"lazy"}),
    Shape.WRITE_ONLY: frozenset({"lazy"}),
}


def annotated(project: Project, forward: Forward, reverse: Reverse, annotate: Annotate) -> Reverse:
    """The reverse with an annotation, where there shall and can be one; else with the reason why not.

    Raises :class:`Refused` where the target declares the attribute for type checkers already, in a way that
    cannot become that of the real one.
    """
    target = forward.target
    of_sqlmodel = forward.factory == SQLMODEL
    wanted = annotate is Annotate.ALWAYS or (annotate is Annotate.AUTO and _is_typed(project, target))
    hints = target.hints.get(reverse.name, [])
    if not (wanted or hints or of_sqlmodel):
        return reverse
    try:
        if annotate is Annotate.NEVER and not of_sqlmodel:
            raise _NotSureError("no annotation is wanted")
        shape = _declared(project, forward, hints) if hints else shape_of(project, forward)
        done = (_of_sqlmodel if of_sqlmodel else _annotated)(project, forward, reverse, shape)
        return done._replace(hint=hints[0] if hints else None)
    except _NotSureError as error:
        if hints:
            declared = ast.unparse(hints[0].stmt)
            where = f"{target.module.shown}:{hints[0].stmt.lineno}"
            raise Refused("BP315", f"{target.name} declares {declared} at {where}: {error}") from error
        if of_sqlmodel:
            raise Refused("BP306", f"{target.name}.{reverse.name} cannot be annotated: {error}") from error
        return reverse._replace(notes=(("BP906", str(error)),))


def _is_typed(project: Project, target: ClassInfo) -> bool:
    """Whether the author of a class annotates: in its body, or else rather often in its file."""
    if any(member.annotation and is_mapped(unquoted(member.annotation)) for member in target.members):
        return True
    annotated_ones = sum(map(is_mapped, project.once(_annotations, target.module)))
    return annotated_ones > 0 and annotated_ones >= project.once(_unannotated, target.module)


def _unannotated(project: Project, module: Module) -> int:
    """How many columns and relationships of a module have no annotation."""
    members = (member for made in module.classes for member in made.members if member.annotation is None)
    return sum(
        isinstance(member.value, ast.Call) and last_name(member.value.func) in ATTRIBUTE_MAKERS
        for member in members
    )


def _declared(project: Project, forward: Forward, hints: list[Hint]) -> Shape:
    """What a declaration says that the reverse gives."""
    annotation = hints[0].stmt.annotation
    shape = said(annotation)
    if len(hints) > 1 or shape is None or not fits(project, forward, annotation):
        raise _NotSureError("the foreign keys do not prove that")
    return shape


def _allows_bare(project: Project, target: ClassInfo) -> bool:
    """Whether a class says that annotations need not be ``Mapped[...]``."""
    return any("__allow_unmapped__" in made.body.bindings for made in (target, *project.ancestors(target)))


def _annotated(project: Project, forward: Forward, reverse: Reverse, shape: Shape) -> Reverse:
    target = forward.target
    style = _Style(project, forward)
    bare = not (style.typed or style.modern) and _allows_bare(project, target)
    if not (style.typed or style.modern or bare):
        raise _NotSureError(f"{target.name} at {target.where} may be mapped by an older SQLAlchemy")
    _check_no_dataclass(project, target)
    annotation = style.annotation(shape, bare=bare)
    arguments = reverse.arguments
    if style.modern:
        arguments = tuple(one for one in arguments if one.keyword not in _SAID[shape])
        if style.omits_argument() and str(arguments[0]) == quoted(forward.source.name, style.quote):
            arguments = arguments[1:]
    return _with(forward, reverse, annotation, arguments)


def _of_sqlmodel(project: Project, forward: Forward, reverse: Reverse, shape: Shape) -> Reverse:
    """The reverse as a relationship of SQLModel's, which takes its target from the annotation alone."""
    if shape not in {Shape.REQUIRED, Shape.OPTIONAL, Shape.LIST}:
        raise _NotSureError(f"SQLModel does not know it as {shape.value}")
    style = _Style(project, forward)
    annotation = style.annotation(shape, bare=True, union=False)
    if str(reverse.arguments[0]) != quoted(forward.source.name, style.quote):
        raise _NotSureError(f"{forward.source.name} alone does not name its class")
    given = {one.keyword: one for one in reverse.arguments[1:] if one.keyword not in _SAID[shape]}
    arguments = [given.pop(key) for key in ("back_populates", "link_model") if key in given]
    if given:
        items = (f"{quoted(str(key), style.quote)}: {one.text}" for key, one in given.items())
        arguments.append(Argument("sa_relationship_kwargs", f"{{{', '.join(items)}}}"))
    note = f"{forward.target.name}({reverse.name}=...) was ignored until now"
    return _with(forward, reverse, annotation, tuple(arguments))._replace(notes=(("BP907", note),))


def _with(forward: Forward, reverse: Reverse, annotation: Moved, arguments: tuple[Argument, ...]) -> Reverse:
    target = forward.target
    own = {reverse.name, *target.body.bindings, *(member.name for member in target.members)}
    hidden = min((names_in(annotation.text) | {forward.source.name}) & own, default=None)
    if hidden is not None:
        raise _NotSureError(f"{hidden} means something else in the body of {target.name}")
    imports = tuple(dict.fromkeys((*reverse.imports, *annotation.imports)))
    comments = [one.comment for one in reverse.arguments if one.comment and one not in arguments]
    return reverse._replace(
        annotation=annotation.text,
        arguments=arguments,
        imports=imports,
        comments=(*reverse.comments, *comments),
    )


def shape_of(project: Project, forward: Forward) -> Shape:
    """What the reverse gives. Raises :class:`_NotSureError` where the source does not prove it."""
    way = direction_of(project, forward.source, forward.target, forward.arguments)
    if way is None:
        raise _NotSureError("no foreign key shows which way the relationship points")
    options = dict(forward.backref.options)
    many = way is not Direction.ONE_TO_MANY
    uselist = options.get("uselist", ast.Constant(value=None))
    if not isinstance(uselist, ast.Constant) or (uselist.value and not many):
        raise _NotSureError(f"uselist is {ast.unparse(uselist)}")
    if not many:
        optional = may_be_none(project, forward.target, forward.source, forward.arguments | options)
        return Shape.OPTIONAL if optional else Shape.REQUIRED
    lazy = options.get("lazy", ast.Constant(value=None))
    if not isinstance(lazy, ast.Constant):
        raise _NotSureError(f"lazy is {ast.unparse(lazy)}")
    if lazy.value in _LAZY:
        return Shape(lazy.value)
    if uselist.value is not None and not uselist.value:
        return Shape.OPTIONAL
    collection = options.get("collection_class", ast.Constant(value=None))
    if isinstance(collection, ast.Constant) and collection.value is None:
        return Shape.LIST
    found = project.resolve(collection, forward.scope)
    if not (isinstance(found, External) and found.name in {"builtins.list", "builtins.set"}):
        raise _NotSureError(f"the collection is {ast.unparse(collection)}")
    return Shape(found.last)


def said(annotation: ast.expr) -> Shape | None:
    """What an annotation says that a relationship gives; None for one that is not understood."""
    annotation = unquoted(annotation)
    outer = last_name(annotation.value) if isinstance(annotation, ast.Subscript) else ""
    if outer in _LAZY.values():
        return next(Shape(lazy) for lazy, name in _LAZY.items() if name == outer)
    if isinstance(annotation, ast.Subscript) and outer == "Mapped":
        annotation = unquoted(annotation.slice)
    match annotation:
        case ast.Subscript(value=kind) if last_name(kind) in {"list", "List", "set", "Set"}:
            return Shape(last_name(kind).lower())
        case ast.Subscript(value=kind) if last_name(kind) == "Optional":
            return Shape.OPTIONAL
        case ast.BinOp(op=ast.BitOr()):
            return Shape.OPTIONAL
        case ast.Name() | ast.Attribute():
            return Shape.REQUIRED
    return None


def fits(project: Project, forward: Forward, annotation: ast.expr) -> bool:
    """Whether an annotation surely says what the reverse gives: as many, and objects of the source."""
    try:
        proved = shape_of(project, forward)
    except _NotSureError:
        return False
    scalar = {Shape.OPTIONAL, Shape.REQUIRED}
    shape = said(annotation)
    named = annotated_class(annotation)
    return (
        (shape is proved or {shape, proved} <= scalar)
        and named is not None
        and last_name(unquoted(named)) == forward.source.name
    )


def without_said(
    arguments: Mapping[str | None, ast.expr], annotation: ast.expr
) -> dict[str | None, ast.expr]:
    """The arguments of a relationship but for those that its annotation says as well."""
    shape = said(annotation)
    return {key: value for key, value in arguments.items() if shape is None or key not in _SAID[shape]}


def _annotations(project: Project, module: Module) -> list[ast.expr]:
    """The annotations of attributes in a module, those that are strings as what they say."""
    return [
        unquoted(annotation)
        for made in module.classes
        for annotation in (
            *(member.annotation for member in made.members),
            *(hint.stmt.annotation for hints in made.hints.values() for hint in hints if hint.block),
        )
        if annotation is not None
    ]


def _is_modern(project: Project, target: ClassInfo) -> bool:
    """Whether a class is mapped by SQLAlchemy 2, which reads annotations."""
    bases = [root.key.module for root in project.roots(target) if isinstance(root.key, ClassInfo)]
    texts = [module.source.text for module in (target.module, *bases)]
    return any(name in text for text in texts for name in _MODERN)


# -- dataclasses, whose constructor, repr and comparison an annotated attribute would join


def _check_no_dataclass(project: Project, target: ClassInfo) -> None:
    for made in (target, *project.subclasses(target)):
        if is_dataclass(project, made):
            raise _NotSureError(f"{made.name} is, or may be, a dataclass")
    if not any(root.sure for root in project.roots(target)):
        raise _NotSureError(f"the declarative base of {target.name} is not among the files that were given")


def is_dataclass(project: Project, made: ClassInfo) -> bool:
    """Whether annotated attributes of a class are, or may be, fields of a dataclass."""
    return any(
        _makes_dataclass(project, one, decorator)
        for one in (made, *project.ancestors(made))
        for decorator in one.node.decorator_list
    ) or any(
        base is not None and _is_dataclass_base(project, base)
        for one in (made, *project.ancestors(made))
        for base in project.bases(one)
    )


def _makes_dataclass(project: Project, made: ClassInfo, decorator: ast.expr) -> bool:
    func = callee(decorator)
    found = project.resolve(func, made.scope)
    text = ast.unparse(func)
    if isinstance(found, External):
        text += found.name
    elif isinstance(found, Value):
        text += ast.unparse(found.expr)
    elif isinstance(found, Opaque):
        text += ast.unparse(found.binding.node)
    return "dataclass" in text or "attr" in text


def _is_dataclass_base(project: Project, base: object) -> bool:
    match base:
        case External(name=name):
            return "dataclass" in name.lower()
        case Attribute(owner=Value(expr=ast.Call() as call, scope=scope)):  # db.Model
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if not {None, "model_class"} & given.keys():
                return False
            model = project.resolve(given.get("model_class"), scope)
            return not isinstance(model, ClassInfo) or is_dataclass(project, model)
        case Value(expr=expr):
            return "dataclass" in ast.unparse(expr)
    return not isinstance(base, ClassInfo)


# -- the spelling


class _Style:
    """How the file of a target writes annotations."""

    def __init__(self, project: Project, forward: Forward) -> None:
        self.project = project
        self.forward = forward
        self.target = forward.target
        self.module = forward.target.module
        self.quote = self.module.source.quote(self.target.node, self.module.tree)
        self.annotations = project.once(_annotations, self.module)
        self.modern = _is_modern(project, self.target)
        self.typed = any(map(is_mapped, self.annotations))

    def annotation(self, shape: Shape, *, bare: bool, union: bool = True) -> Moved:
        """The annotation, with what has to be imported; not within ``Mapped`` if ``bare``. ``union`` allows
        ``X | None``.

        Raises :class:`_NotSureError`.
        """
        name, imports = self._class()
        is_unquoted = self._is_unquoted()
        if bare and is_unquoted:
            raise _NotSureError("what an annotation without Mapped means depends on the version")
        inner = name if is_unquoted else quoted(name, self.quote)
        parts: list[Moved] = []
        if shape is Shape.OPTIONAL:
            if not union or self._says_optional():
                parts.append(self._spelt("typing", "Optional"))
                inner = f"{parts[-1].text}[{inner}]"
            else:
                inner = f"{name} | None" if is_unquoted else quoted(f"{name} | None", self.quote)
        elif shape.value in _COLLECTIONS:
            older = _COLLECTIONS[shape.value]
            is_old = self._uses(older, shape.value)
            parts.append(self._spelt("typing", older) if is_old else self._spelt("builtins", shape.value))
            inner = f"{parts[-1].text}[{inner}]"
        if not bare:
            outer = _LAZY.get(shape.value, "Mapped")
            if outer != "Mapped" and not self.modern:
                raise _NotSureError(f"{outer} is not known before SQLAlchemy 2")
            parts.append(self._spelt("sqlalchemy.orm", outer))
            inner = f"{parts[-1].text}[{inner}]"
        return Moved(inner, (*(one for part in parts for one in part.imports), *imports))

    def omits_argument(self) -> bool:
        """Whether the relationships of the file leave their target to the annotation."""
        calls = [call for call, _ in self._relationships()]
        given = [call for call in calls if call.args or any(one.arg == "argument" for one in call.keywords)]
        return 2 * len(given) <= len(calls)

    def _relationships(self) -> Iterator[tuple[ast.Call, ast.expr]]:
        """The annotated relationships of the file."""
        for made in self.module.classes:
            calls = {call for call, _ in relationship_calls(self.project, made)}
            for member in made.members:
                if isinstance(member.value, ast.Call) and member.value in calls and member.annotation:
                    yield member.value, member.annotation

    def _class(self) -> tuple[str, tuple[Import, ...]]:
        """The name of the source class in the target's module, and its import for type checkers."""
        project, target, source = self.project, self.target, self.forward.source
        bindings = project.lookup(source.name, target.scope)
        if bindings:
            if project.resolve(ast.Name(source.name), target.scope) is not source:
                raise _NotSureError(f"{source.name} means something else in {self.module.shown}")
            return source.name, ()
        if source.scope.kind != "module" or source.module is self.module:
            raise _NotSureError(f"{source.name} at {source.where} cannot be named in {self.module.shown}")
        if "." in class_name(project, source):  # an import of another one would have the same name
            raise _NotSureError(f"there are other classes named {source.name}")
        path = project.import_path(self.module, source.module)
        if self.module.checking_block is not None:
            return source.name, (Import(path, source.name, "", "TYPE_CHECKING"),)
        guard = self._spelt("typing", "TYPE_CHECKING")
        return source.name, (*guard.imports, Import(path, source.name, "", guard.text))

    def _is_unquoted(self) -> bool:
        """Whether the file names classes without quotes where they may not be bound yet."""
        texts = [ast.unparse(annotation) for _, annotation in self._relationships()]
        in_quotes = sum("'" in text or '"' in text for text in texts)
        bindings = self.module.scope.bindings.get("annotations", ())
        if any(one.module == "__future__" for one in bindings):
            return 2 * in_quotes <= len(texts)
        return any(self._is_early(annotation) for _, annotation in self._relationships())

    def _is_early(self, annotation: ast.expr) -> bool:
        """Whether an annotation reads what is not bound yet when it runs: Python 3.14 does not run it."""
        names = [node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)]
        found = [self.module.scope.bindings.get(name, ()) for name in names]
        return any(
            bindings and all(one.type_checking or one.line > annotation.lineno for one in bindings)
            for bindings in found
        )

    def _says_optional(self) -> bool:
        texts = [ast.unparse(annotation) for annotation in self.annotations]
        older, newer = (sum(word in text for text in texts) for word in ("Optional[", "| None"))
        return older > newer or (older == newer and "Optional" in self.module.scope.bindings)

    def _uses(self, older: str, newer: str) -> bool:
        """Whether the file rather writes ``List`` than ``list``."""
        outer = Counter(
            last_name(node.value)
            for annotation in self.annotations
            for node in ast.walk(annotation)
            if isinstance(node, ast.Subscript)
        )
        both = [outer[older] + outer["List"], outer[newer] + outer["list"]]
        return both[0] > both[1] or (both[0] == both[1] and older in self.module.scope.bindings)

    def _spelt(self, module: str, name: str) -> Moved:
        """A name of a library as the target's module spells it at run time, imported if need be."""
        found = spelt(self.project, self.target, module, name)
        if found is None:
            raise _NotSureError(f"{name} means something else in {self.module.shown}")
        return found
