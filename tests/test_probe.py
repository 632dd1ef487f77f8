"""The probe tells equal mapper graphs from different ones.

A row gives the arguments of a forward relationship, those of its ``backref()``, those of an explicit reverse,
and fields in which the two spellings differ. They are rules that hold for all versions of SQLAlchemy.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from environments import PYTHONS
from graph import Graph, graph_of

from backpop.codemods import probe

PRELUDE = """\
from sqlalchemy import (
    Column, ForeignKey, ForeignKeyConstraint, Integer, String, Table, and_, func, literal_column
)
from sqlalchemy.orm import backref, foreign, relationship, remote
try:
    from sqlalchemy.orm import declarative_base
except ImportError:
    from sqlalchemy.ext.declarative import declarative_base

Base = declarative_base()
"""

# In each, %(forward)s and %(reverse)s are the two attributes.
SCHEMAS = {
    # S is the one side.
    "one": """
class S(Base):
    __tablename__ = "s"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    rank = Column("rank_no", Integer)
    f = relationship("T", %(forward)s)

class T(Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
    s_id = Column(ForeignKey("s.id"))
    %(reverse)s
""",
    # S is the many side. It has names that T has, and names that are Python's.
    "many": """
class S(Base):
    __tablename__ = "s"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    rank = Column("rank_no", Integer)
    t_id = Column(ForeignKey("t.id"))
    f = relationship("T", %(forward)s)

class T(Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    code = Column(Integer)
    %(reverse)s
""",
    "two-keys": """
class S(Base):
    __tablename__ = "s"
    id = Column(Integer, primary_key=True)
    kind = Column(String)
    a_id = Column(ForeignKey("t.id"))
    b_id = Column(ForeignKey("t.id"))
    f = relationship("T", %(forward)s)

class T(Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
    code = Column(String)
    %(reverse)s
""",
    "secondary": """
links = Table(
    "links", Base.metadata,
    Column("s_id", ForeignKey("s.id")), Column("t_id", ForeignKey("t.id")), Column("pos", Integer),
)

class S(Base):
    __tablename__ = "s"
    id = Column(Integer, primary_key=True)
    t_id = Column(ForeignKey("t.id"))
    f = relationship("T", %(forward)s)

class T(Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
    kind = Column(String)
    %(reverse)s
""",
    "self": """
class S(Base):
    __tablename__ = "s"
    id = Column(Integer, primary_key=True)
    kind = Column(String)
    s_id = Column(ForeignKey("s.id"))
    f = relationship("S", %(forward)s)
    %(reverse)s
""",
    "self-composite": """
class S(Base):
    __tablename__ = "s"
    acct = Column(Integer, primary_key=True)
    id = Column(Integer, primary_key=True)
    s_id = Column(Integer)
    __table_args__ = (ForeignKeyConstraint(["acct", "s_id"], ["s.acct", "s.id"]),)
    f = relationship("S", %(forward)s)
    %(reverse)s
""",
    "self-secondary": """
links = Table(
    "links", Base.metadata, Column("a_id", ForeignKey("s.id")), Column("b_id", ForeignKey("s.id"))
)

class S(Base):
    __tablename__ = "s"
    id = Column(Integer, primary_key=True)
    f = relationship("S", %(forward)s)
    %(reverse)s
""",
    "joined": """
class T(Base):
    __tablename__ = "t"
    id = Column(Integer, primary_key=True)
    %(reverse)s

class Root(Base):
    __tablename__ = "root"
    id = Column(Integer, primary_key=True)
    t_id = Column(ForeignKey("t.id"))

class S(Root):
    __tablename__ = "s"
    id = Column(ForeignKey("root.id"), primary_key=True)
    own_id = Column(ForeignKey("t.id"))
    f = relationship("T", %(forward)s)
""",
}

SELF_JOINS = "primaryjoin=id == links.c.a_id, secondaryjoin=id == links.c.b_id"
SELF_JOINS_SWAPPED = "primaryjoin=id == links.c.b_id, secondaryjoin=id == links.c.a_id"

SAME: tuple[tuple[str, str, str, str], ...] = (
    ("one", "", "", ""),
    ("one", "cascade='all, delete-orphan', lazy='joined', order_by='T.id'", "", ""),
    ("one", "uselist=False", "", ""),
    ("one", "collection_class=set, info={'a': 1}, doc='d'", "", ""),
    ("one", "passive_deletes=True, single_parent=True, enable_typechecks=False", "", ""),
    ("one", "viewonly=True", "", "viewonly=True"),
    ("one", "viewonly=True", "viewonly=False", "viewonly=False"),
    ("one", "", "viewonly=True", "viewonly=True"),
    ("one", "sync_backref=False", "", "sync_backref=False"),
    ("one", "sync_backref=False", "sync_backref=None", "sync_backref=None"),
    ("one", "post_update=True", "", "post_update=True"),
    ("one", "passive_updates=False", "", "passive_updates=False"),
    ("one", "passive_updates=False", "passive_updates=True", "passive_updates=True"),
    ("one", "primaryjoin='S.id == T.s_id'", "", "primaryjoin='S.id == T.s_id'"),
    ("one", "primaryjoin='S.id == T.s_id'", "", "primaryjoin='T.s_id == S.id'"),
    ("one", "primaryjoin='S.id == T.s_id'", "", ""),
    ("one", "remote_side='T.s_id'", "", ""),
    (
        "one",
        "primaryjoin='and_(S.id == T.s_id, S.name == \"x\")'",
        "",
        "primaryjoin='and_(S.name == \"x\", S.id == T.s_id)'",
    ),
    ("many", "", "", ""),
    ("many", "uselist=False", "", ""),
    ("many", "", "uselist=False", "uselist=False"),
    ("many", "", "lazy='dynamic'", "lazy='dynamic'"),
    ("many", "", "collection_class=set", "collection_class=set"),
    ("many", "", "collection_class=list", ""),
    (
        "many",
        "",
        "cascade='all, delete-orphan', passive_deletes=True",
        "cascade='delete-orphan, all', passive_deletes=True",
    ),
    ("many", "", "order_by=id", "order_by='S.id'"),
    ("many", "", "order_by=id", "order_by=lambda: S.id"),
    ("many", "", "order_by=id", "order_by='s.c.id'"),
    ("many", "", "order_by=id.desc()", "order_by='S.id.desc()'"),
    ("many", "", "order_by=id.desc()", "order_by='desc(S.id)'"),
    ("many", "", "order_by=(name, id.desc())", "order_by='(S.name, S.id.desc())'"),
    ("many", "", "order_by=[name, id]", "order_by='[S.name, S.id]'"),
    ("many", "", "order_by=[name, id]", "order_by='S.name, S.id'"),
    ("many", "", "order_by=func.lower(name)", "order_by='func.lower(S.name)'"),
    ("many", "", "order_by=-id", "order_by='-S.id'"),
    ("many", "", "order_by=id + rank", "order_by='S.id + S.rank'"),
    ("many", "", "order_by=rank", "order_by='S.rank'"),
    ("many", "", "order_by=rank", "order_by='s.c.rank_no'"),
    ("many", "", "order_by=id.nullslast()", "order_by='S.id.nullslast()'"),
    ("many", "", "order_by=literal_column('1')", "order_by='literal_column(\"1\")'"),
    ("two-keys", "foreign_keys=[a_id]", "", "foreign_keys='S.a_id'"),
    ("two-keys", "foreign_keys='S.a_id'", "", "foreign_keys='[S.a_id]'"),
    ("two-keys", "primaryjoin='S.a_id == T.id'", "", "primaryjoin='S.a_id == T.id'"),
    (
        "two-keys",
        "primaryjoin='S.kind == T.code', foreign_keys='S.kind'",
        "",
        "primaryjoin='S.kind == T.code', foreign_keys='S.kind'",
    ),
    ("two-keys", "primaryjoin='foreign(S.kind) == T.code'", "", "primaryjoin='foreign(S.kind) == T.code'"),
    (
        "two-keys",
        "primaryjoin='foreign(S.kind) == remote(T.code)'",
        "",
        "primaryjoin='remote(foreign(S.kind)) == T.code'",
    ),
    (
        "two-keys",
        "primaryjoin='foreign(S.kind) == remote(T.code)'",
        "",
        "primaryjoin='foreign(S.kind) == T.code'",
    ),
    ("secondary", "secondary=links", "", "secondary='links'"),
    ("secondary", "secondary=links", "", "secondary=lambda: links"),
    ("secondary", "secondary=links", "order_by=links.c.pos", "secondary=links, order_by='links.c.pos'"),
    ("secondary", "secondary=links, uselist=False", "", "secondary=links"),
    (
        "secondary",
        "secondary=links, primaryjoin='S.id == links.c.s_id'",
        "",
        "secondary=links, secondaryjoin='S.id == links.c.s_id'",
    ),
    (
        "secondary",
        "secondary=links, secondaryjoin='and_(T.id == links.c.t_id, T.kind == \"x\")'",
        "",
        "secondary=links, primaryjoin='and_(T.id == links.c.t_id, T.kind == \"x\")'",
    ),
    (
        "secondary",
        "secondary=links, primaryjoin='S.id == links.c.s_id', secondaryjoin='T.id == links.c.t_id'",
        "primaryjoin='and_(T.id == links.c.t_id, links.c.pos == 1)'",
        "secondary=links, primaryjoin='and_(T.id == links.c.t_id, links.c.pos == 1)',"
        " secondaryjoin='S.id == links.c.s_id'",
    ),
    ("self", "", "remote_side=[id]", "remote_side=[id]"),
    ("self", "remote_side=[id]", "", ""),
    ("self", "remote_side=[id]", "", "remote_side='S.s_id'"),
    ("self", "remote_side=[s_id]", "remote_side=[id]", "remote_side=[id]"),
    ("self", "", "remote_side=[id], uselist=False", "remote_side=[id], uselist=False"),
    (
        "self",
        "primaryjoin='S.s_id == remote(S.id)'",
        "",
        "primaryjoin='remote(S.s_id) == S.id'",
    ),
    (
        "self",
        "primaryjoin='S.s_id == remote(S.id)'",
        "remote_side=[id]",  # ignored in silence: the wrong side
        "primaryjoin='remote(S.s_id) == S.id'",
    ),
    ("self-composite", "", "remote_side=[acct, id]", "remote_side=[acct, id]"),
    ("self-composite", "remote_side=[acct, id]", "", ""),
    ("self-secondary", f"secondary=links, {SELF_JOINS}", "", f"secondary=links, {SELF_JOINS_SWAPPED}"),
    ("joined", "", "", "primaryjoin='T.id == S.own_id'"),
)

DIFFERENT: tuple[tuple[str, str, str, str, str], ...] = (
    ("one", "viewonly=True", "", "", "viewonly"),
    ("one", "sync_backref=False", "", "", "sync_backref"),
    ("one", "post_update=True", "", "", "post_update"),
    ("one", "passive_updates=False", "", "", "passive_updates"),
    ("one", "lazy='joined'", "", "lazy='joined'", "lazy"),
    ("one", "info={'a': 1}", "", "info={'a': 1}", "info"),
    ("one", "doc='d'", "", "doc='d'", "doc"),
    ("one", "cascade='all'", "", "cascade='all'", "cascade"),
    ("one", "enable_typechecks=False", "", "enable_typechecks=False", "enable_typechecks"),
    ("one", "active_history=True", "", "active_history=True", "active_history"),
    ("one", "primaryjoin='and_(S.id == T.s_id, S.name == \"x\")'", "", "", "lazy_load primaryjoin use_get"),
    ("many", "uselist=False", "", "uselist=False", "uselist"),
    ("many", "", "uselist=False", "", "uselist"),
    ("many", "", "collection_class=set", "", "collection_class"),
    ("many", "", "order_by=id", "order_by='S.rank'", "order_by"),
    ("many", "", "order_by=(name, id)", "order_by='(S.id, S.name)'", "order_by"),
    ("two-keys", "foreign_keys='S.a_id'", "", "primaryjoin='S.a_id == T.id'", "foreign_keys_given"),
    (
        "two-keys",
        "foreign_keys='S.a_id'",
        "",
        "foreign_keys='S.b_id'",
        "foreign_columns foreign_keys_given lazy_load local_remote_pairs primaryjoin",
    ),
    ("joined", "", "", "foreign_keys='S.own_id'", "foreign_keys_given"),
    # Nothing but the lazy load tells these apart: one binds t.code, the other joins in the table.
    (
        "many",
        "primaryjoin='and_(remote(T.id) == foreign(S.t_id), T.code == 5)'",
        "",
        "primaryjoin='and_(T.id == remote(foreign(S.t_id)), T.code == 5)'",
        "lazy_load local_columns",
    ),
    (
        "self-composite",
        "",
        "remote_side=[acct, id]",
        "remote_side=[id]",
        "local_remote_pairs remote_side",
    ),
)


def sources(schema: str, forward: str, generated: str, reverse: str) -> tuple[str, str]:
    """Return the source of the ``backref`` spelling and of the explicit one."""
    text = PRELUDE + SCHEMAS[schema]
    before = {"forward": _arguments(forward, f"backref=backref({_arguments(repr('r'), generated)})")}
    after = {"forward": _arguments(forward, 'back_populates="r"')}
    explicit = _arguments('"S"', reverse, 'back_populates="f"')
    return text % {**before, "reverse": "pass"}, text % {**after, "reverse": f"r = relationship({explicit})"}


def _arguments(*arguments: str) -> str:
    return ", ".join(argument for argument in arguments if argument)


def differences(tmp_path: Path, before: str, after: str, python: str = sys.executable) -> list[str]:
    """Return what the probe finds between two sources of one module."""
    return probe.compare(
        graph_of_source(tmp_path / "before", before, python),
        graph_of_source(tmp_path / "after", after, python),
    )


def graph_of_source(tree: Path, source: str, python: str = sys.executable) -> Graph:
    tree.mkdir(parents=True)
    (tree / "models.py").write_text(source, "utf-8")
    return graph_of(tree, python=python)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("row", SAME, ids=" | ".join)
def test_two_spellings_are_equal(row: tuple[str, str, str, str], python: str, tmp_path: Path) -> None:
    assert differences(tmp_path, *sources(*row), python) == []


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("row", DIFFERENT, ids=lambda row: " | ".join(row[:4]))
def test_two_spellings_differ(row: tuple[str, str, str, str, str], python: str, tmp_path: Path) -> None:
    found = differences(tmp_path, *sources(*row[:4]), python)
    fields = {line.split(": ")[1] for line in found if line.startswith("models.")}
    assert fields >= set(row[4].split()), found


BOOKS = (
    PRELUDE
    + """
class Author(Base):
    __tablename__ = "author"
    id = Column(Integer, primary_key=True)
    books = relationship("Book", backref="author")

class Book(Base):
    __tablename__ = "book"
    id = Column(Integer, primary_key=True)
    author_id = Column(ForeignKey("author.id"))
"""
)


def test_half_a_pair_is_a_difference(tmp_path: Path) -> None:
    pair = (
        BOOKS.replace("backref=", "back_populates=")
        + '    author = relationship("Author", back_populates="books")\n'
    )
    assert differences(tmp_path / "whole", BOOKS, pair) == []
    half = pair.replace(', back_populates="books"', "")
    assert "models.Book.author: back_populates: books -> None" in differences(tmp_path / "half", BOOKS, half)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    without = BOOKS.replace(', backref="author"', "")
    found = differences(tmp_path, BOOKS, without)
    assert "models.Book.author: relationship: there -> missing" in found
    assert "models.Author.books: reverse: ['models.Book.author'] -> []" in found


def test_classes_and_columns_are_compared(tmp_path: Path) -> None:
    changed = BOOKS.replace("    author_id =", "    pages = Column(Integer)\n    author_id =")
    assert differences(tmp_path / "1", BOOKS, changed) == [
        "models.Book: attributes: ['author_id', 'id'] -> ['author_id', 'id', 'pages']"
    ]
    renamed = BOOKS.replace("class Author", "class Writer")
    assert "before" not in differences(tmp_path / "2", BOOKS, renamed)[0]


def test_classes_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    inner = BOOKS.replace(PRELUDE, "").replace("\n", "\n    ")
    source = f"{PRELUDE}\ndef make():\n    Base = declarative_base(){inner}\n    return Author, Book\n\n"
    graph = graph_of_source(tmp_path / "tree", f"{source}KEPT = [make(), make()]\n")
    assert sorted(graph["classes"]) == [
        "models.make.<locals>.Author",
        "models.make.<locals>.Author#2",
        "models.make.<locals>.Book",
        "models.make.<locals>.Book#2",
    ]
    second = graph["classes"]["models.make.<locals>.Book#2"]["relationships"]["author"]
    assert second["target"] == "models.make.<locals>.Author#2"


def test_inherited_relationships_name_their_owner(tmp_path: Path) -> None:
    novel = BOOKS + "\nclass Novel(Book):\n    pass\n"
    graph = graph_of_source(tmp_path / "tree", novel)
    assert graph["classes"]["models.Novel"]["relationships"]["author"]["owner"] == "models.Book"


OVERLAP = """
class Link(Base):
    __tablename__ = "link"
    id = Column(Integer, primary_key=True)
    left_id = Column(ForeignKey("left.id"))
    right_id = Column(ForeignKey("right.id"))

class Left(Base):
    __tablename__ = "left"
    id = Column(Integer, primary_key=True)
    links = relationship("Link", {links})
    rights = relationship("Right", secondary="link", {rights})

class Right(Base):
    __tablename__ = "right"
    id = Column(Integer, primary_key=True)
    {more}
"""


def test_warnings_of_overlap_may_change_their_words_only(tmp_path: Path) -> None:
    before = OVERLAP.format(links='backref="left"', rights='backref="lefts"', more="")
    graph = graph_of_source(tmp_path / "tree", PRELUDE + before)
    assert [w["category"] for w in graph["warnings"] if "conflicts with" in w["message"]]
    after = OVERLAP.replace(
        "class Left", '    left = relationship("Left", back_populates="links")\n\nclass Left'
    ).format(
        links='back_populates="left"',
        rights='back_populates="lefts"',
        more='lefts = relationship("Left", secondary="link", back_populates="rights")',
    )
    assert differences(tmp_path / "1", PRELUDE + before, PRELUDE + after) == []
    silent = after.replace('secondary="link"', 'secondary="link", overlaps="left, links"')
    found = differences(tmp_path / "2", PRELUDE + before, PRELUDE + silent)
    assert any(line.startswith("warnings: only before: overlap: ") for line in found), found


def test_a_dataclass_is_compared_by_its_signature(tmp_path: Path) -> None:
    source = BOOKS.replace("Base = declarative_base()", "").replace(
        "from sqlalchemy.orm import",
        """
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

class Base(MappedAsDataclass, DeclarativeBase):
    pass

from sqlalchemy.orm import""",
        1,
    )
    source = source.replace("id = Column(Integer, primary", "id: Mapped[int] = mapped_column(primary")
    forward = source.replace("backref=", "back_populates=")
    reverse = 'relationship("Author", back_populates="books"'
    plain = f"{forward}    author = {reverse})\n"
    assert differences(tmp_path / "plain", source, plain) == []
    field = f'{forward}    author: Mapped["Author"] = {reverse}, default=None)\n'
    (found,) = [line for line in differences(tmp_path / "field", source, field) if ": dataclass: " in line]
    assert re.search(r"'init': '\(self, id\)'.* -> .*'init': '\(self, id, author=.*\)'", found)


@pytest.mark.parametrize(
    ("source", "stage", "kind"),
    [
        ("import no_such_module_at_all", "import", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "import", "SystemExit"),
        ("1 +", "import", "SyntaxError"),
        (BOOKS.replace('"Book"', '"Boook"'), "configure", "InvalidRequestError"),
        ("import os; os._exit(3)", "process", "ProcessError"),
    ],
)
def test_what_goes_wrong_is_an_answer(source: str, stage: str, kind: str, tmp_path: Path) -> None:
    graph = graph_of_source(tmp_path / "tree", source)
    assert (graph["error"]["stage"], graph["error"]["type"]) == (stage, kind)
    # Two broken trees prove nothing.
    assert len(probe.compare(graph, graph)) == 2


def test_setup_runs_before_the_models(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("import os; assert os.environ['BACKPOP_TEST'] == 'yes'\n")
    assert graph_of(tmp_path)["error"]["type"] == "KeyError"
    assert "error" not in graph_of(tmp_path, setup="import os; os.environ['BACKPOP_TEST'] = 'yes'")
    assert graph_of(tmp_path, setup="1 / 0")["error"]["stage"] == "setup"


@pytest.mark.parametrize("python", PYTHONS)
def test_bytes_from_memory_replace_a_file(tmp_path: Path, python: str) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    models = package / "models.py"
    models.write_text(BOOKS)
    _run(python, "-m", "py_compile", str(models))  # up to date by every clock
    assert list(package.glob("__pycache__/models.*"))
    changed = BOOKS.replace('"author")', '"writer")').encode()
    overrides = {str(models): base64.b64encode(changed).decode()}
    graph = graph_of(tmp_path, ["shop.models"], python, overrides=overrides)
    assert list(graph["classes"]["shop.models.Book"]["relationships"]) == ["writer"]
    assert models.read_text() == BOOKS
    graph = graph_of(tmp_path, ["shop.models"], python)
    assert list(graph["classes"]["shop.models.Book"]["relationships"]) == ["author"]


def test_modules_are_tried_alone(tmp_path: Path) -> None:
    def tree(name: str, forward: str, reverse: str) -> Graph:
        head = "from base import Base\n" + PRELUDE.replace("Base = declarative_base()", "")
        author, book = BOOKS.replace(PRELUDE, "").split("\n\n")
        root = tmp_path / name
        root.mkdir()
        (root / "base.py").write_text(PRELUDE)
        (root / "author.py").write_text(head + author.replace('backref="author"', forward) + "\n")
        (root / "book.py").write_text(head + book + reverse)
        return {**graph_of(root), **graph_of(root, each_alone=True)}

    before = tree("before", 'backref="author"', "")
    after = tree(
        "after", 'back_populates="author"', '    author = relationship("Author", back_populates="books")\n'
    )
    assert probe.compare(before, after) == []
    assert before["alone"]["author"]["type"] == "InvalidRequestError"  # it was no use alone before, either
    (found,) = probe.compare_alone(before, after)
    assert str(found).startswith("book: imported alone: works -> InvalidRequestError: ")


ALONE = {
    "shop": "",
    "shop.fine": "",
    "shop.loads": "import shop.models.cart, shop.models",
    "shop.absent": "import no_such_module",
    "shop.exits": "raise SystemExit",
    "shop.dies": "import os; os._exit(3)",
    "shop.hangs": "import time; time.sleep(100)",
    "shop.vanishes": "import sys; del sys.modules[__name__]",
    "shop.models": "import shop.models.base",
    "shop.models.base": PRELUDE,
    "shop.models.cart": "from shop.models.base import *\nclass Cart(Base):\n    __tablename__ = 'cart'\n"
    "    id = Column(Integer, primary_key=True)\n    items = relationship('Item')",
    "shop.models.item": "import shop.models.cart\nfrom shop.models.base import *\nclass Item(Base):\n"
    "    __tablename__ = 'item'\n    id = Column(ForeignKey('cart.id'), primary_key=True)",
    "plugin": "import shop.models.item",
}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("jobs", "preload"), [(1, []), (4, ["decimal", "no_such_module"]), (4, ["plugin"])])
def test_what_becomes_of_a_module_alone(tmp_path: Path, python: str, jobs: int, preload: list[str]) -> None:
    for name, source in ALONE.items():
        folder = tmp_path.joinpath(*name.split("."))
        is_package = any(other.startswith(f"{name}.") for other in ALONE)
        path = folder / "__init__.py" if is_package else folder.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    request = {"each_alone": True, "preload": preload, "jobs": jobs, "timeout": 1}
    modules = sorted(name for name in ALONE if name != "plugin")
    answer = graph_of(tmp_path, modules, python, **request)["alone"]
    assert {module: error and (error["stage"], error["type"]) for module, error in answer.items()} == {
        "shop": None,
        "shop.absent": ("import", "ModuleNotFoundError"),
        "shop.dies": ("process", "ProcessError"),
        "shop.exits": ("import", "SystemExit"),
        "shop.fine": None,
        "shop.hangs": ("timeout", "ProcessError"),
        "shop.loads": ("configure", "InvalidRequestError"),
        "shop.models": None,
        "shop.models.base": None,
        "shop.models.cart": ("configure", "InvalidRequestError"),
        "shop.models.item": None,
        "shop.vanishes": ("import", "KeyError"),
    }
    assert [name for path, name in answer["shop.loads"]["known"] if path.endswith("cart.py")] == ["Cart"]


def test_files_can_be_hidden_and_added(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    later = tmp_path / "later"
    for path in (tree / "shop" / "__init__.py", tree / "new.py", tree / "shop" / "new.py", later / "new.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"WHERE = {str(path)!r}\n")

    def answer(*modules: str, files: dict[str, str | None] | None = None) -> Graph:
        paths = {str(tree / name): text for name, text in (files or {}).items()}
        overrides = {path: text and base64.b64encode(text.encode()).decode() for path, text in paths.items()}
        setup = f"import sys; sys.path.append({str(later)!r})"
        return graph_of(tree, list(modules), overrides=overrides, setup=setup, submodules=True)

    assert answer("shop")["modules"] == ["shop", "shop.new"]
    assert answer("shop", files={"shop/new.py": None})["modules"] == ["shop"]
    assert answer("shop.new", files={"shop/new.py": None})["error"]["type"] == "ModuleNotFoundError"
    assert answer("shop", files={"shop/old.py": ""})["modules"] == ["shop", "shop.new", "shop.old"]
    check = f"import new; assert new.WHERE == {str(later / 'new.py')!r}"
    assert "error" not in answer("check", files={"check.py": check, "new.py": None})
    package = tree / "shop" / "sub" / "__init__.py"
    added = answer("shop", files={"shop/sub/__init__.py": "import shop.sub.old", "shop/sub/old.py": "1"})
    assert added["modules"] == ["shop", "shop.new", "shop.sub", "shop.sub.old"]
    assert added["served"] == [str(package), str(package.with_name("old.py"))]


@pytest.mark.parametrize("python", PYTHONS)
def test_script(tmp_path: Path, python: str) -> None:
    """As verify runs it: a script of its own, which must not offer the modules that lie beside it."""
    (tmp_path / "read.py").write_text(BOOKS + "print('noise')\n")
    request = {"modules": ["read"], "sys_path": [str(tmp_path)], "answer": str(tmp_path / "answer.json")}
    request_file = tmp_path / "request.json"
    request_file.write_text(json.dumps(request))
    assert _run(python, probe.__file__, str(request_file)).strip() == "noise"
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert sorted(answer["classes"]) == ["read.Author", "read.Book"]
    del request["sys_path"]
    assert _run(python, probe.__file__, stdin=json.dumps(request)) == ""
    assert json.loads((tmp_path / "answer.json").read_text())["error"]["type"] == "ModuleNotFoundError"


def _run(*command: str, stdin: str = "") -> str:
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True, text=True).stdout


@pytest.mark.parametrize("python", PYTHONS)
def test_models_with_unnamed_selects_are_described_the_same_each_time(tmp_path: Path, python: str) -> None:
    source = """\
from sqlalchemy import Column, ForeignKey, Integer, Table
from sqlalchemy.ext.declarative import declarative_base
from sqlalchemy.orm import relationship

Base = declarative_base()
link = Table("link", Base.metadata, Column("a", ForeignKey("one.id")), Column("b", ForeignKey("other.id")))


class One(Base):
    __tablename__ = "one"
    id = Column(Integer, primary_key=True)
    others = relationship("Other", secondary=link.alias(), viewonly=True)


class Other(Base):
    __tablename__ = "other"
    id = Column(Integer, primary_key=True)
"""
    once, again = (graph_of_source(tmp_path / name, source, python) for name in ("once", "again"))
    assert "error" not in once
    assert probe.compare(once, again) == []
