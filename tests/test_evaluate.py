"""What is worked out of expressions is what Python makes of them, or nothing.

Each expression stands where ``cls`` is the class ``Note`` of the models below, as in a ``declared_attr``.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from backpop.codemods.plan.evaluate import NotConstantError, class_scope, evaluate
from backpop.codemods.run import to_back_populates

MODELS = '''\
import enum
import re
from os import environ
from sqlalchemy import Column, Integer
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()
SUFFIX = "_list"
NUMBER = 3
NAMES = ("Note", "Memo")
TITLES = {"note": "remark"}
CAPITAL = re.compile("[A-Z]")
LONG = "x" + "yz"
UNTOUCHED = ["a"]
GROWN = "a"
GROWN += "b"
GROWING = ["a"]
GROWING.append("b")
FILLED = {"a": "x"}
FILLED["b"] = "y"
if environ.get("OTHER"):
    CHOSEN = "one"
else:
    CHOSEN = "two"


class Kind(enum.Enum):
    FIRST = "first"
    SECOND = "second"
    ALSO_FIRST = "first"


class Shade(enum.Enum):
    DARK = enum.auto()
    LIGHT = enum.auto()


def plural(text, ending="s", *, upper=False):
    """The plural."""
    result = text + ending
    if upper:
        result = result.upper()
    return result


def snake(name):
    lowered = name[0].lower()
    lowered += name[1:]
    return re.sub("([A-Z])", lambda found: "_" + found.group(1).lower(), lowered)


def underscored(name):
    import re as expressions

    assert name
    return expressions.sub("([a-z])([A-Z])", r"\\\\1_\\\\2", name).lower()


def endless(name):
    return endless(name + "x")


def repeated(name):
    for _ in range(2):
        name += name
    return name


def every(*names):
    return "".join(names)


def yielding(name):
    yield name


async def later(name):
    return name


def nothing(name):
    pass


@staticmethod
def decorated(name):
    return name


class Labels:
    label = "mark"
    empty = None
    flags = ("a", "b")
    replaced = "earlier"
    unique = True
    number = 1
    kind = Kind.SECOND

    @classmethod
    def titled(cls, text):
        return cls.label + text

    @staticmethod
    def shout(text):
        return text.upper()

    def method(self):
        return "method"

    @property
    def computed(self):
        return "computed"

    if environ.get("OTHER"):
        conditional = "one"
    else:
        conditional = "two"

    def here(cls):
        pass


Labels.replaced = "later"


class Note(Labels, Base):
    __tablename__ = "note"
    id = Column(Integer, primary_key=True)
    reverse = relationship("Note", backref="other", remote_side=id)


class Memo(Base):
    __tablename__ = "memo"
    id = Column(Integer, primary_key=True)
'''

KNOWN = [
    "cls.__name__",
    "cls.__qualname__",
    "cls.__tablename__ + SUFFIX",
    "cls.__tablename__[1:-1]",
    "cls.__name__[0]",
    "f'{cls.__tablename__}_{NUMBER}'",
    "'%s_%s' % (cls.label, NUMBER)",
    "'%s' % cls.label",
    "'{}_{name}'.format(cls.label, name='x')",
    "'_'.join(['a', cls.label])",
    "cls.__name__.lower().replace('o', 'e').removesuffix('e')",
    "cls.label.partition('a')[0]",
    "cls.label.split('a')[-1:][0] if False else cls.label",
    "cls.label.upper().casefold()",
    "cls.label.capitalize().swapcase()",
    "cls.label.title()",
    "' x '.strip() + ' x '.lstrip() + ' x '.rstrip()",
    "cls.label.removeprefix('m')",
    "cls.label.rpartition('a')",
    "cls.label.split('a')",
    "LONG",
    "str(NUMBER) + str('x')",
    "len(cls.label)",
    "-1",
    "not cls.empty",
    "cls.empty or cls.label",
    "cls.label and cls.__tablename__",
    "cls.empty and cls.label",
    "cls.label if cls.empty is None else 'x'",
    "'x' if cls.empty is not None else cls.label",
    "cls is Note",
    "cls == Memo",
    "cls != Memo",
    "cls.__name__ in NAMES",
    "cls.__name__ not in NAMES",
    "cls in (Note, Memo)",
    "cls not in [Note, Memo]",
    "'ot' in cls.__tablename__",
    "'ot' not in cls.__tablename__",
    "issubclass(cls, Labels)",
    "issubclass(cls, Memo)",
    "hasattr(cls, 'label')",
    "getattr(cls, 'label')",
    "getattr(cls, 'label', 'x')",
    "getattr(Memo, 'label', 'x')",
    "hasattr(Memo, 'label')",
    "Kind.FIRST.value",
    "cls.label in {'mark', 'x'}",
    "{'a', 'b'} == set(cls.flags)",
    "{'a', 'b'} - {'b'} == {'a'}",
    "{'a'} | {'b'} == frozenset(['a', 'b'])",
    "{'a', 'b'} & {'b'} == {'b'}",
    "set() == frozenset()",
    "{cls.label: 'x'}",
    "plural(cls.__tablename__)",
    "plural(cls.__tablename__, 'es')",
    "plural(ending='es', text='box')",
    "plural(cls.label, upper=True)",
    "underscored('CamelCaseName')",
    "cls.titled('s')",
    "cls.shout('s')",
    "Labels.titled('s')",
    "re.sub('o', '0', cls.__name__)",
    "CAPITAL.sub('x', cls.__name__)",
    "cls.flags == ['a', 'b']",
    "['a'] == ('a',)",
    "cls.label in ['mark']",
    "['a', 'b'][1]",
    "Kind.FIRST is Kind.FIRST",
    "Kind.FIRST == Kind.SECOND",
    "Kind.FIRST in {Kind.FIRST}",
    "Kind.FIRST in set(Kind) - {Kind.SECOND}",
    "Kind.ALSO_FIRST == Kind.FIRST",
    "Kind.FIRST is None",
    "Shade.DARK in (Shade.DARK, Shade.LIGHT)",
    "Shade.DARK == Shade.LIGHT",
    "cls.unique is True",
    "cls.number is not True",
    "cls.number == cls.unique",
    "Kind.FIRST == Shade.DARK",
    "cls.kind is Kind.SECOND",
    "cls.kind.value",
    "NUMBER == True",
    "'b' in UNTOUCHED",
]

UNKNOWN = [
    "cls",
    "(cls, 'x')",
    "CHOSEN",
    "cls.conditional",
    "cls.computed",
    "cls.missing",
    "cls.method()",
    "hasattr(cls, environ)",
    "environ.get('HOME')",
    "len(cls.flags)",
    "cls.label + NUMBER",
    "'%d' % cls.label",
    "'%09999d' % NUMBER",
    "'{:09999}'.format('x')",
    "cls.label * 2",
    "NUMBER - 1",
    "cls.__tablename__[::2]",
    "cls.__tablename__['x':]",
    "cls.__name__[9]",
    "cls.flags[9]",
    "TITLES['note']",
    "NUMBER < 4",
    "1 < NUMBER < 4",
    "{**TITLES}",
    "f'{cls.label!r}'",
    "f'{cls.label:>9}'",
    "[name for name in NAMES]",
    "plural(*NAMES)",
    "plural(**TITLES)",
    "plural()",
    "plural('a', 'b', 'c')",
    "plural('a', other='b')",
    "snake(cls.__name__)",
    "endless('x')",
    "repeated('x')",
    "every('x')",
    "yielding('x')",
    "later('x')",
    "decorated('x')",
    "re.sub('(a+)+', 'x', cls.__name__)",
    "re.sub('o', '0', cls.__name__, 1)",
    "re.sub(CAPITAL, '0', cls.__name__)",
    "re.sub('(', '0', cls.__name__)",
    "cls.label.center(9)",
    "cls.label.join(cls)",
    "-NUMBER",
    "set(cls)",
    "print('x')",
    "cls.method",
    "Kind.FIRST",
    "Kind.FIRST == 'first'",
    "'first' in set(Kind)",
    "f'{Kind.FIRST}'",
    "str(Kind.FIRST)",
    "Shade.DARK.value",
    "Shade.MISSING",
    "hasattr(cls, 'metadata')",
    "hasattr(cls, '__doc__')",
    "getattr(cls, '__table__', 'x')",
    "GROWN",
    "'b' in GROWING",
    "'b' in FILLED",
    "cls.replaced",
]


@pytest.fixture(scope="module")
def scope(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The project, and the scope in which ``cls`` is ``Note``."""
    folder: Path = tmp_path_factory.mktemp("models")
    (folder / "models.py").write_text(MODELS)
    project = to_back_populates([folder]).project
    assert project is not None
    (note,) = project.classes_named("Note")
    function = next(one for one in note.module.scopes.values() if one.name == "here")
    return project, class_scope(function, note)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the same names are in Python."""
    found: dict[str, Any] = {}
    exec(compile(MODELS, "models.py", "exec"), found)
    return found | {"cls": found["Note"]}


@pytest.mark.parametrize("text", KNOWN)
def test_a_value_is_the_one_that_python_gives(text: str, scope: Any, names: dict[str, Any]) -> None:
    value = evaluate(scope[0], ast.parse(text, mode="eval").body, scope[1])
    assert value == eval(text, names)


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_cannot_be_known_is_not_guessed(text: str, scope: Any) -> None:
    with pytest.raises(NotConstantError):
        evaluate(scope[0], ast.parse(text, mode="eval").body, scope[1])
