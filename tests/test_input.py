"""Files that nobody should have written: a clear report, in bounded time, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backpop.codemods.audit import audit
from backpop.codemods.plan.policy import Policy
from backpop.codemods.run import Outcome, Settings, to_back_populates, to_backref

IMPORTS = """\
from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()
"""
PAIR = """

class Parent(Base):
    __tablename__ = "parent"
    id = Column(Integer, primary_key=True)


class Child(Base):
    __tablename__ = "child"
    id = Column(Integer, primary_key=True)
    parent_id = Column(ForeignKey("parent.id"))
    parent = relationship("Parent", backref="children")
"""
MODELS = IMPORTS + PAIR

UNREADABLE = {
    "NUL bytes": b"backref = '\0'\n",
    "invalid UTF-8": b"backref = '\xff\xfe'\n",
    "a lone surrogate": b"backref = '\xed\xa0\x80'\n",
    "a cookie that lies": b"# coding: ascii\nbackref = '\xc3\xa9'\n",
    "a cookie that nobody knows": b"# coding: klingon\nbackref = 1\n",
    "a cookie of no text": b"# coding: hex\nbackref = 1\n",
    "a cookie that never decodes": b"# coding: undefined\nbackref = 1\n",
    "a cookie of code points": b"# coding: punycode\nbackref = '\xe9'-\xff",
    "a cookie of UTF-16": b"# coding: utf-16\nbackref = 1\n",
    "Python 2": b"print 'backref'\n",
    "newer syntax": b"backref = 1\nfrom __future__ import is not yet known\n",
    "no end": b"backref = (\n",
    "parentheses": b"backref = " + b"(" * 10_000 + b")" * 10_000,
    "operators": b"backref = " + b"+".join([b"1"] * 50_000),
    "unary operators": b"backref = " + b"-" * 50_000 + b"1",
    "attributes": b"backref = x" + b".y" * 50_000,
    "blocks": b"".join(b" " * depth + b"if backref:\n" for depth in range(120)),
    "branches": b"backref = 1\nif x: pass\n" + b"elif x: pass\n" * 20_000,
}


def sites(outcome: Outcome) -> int:
    """How many backrefs have an outcome."""
    return len(outcome.conversions) + len(outcome.refusals)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, kind: str) -> None:
    (tmp_path / "bad.py").write_bytes(UNREADABLE[kind])
    (tmp_path / "models.py").write_text(MODELS, "utf-8")
    outcome = to_back_populates([tmp_path])
    [problem] = outcome.problems
    assert problem.path.endswith("bad.py")
    assert problem.code in {"BP001", "BP002"}
    assert problem.detail
    assert [change.path.name for change in outcome.changes] == ["models.py"]


@pytest.mark.parametrize("encoding", ["unicode_escape", "raw_unicode_escape", "utf-7", "iso2022_jp", "hz"])
def test_an_encoding_with_escapes_is_kept_or_refused(tmp_path: Path, encoding: str) -> None:
    text = f"# coding: {encoding}\n# \u65e5\u672c +A- ~\\x41\n{MODELS}"
    text = text.replace("_id = Column(", '_id = """\u65e5"""; x = Column(')
    path = tmp_path / "models.py"
    path.write_bytes(text.encode(encoding, "replace"))
    outcome = to_back_populates([tmp_path])
    for change in outcome.changes:
        before, after = change.before.decode(encoding), change.after.decode(encoding)
        expected = before.replace('backref="children"', 'back_populates="children"')
        added = '    children = relationship("Child", back_populates="parent")\n'
        assert after.replace(added, "") == expected
    assert outcome.changes or outcome.refusals or outcome.problems


DEEP: dict[str, Callable[[int], str]] = {
    "parentheses": lambda depth: "(" * depth + "1" + ")" * depth,
    "sums": lambda depth: " + ".join(["1"] * depth),
    "calls": lambda depth: "x" + ".y()" * depth,
    "lists": lambda depth: "[" * depth + "1" + "]" * depth,
    "lambdas": lambda depth: "lambda: " * depth + "1",
    "conditions": lambda depth: "1 if x else " * depth + "1",
}


@pytest.mark.parametrize("depth", [90, 400, 20_000])
@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("keyword", ["info", "primaryjoin"])
def test_nesting(tmp_path: Path, kind: str, depth: int, keyword: str) -> None:
    value = DEEP[kind](depth)
    for name, text in (("plain", value), ("late", f"lambda: {value}"), ("text", f'"{value}"')):
        argument = f'backref="children", {keyword}={text}'
        (tmp_path / f"{name}.py").write_text(MODELS.replace('backref="children"', argument), "utf-8")
    outcome = to_back_populates([tmp_path])
    assert sites(outcome) + len(outcome.problems) == 3
    assert {problem.code for problem in outcome.problems} <= {"BP002"}
    for change in outcome.changes:
        change.path.write_bytes(change.after)
    assert not to_back_populates([tmp_path]).changes
    to_backref([tmp_path], Settings(), Policy(options=True))
    audit([tmp_path], Settings())


def test_modules_that_import_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from b import *\nfrom c import Base\n" + MODELS, "utf-8")
    (tmp_path / "b.py").write_text("from c import *\nimport a, b\n", "utf-8")
    (tmp_path / "c.py").write_text("from a import *\nfrom b import Base as Base\nfrom c import c\n", "utf-8")
    other = PAIR.replace("Parent", "Mother").replace("Child", "Son").replace('"parent', '"mother')
    (tmp_path / "d.py").write_text(f"from c import *\n{other}", "utf-8")
    outcome = to_back_populates([tmp_path])
    assert sites(outcome) == 2


def test_classes_that_derive_from_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from b import B, D\n\nclass A(B): pass\n\nclass C(D, A): pass\n", "utf-8")
    (tmp_path / "b.py").write_text("from a import A, C\n\nclass B(A): pass\n\nclass D(C, D): pass\n", "utf-8")
    relationship = 'from sqlalchemy.orm import relationship\nx = relationship("A", backref="b")\n'
    for name, base in (("c", "A"), ("d", "D")):
        text = f"from a import A\nfrom b import D\n\nclass {name.upper()}{base}({base}):\n    "
        (tmp_path / f"{name}.py").write_text(text + relationship.replace("\n", "\n    ", 1), "utf-8")
    assert sites(to_back_populates([tmp_path])) == 2
    to_backref([tmp_path])
    audit([tmp_path], Settings())


def _classes(count: int) -> str:
    return IMPORTS + "".join(PAIR.replace("Parent", f"P{n}").replace("Child", f"C{n}") for n in range(count))


def _hub(count: int) -> str:
    one = PAIR.partition("\n\n\nclass Child")[2]
    children = (f"\n\n\nclass Child{n}{one}".replace("children", f"children{n}") for n in range(count))
    return IMPORTS + PAIR.partition("\n\n\nclass Child")[0] + "".join(children)


def _plain_classes(count: int) -> str:
    plain = "\n\nclass Thing{}(Base):\n    id = Column(Integer, primary_key=True)\n"
    return MODELS + "".join(plain.format(n) for n in range(10 * count))


def _lines(count: int) -> str:
    return MODELS + "DATA = [\n" + '    ("key", 1, "é"),\n' * (50 * count) + "]\n"


@pytest.mark.parametrize("make", [_classes, _hub, _plain_classes, _lines], ids=lambda make: make.__name__)
def test_large_files(tmp_path: Path, make: Callable[[int], str]) -> None:
    (tmp_path / "models.py").write_text(make(320), "utf-8")
    outcome = to_back_populates([tmp_path])
    assert sites(outcome) == (320 if make in {_classes, _hub} else 1)
    assert outcome.changes


def test_star_imports_in_all_directions(tmp_path: Path) -> None:
    count, folder = 400, tmp_path / "pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("", "utf-8")
    for number in range(count):
        others = [(number * 7 + 1) % count, (number + 1) % count, (number * 3 + 5) % count]
        stars = "".join(f"from pkg.m{other} import *\n" for other in others)
        own = MODELS if number % 50 == 0 else f"class Thing{number}(Base): pass\n"
        text = stars + own.replace("Parent", f"P{number}").replace("Child", f"C{number}")
        (folder / f"m{number}.py").write_text(text, "utf-8")
    assert sites(to_back_populates([folder])) == count // 50
