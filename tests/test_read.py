"""What is read of a file, and what is left until somebody asks."""

from __future__ import annotations

import ast

import pytest

from backpop.codemods.facts import Module, Scope
from backpop.codemods.read import BACKREFS, read_module
from backpop.codemods.source import decode

PLAIN = """\
def plain(items, *, strict=False):
    import os
    fresh = [item for item in items]
    def inner():
        deep = 1
    self.x = cls.y = fresh == strict
    return fresh
"""
TELLING = [
    "class A: pass",
    "x = relationship(A, back_populates='b')",
    "A.b = x",
    "module.A.b = x",
    "setattr(A, 'b', x)",
    "A.__mapper__.add_property('b', x)",
    "mapper(A, table)",
    "registry.map_imperatively(A)",
    "options['backref'] = 'b'",
    "rel(A, None, None, None, None, None, None, 'b')",
]


def _read(text: str) -> Module:
    return read_module(decode("m.py", text.encode()), (), "m", BACKREFS)


def _function(module: Module, name: str) -> Scope:
    return next(scope for scope in module.scopes.values() if scope.name == name)


def test_a_function_is_read_when_its_names_are_asked_for() -> None:
    module = _read(f"backref = 1\n{PLAIN}")
    plain = _function(module, "plain")
    assert plain.read is not None
    assert [scope.name for scope in module.scopes.values()] == ["plain"]
    assert list(plain.bindings) == ["items", "strict", "os", "fresh", "inner"]
    [inner] = (
        stmt for stmt in ast.walk(plain.node) if isinstance(stmt, ast.FunctionDef) and stmt.name == "inner"
    )
    found = plain.inner(inner)
    assert found is not None
    assert list(found.bindings) == ["deep"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("statement", TELLING)
def test_a_function_that_may_matter_is_read_at_once(statement: str, newline: str) -> None:
    text = f"backref = 1\ndef f(x):\n    if x:\n        {statement}\n"
    assert _function(_read(text.replace("\n", newline)), "f").read is None


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("x = 'a'", "'"),
        ('x = "a"', '"'),
        ("x = 'a', \"b\"", '"'),
        ("x = 'a', r'\\'b', \"c\"", "'"),
        ("# it's\nx = ''''a' 'b' 'c' 'd' \"''', \"e\"  # 'g' 'h'", '"'),
        ('x = """\n"a" "b"\n""", \'c\'', "'"),
        ("x = b'a', rb'b', Br'c', \"d\"", '"'),
        ("x = 'a' 'b' \\\n    f'c', \"d\", u\"e\"", '"'),
        ("x = 1", '"'),
    ],
)
def test_the_quote_that_most_literals_have(text: str, quote: str) -> None:
    source = decode("m.py", text.encode())
    tree = ast.parse(text)
    assert source.quote(tree.body[-1], tree) == quote
