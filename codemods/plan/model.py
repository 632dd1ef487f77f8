"""What planning says: conversions, refusals and notes. Plain values; nothing here decides."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import NamedTuple

from backpop.codemods.facts import ClassInfo, Hint, MapperCall, Module, Scope, Site, read_at_once


@cache
def names_in(text: str) -> frozenset[str]:
    """The bare names that an expression reads."""
    return frozenset(node.id for node in ast.walk(parsed(text)) if isinstance(node, ast.Name))


def parsed(text: str) -> ast.expr:
    """The syntax of an expression, which may span lines."""
    return ast.parse(f"({text}\n)", mode="eval").body


def listed(names: Sequence[str], most: int = 3) -> str:
    """Some names for people, with the number of those that are left out."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class Refused(Exception):
    """Raised by a rule that finds that a backref cannot be converted safely."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.detail = detail


class Report(NamedTuple):
    """Something said of a place in a file: ``path:line:column: code detail``; counted from 1."""

    path: str
    line: int
    column: int
    code: str
    detail: str

    @classmethod
    def at(cls, site: Site, code: str, detail: str) -> Report:
        """A report on a site, placed at its ``backref`` or ``back_populates`` argument."""
        source = site.scope.module.source
        place = site.keyword("backref") or site.keyword("back_populates") or site.node
        line, column = source.position(source.span(place)[0])
        return cls(source.path, line, column, code, detail)


class Import(NamedTuple):
    """``from module import name as alias``; ``import module as alias`` where name is empty.

    A relative module begins with its dots. ``guard`` is the test of the ``if`` that the import of a name for
    type checkers stands in, as the file spells ``TYPE_CHECKING``.
    """

    module: str
    name: str
    alias: str
    guard: str = ""

    @property
    def bound(self) -> str:
        """The name that the statement binds."""
        return self.alias or self.name or self.module.partition(".")[0]

    @property
    def text(self) -> str:
        """The statement."""
        what = f"from {self.module} import {self.name}" if self.name else f"import {self.module}"
        return f"{what} as {self.alias}" if self.alias else what


class Argument(NamedTuple):
    """One argument of the reverse.

    ``text`` may span lines, as its author wrote it; it began in ``column`` then, counted from 0.
    """

    keyword: str | None
    text: str
    column: int | None = None
    comment: str = ""  # behind it, on its last line

    def __str__(self) -> str:
        return f"{self.keyword}={self.text}" if self.keyword else self.text


class Form(Enum):
    """How a reverse becomes an attribute of its class."""

    BODY = "body"  # name = relationship(...), in the body of the target class
    ASSIGNED = "assigned"  # Target.name = relationship(...), in a statement after the source
    ADDED = "added"  # Target.__mapper__.add_property("name", relationship(...)), in such a statement
    ENTRY = "entry"  # "name": relationship(...), in the properties of the target's mapping


class Spot(NamedTuple):
    """Where a reverse is written."""

    form: Form
    node: ast.AST  # the class statement, the statement that it comes after, or the call that maps the target
    scope: Scope  # that the reverse is evaluated in: for a class body, its own
    line: int  # names bound further down, in the scope around the statement, are not yet there
    owner: str = ""  # how the scope names the target, or its mapper for ADDED, for a statement of its own

    @property
    def module(self) -> Module:
        return self.scope.module

    @property
    def outer(self) -> Scope:
        """The scope of the statement: for a class body, the one around it."""
        return self.scope.parent if self.form is Form.BODY and self.scope.parent else self.scope

    @classmethod
    def body(cls, made: ClassInfo) -> Spot:
        """In the body of a class."""
        return cls(Form.BODY, made.node, made.body, made.node.lineno)

    @classmethod
    def entry(cls, call: MapperCall) -> Spot:
        """In the properties of an imperative mapping."""
        return cls(Form.ENTRY, call.node, call.scope, call.stmt.lineno)

    @classmethod
    def after(cls, form: Form, stmt: ast.stmt, scope: Scope, owner: str) -> Spot:
        """After a statement of a scope."""
        return cls(form, stmt, scope, (stmt.end_lineno or stmt.lineno) + 1, owner)


class Reverse(NamedTuple):
    """The explicit relationship that becomes an attribute of ``target``, and where it is written."""

    target: ClassInfo
    spot: Spot
    name: str
    factory: str
    arguments: tuple[Argument, ...]
    comments: tuple[str, ...]
    imports: tuple[Import, ...]
    annotation: str | None = None
    hint: Hint | None = None  # what declared the attribute until now, and goes
    notes: tuple[tuple[str, str], ...] = ()  # codes and details to report of it

    @property
    def opening(self) -> str:
        """What stands before the call in a class body."""
        return f"{self.name}: {self.annotation} = " if self.annotation else f"{self.name} = "

    def reads(self) -> set[str]:
        """The bare names that the relationship reads where it is written, quoted or not."""
        return self.annotation_reads().union(*map(names_in, self._texts()))

    def annotation_reads(self) -> set[str]:
        """The names in its annotation, which SQLAlchemy looks up once the class is there."""
        return set(re.findall(r"[^\W\d]\w*", self.annotation or ""))

    def reads_at_once(self) -> set[str]:
        """The bare names that are read while a class body with it runs."""
        return {name for text in self._texts() for name in read_at_once(parsed(text))}

    def _texts(self) -> list[str]:
        return [self.factory, *(argument.text.strip() for argument in self.arguments)]


@dataclass(frozen=True, slots=True)
class Conversion:
    """One pair that changes its spelling: an :class:`Expansion` or a :class:`Collapse`.

    ``site`` is the forward's: the relationship that has, or gets, the backref.
    """

    site: Site
    source: ClassInfo
    target: ClassInfo
    forward_name: str
    reverse_name: str

    @property
    def home(self) -> Module:
        """The module that the forward is written in: that of a mixin, for the classes it is mixed into."""
        return self.site.scope.module

    @property
    def there(self) -> Module:
        """The module that the reverse is, or will be, written in."""
        return self.target.module

    @property
    def title(self) -> str:
        """Both ends, for people: ``Address.user <-> User.addresses``."""
        return f"{self.source.name}.{self.forward_name} <-> {self.target.name}.{self.reverse_name}"


@dataclass(frozen=True, slots=True)
class Expansion(Conversion):
    """One backref that becomes a pair. Those of one mixin share their site, and stand or fall together.

    ``backref`` is the node of the argument in the forward's call, ``name_text`` how the name is spelt
    there. ``reverse`` is None where the target already has exactly the reverse that is needed.
    """

    backref: ast.expr
    name_text: str
    reverse: Reverse | None

    @property
    def there(self) -> Module:
        return self.target.module if self.reverse is None else self.reverse.spot.module


@dataclass(frozen=True, slots=True)
class Collapse(Conversion):
    """One pair that becomes a backref: the relationship of ``removed`` goes.

    ``options`` are the arguments of ``backref(...)``, a plain string without any; ``function`` is how it is
    called there. ``done`` if the forward has its backref already, as a run that was killed leaves it.
    """

    removed: Site
    options: tuple[Argument, ...]
    function: str
    imports: tuple[Import, ...]
    done: bool


class Plan(NamedTuple):
    """The outcome for every backref, or pair, of a project, in the order of their places.

    But for reverses of one class body that must stand in another order.

    ``kept`` is what a comment or the configuration wants to stay as it is.
    """

    conversions: tuple[Conversion, ...]
    refusals: tuple[Report, ...]
    notes: tuple[Report, ...]
    kept: tuple[Report, ...] = ()
