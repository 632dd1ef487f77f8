"""The inventory of relationships: what is listed, what is recommended, and what is pointed out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from graph import graph_of
from hypothesis import assume, given, settings
from models import Sources, projects
from test_cli import backpop
from tool import plan

from backpop.codemods.audit import Entry, Kind, audit
from backpop.codemods.plan.policy import Style
from backpop.codemods.write import write_changes

HEAD = """\
from sqlalchemy import Column, ForeignKey, Integer, Table
from sqlalchemy.orm import Mapped, backref, declarative_base, relationship

Base = declarative_base()
ASSOCIATION = Table(
    "association", Base.metadata, Column("a", ForeignKey("parent.id")), Column("b", ForeignKey("child.id"))
)
"""


def _models(parent: str, child: str) -> str:
    return f"""{HEAD}

class Parent(Base):
    __tablename__ = "parent"
    id = Column(Integer, primary_key=True)
    {parent}


class Child(Base):
    __tablename__ = "child"
    id = Column(Integer, primary_key=True)
    parent_id = Column(ForeignKey("parent.id"))
    {child}
"""


def _only(folder: Path, parent: str, child: str) -> Entry:
    (folder / "models.py").write_text(_models(parent, child))
    found = audit([folder])
    assert not found.problems
    (entry,) = found.entries
    return entry


CHILDREN = 'relationship("Child", back_populates="parent")'
PARENT = 'relationship("Parent", back_populates="children")'


@pytest.mark.parametrize(
    ("parent", "child", "style", "direction", "reasons", "recommended"),
    [
        (f"children = {CHILDREN}", f"parent = {PARENT}", "back_populates", "one-to-many", [], "backref"),
        (
            'children = relationship("Child", backref="parent")',
            "pass",
            "backref",
            "one-to-many",
            [],
            "backref",
        ),
        (
            "pass",
            'parent = relationship("Parent", backref=backref("child", uselist=False))',
            "backref",
            "one-to-one",
            ["arguments in backref(): uselist"],
            "back_populates",
        ),
        (
            "pass",
            'parent = relationship("Parent", backref=backref("children", uselist=True))',
            "backref",
            "many-to-one",
            [],
            "backref",
        ),
        (
            'children = relationship("Child", back_populates="parent", cascade="all")',
            'parent = relationship("Parent", back_populates="children", lazy="joined")',
            "back_populates",
            "one-to-many",
            ["arguments of Child.parent: lazy"],
            "back_populates",
        ),
        (
            'children = relationship("Child", secondary=ASSOCIATION, back_populates="parents")',
            'parents = relationship("Parent", secondary="association", back_populates="children")',
            "back_populates",
            "many-to-many",
            ["many-to-many"],
            "back_populates",
        ),
        (
            f'children: Mapped[list["Child"]] = {CHILDREN}',
            f'parent: Mapped["Parent"] = {PARENT}',
            "back_populates",
            "one-to-many",
            ["typed"],
            "back_populates",
        ),
        (
            f"children = {CHILDREN}",
            f"parent = {PARENT}  # the only one",
            "back_populates",
            "one-to-many",
            [],
            "backref",
        ),
        (
            f"children = {CHILDREN}  # all of them",
            f"parent = {PARENT}  # the only one",
            "back_populates",
            "one-to-many",
            ["comment or docstring would be lost (BP807)"],
            "back_populates",
        ),
        ('children = relationship("Child")', "pass", "no-counterpart", "one-to-many", [], None),
    ],
)
def test_what_is_said_of_a_pair(
    tmp_path: Path,
    parent: str,
    child: str,
    style: str,
    direction: str,
    reasons: list[str],
    recommended: str | None,
) -> None:
    entry = _only(tmp_path, parent, child)
    assert entry.style is Style(style)
    assert entry.direction == direction
    assert list(entry.reasons) == reasons
    assert entry.recommended is (Style(recommended) if recommended else None)
    assert not entry.mistake


@pytest.mark.parametrize(
    ("parent", "child", "style", "mistake"),
    [
        (
            f"children = {CHILDREN}",
            'parent = relationship("Parent")',
            "one-sided",
            "Parent.children names Child.parent, which is no relationship that names it",
        ),
        (
            'children = relationship("Child")',
            'parent = relationship("Parent")',
            "no-counterpart",
            "Parent.children and Child.parent are inverses of each other and do not say so",
        ),
    ],
)
def test_likely_mistakes(tmp_path: Path, parent: str, child: str, style: str, mistake: str) -> None:
    entry = _only(tmp_path, parent, child)
    assert entry.style is Style(style)
    assert entry.mistake == mistake
    assert entry.recommended is Style.BACK_POPULATES


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ('children = relationship("Child", viewonly=True)', 'parent = relationship("Parent")'),
        ('children = relationship("Child", overlaps="parent")', 'parent = relationship("Parent")'),
        (
            'children = relationship("Child", secondary=ASSOCIATION)',
            'parent = relationship("Parent")',
        ),
    ],
)
def test_relationships_that_are_no_inverses_are_no_mistake(tmp_path: Path, parent: str, child: str) -> None:
    (tmp_path / "models.py").write_text(_models(parent, child))
    assert [entry.mistake for entry in audit([tmp_path]).entries] == ["", ""]


def test_a_third_that_writes_the_same_columns(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(
        _models(
            f'children = {CHILDREN}\n    first = relationship("Child", uselist=False)', f"parent = {PARENT}"
        )
    )
    _, entry = audit([tmp_path]).entries
    assert entry.mistake == "Parent.first writes the same columns as Child.parent at models.py:21"


@pytest.mark.parametrize(
    ("columns", "arguments", "direction"),
    [
        ("parent_id = Column(ForeignKey('node.id'))", "", "one-to-many"),
        ("parent_id = Column(ForeignKey('node.id'))", "remote_side=[id]", "many-to-one"),
        ("parent_id = Column(ForeignKey('node.id'))", "remote_side='node.c.id'", "many-to-one"),
        ("parent_id = Column(ForeignKey('node.id'))", "remote_side=lambda: Node.id", "many-to-one"),
        ("parent_id = Column(ForeignKey('node.id'))", "remote_side=THERE", ""),
        ("parent_id = Column(ForeignKey('node.id'))", "remote_side=lambda: [Node.parent_id]", "one-to-many"),
        (
            "parent_id = Column(ForeignKey('node.id'))",
            "foreign_keys=lambda: Node.parent_id, remote_side=lambda: Node.id",
            "many-to-one",
        ),
        (
            "code = Column(ForeignKey('node.id'))\n    parent_code = Column(ForeignKey('node.code'))",
            "primaryjoin='Node.code == Node.parent_code', remote_side='Node.code'",
            "",
        ),
        ("parent_id = Column(Integer)", "primaryjoin=JOIN, remote_side='Node.id'", ""),
        (
            "parent_id = Column(Integer)",
            "primaryjoin='remote(Node.id) == foreign(Node.parent_id)'",
            "many-to-one",
        ),
        ("parent_id = Column('up', ForeignKey('node.id'))", "remote_side='node.c.up'", "one-to-many"),
    ],
)
def test_the_direction_of_a_self_reference(
    tmp_path: Path, columns: str, arguments: str, direction: str
) -> None:
    (tmp_path / "models.py").write_text(
        f"""{HEAD}

class Node(Base):
    __tablename__ = "node"
    id = Column(Integer, primary_key=True)
    {columns}
    other = relationship("Node", {arguments})
"""
    )
    (entry,) = audit([tmp_path]).entries
    assert entry.direction == direction


@given(projects())
@settings(max_examples=settings().max_examples * 15 // 100)
def test_directions_are_those_of_sqlalchemy(project: Sources) -> None:
    with TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        for name, data in project.files.items():
            (tree / name).write_bytes(data)
        graph = graph_of(tree)
        assume("error" not in graph)
        mapped = {
            f"{title.rpartition('.')[2]}.{name}": one["direction"]
            for title, made in graph["classes"].items()
            for name, one in made["relationships"].items()
        }
        entries = audit([tree]).entries
        write_changes(plan(tree).changes)
        for entry in (*entries, *audit([tree]).entries):
            if entry.direction:
                expected = mapped[entry.first.title].lower().replace("to", "-to-")
                one_to_one = {"one-to-one"} if expected != "many-to-many" else set()
                assert entry.direction in {expected, *one_to_one}, entry


@pytest.mark.parametrize(
    ("parent", "style"),
    [
        ('children = relationship("Nobody", backref="parent")', "backref"),
        ('children = relationship("Nobody", back_populates="parent")', "back_populates"),
        ('children = relationship("Nobody")', "no-counterpart"),
    ],
)
def test_what_is_not_understood_is_neither_simple_nor_complex(
    tmp_path: Path, parent: str, style: str
) -> None:
    entry = _only(tmp_path, parent, "pass")
    assert (entry.style, entry.kind) == (Style(style), Kind.UNCLEAR)
    assert entry.unclear == "target class is not found (BP201)"
    assert entry.recommended is None


def test_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "models.py").write_text(_models(f"children = {CHILDREN}", f"parent = {PARENT}"))
    (folder / "pets.py").write_text(
        """from sqlalchemy.orm import relationship

from shop.models import Base


class Pet(Base):
    __tablename__ = "pet"
    parent_id = Column(ForeignKey("parent.id"), primary_key=True)
    parent = relationship("Parent", back_populates="pets")
"""
    )
    done = backpop("audit", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    table = """\
 Relationship     Where              Style           Guidance
 Parent.children  shop/models.py:13  back_populates  simple
 Child.parent     shop/models.py:20  one-to-many     recommended: backref
 Pet.parent       shop/pets.py:9     one-sided       recommended: back_populates
 Parent.pets      shop/models.py:10  many-to-one

Likely mistakes:
  shop/pets.py:9: Pet.parent names Parent.pets, which is no relationship that names it

backref         0
back_populates  1  1 simple
one-sided       1
no counterpart  0
By the guidance 1 pair would be a backref (to-backref).
"""
    assert done.stdout == table
    filtered = backpop("audit", "--style", "one-sided", "shop", cwd=tmp_path).stdout
    assert "Pet.parent" in filtered
    assert "Parent.children" not in filtered


def test_problems_go_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("children = relationship(\n")
    done = backpop("audit", ".", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "broken.py:1:1: BP002" in done.stderr
    assert "nowhere: no such file" in done.stderr
    assert "relationship" not in done.stdout.lower()
