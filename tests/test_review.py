"""What is shown of a conversion for a person to judge: both ends, the facts, and its edits alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_fixtures import CASES
from tool import FIXTURES, command_of, files_of, plan

from backpop.codemods.review import Facts, Pair, replacements, reviews
from backpop.codemods.run import Outcome, to_back_populates
from backpop.codemods.source import decode
from backpop.codemods.write import write_changes

MIXIN = """\
from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import declarative_base, declared_attr, relationship

Base = declarative_base()


class User(Base):
    __tablename__ = "user"
    id = Column(Integer, primary_key=True)


class Owned:
    @declared_attr
    def owner_id(cls):
        return Column(ForeignKey("user.id"))

    @declared_attr
    def owner(cls):
        return relationship("User", backref=cls.__name__.lower() + "s")


class Book(Owned, Base):
    __tablename__ = "book"
    id = Column(Integer, primary_key=True)


class Pen(Owned, Base):
    __tablename__ = "pen"
    id = Column(Integer, primary_key=True)
"""


def _planned(case: Path, tree: Path) -> Outcome:
    shutil.copytree(case / "before", tree, ignore=shutil.ignore_patterns("__pycache__"))
    return plan(tree, command_of(case))


def _only(name: str, tmp_path: Path) -> Pair:
    (review,) = reviews(_planned(FIXTURES / name, tmp_path / "tree"))
    (pair,) = review.pairs
    return pair


def _name(tree: Path, path: Path) -> str:
    return path.relative_to(tree).as_posix()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_shown_is_what_is_written(case: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    outcome = _planned(case, tree)
    before = files_of(tree)
    found = list(reviews(outcome))
    assert [review.site for review in found] == list(dict.fromkeys(one.site for one in outcome.conversions))
    for review in found:
        after = before | {_name(tree, change.path): change.after for change in review.changes}
        for pair in review.pairs:
            for part in (pair.forward, pair.reverse):
                path = _name(tree, Path(part.path))
                encode = decode(part.path, before[path]).encode
                assert encode(part.before) in before[path]
                # a file may end without a line ending
                assert encode(part.after).rstrip(b"\r\n") in after[path] or len(review.pairs) > 1
            changed = pair.forward.before != pair.forward.after
            assert changed or pair.reverse.before != pair.reverse.after
    for change in outcome.changes:
        source, end = decode(str(change.path), change.before), 0
        parts = []
        for one in replacements(change):
            start, stop = (source.line_starts[line - 1] + column - 1 for line, column in (one.start, one.end))
            parts += [source.text[end:start], one.text]
            end = stop
        assert "".join([*parts, source.text[end:]]) == decode(str(change.path), change.after).text


@pytest.mark.parametrize(
    ("name", "facts", "named"),
    [
        ("plain-string", Facts("one-to-many"), '"Plant"'),
        ("secondary-table", Facts("many-to-many", inherited=("secondary",), moved=("order_by",)), '"Course"'),
        (
            "to-backref-options",
            Facts("one-to-many", moved=("lazy",), imports=("from sqlalchemy.orm import backref",)),
            '"Child"',
        ),
    ],
)
def test_facts(name: str, facts: Facts, named: str, tmp_path: Path) -> None:
    pair = _only(name, tmp_path)
    assert (pair.facts, pair.named) == (facts, named)


def test_each_class_of_a_mixin_is_shown_its_own_reverse(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MIXIN, "utf-8")
    (review,) = reviews(to_back_populates([tmp_path]))
    assert [pair.forward.title for pair in review.pairs] == ["Book.owner", "Pen.owner"]
    assert [pair.reverse.after.strip() for pair in review.pairs] == [
        'books = relationship("Book", back_populates="owner")',
        'pens = relationship("Pen", back_populates="owner")',
    ]
    assert {pair.reverse.line for pair in review.pairs} == {MIXIN.splitlines().index("class Owned:") - 1}
    (change,) = review.changes
    assert change.after.count(b"relationship(") == 3


def test_only_some_and_then_the_rest_is_all(tmp_path: Path) -> None:
    tree = tmp_path / "bookshop"
    shutil.copytree(Path(__file__).parent.parent / "examples" / "bookshop", tree)
    outcome = to_back_populates([tree])
    expected = {change.path: change.after for change in outcome.changes}
    sites = [one.site for one in outcome.conversions]
    some = outcome.only(sites[::2])
    assert [one.site for one in some.conversions] == sites[::2]
    assert some.refusals == outcome.refusals
    write_changes(some.changes)
    rest = to_back_populates([tree])
    assert len(rest.conversions) == len(sites) - len(some.conversions)
    write_changes(rest.changes)
    for path, data in expected.items():
        assert sorted(path.read_bytes().splitlines()) == sorted(data.splitlines())


def test_nothing_to_review(tmp_path: Path) -> None:
    assert list(reviews(to_back_populates([tmp_path]))) == []
