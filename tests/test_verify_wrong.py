"""Every way to get a conversion wrong that we know of is told from the right one, by every SQLAlchemy.

``BEFORE`` has backrefs, ``RIGHT`` the pairs that mean the same. Each wrong conversion is the right one with a
single mistake in it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import PYTHONS
from graph import Graph, graph_of

from backpop.codemods import probe

HEAD = """
from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import backref, relationship
try:
    from sqlalchemy.orm import declarative_base
except ImportError:
    from sqlalchemy.ext.declarative import declarative_base

Base = declarative_base()
following = Table(
    "following", Base.metadata,
    Column("from_id", ForeignKey("user.id")), Column("to_id", ForeignKey("user.id")),
)
labels = Table(
    "labels", Base.metadata, Column("book_id", ForeignKey("book.id")), Column("tag_id", ForeignKey("tag.id"))
)
hidden = Table(
    "hidden", Base.metadata, Column("book_id", ForeignKey("book.id")), Column("tag_id", ForeignKey("tag.id"))
)
"""

BEFORE = (
    HEAD
    + """
class User(Base):
    __tablename__ = "user"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    follows = relationship(
        "User", secondary=following, primaryjoin="User.id == following.c.from_id",
        secondaryjoin="User.id == following.c.to_id", lazy="joined", join_depth=2, backref="followers",
    )

class Admin(User):
    __tablename__ = "admin"
    id = Column(ForeignKey("user.id"), primary_key=True)

class Book(Base):
    __tablename__ = "book"
    id = Column(Integer, primary_key=True)
    title = Column(String)
    author_id = Column(ForeignKey("user.id"))
    editor_id = Column(ForeignKey("user.id"))
    whole_id = Column(ForeignKey("book.id"))
    author = relationship(
        "User", foreign_keys=[author_id], lazy="joined",
        backref=backref(
            "books", cascade="all, delete-orphan", passive_deletes=True, order_by=title,
            collection_class=set, doc="those written", info={"shown": True},
        ),
    )
    editor = relationship("User", foreign_keys=[editor_id], post_update=True, backref="edited")
    known_author = relationship(
        "User", primaryjoin="and_(Book.author_id == User.id, User.name != '')", viewonly=True,
        backref="known_books",
    )
    parts = relationship("Book", backref=backref("whole", remote_side=[id], active_history=True))
    tags = relationship("Tag", secondary=labels, backref=backref("books", lazy="dynamic"))

class Novel(Book):
    __tablename__ = "novel"
    id = Column(ForeignKey("book.id"), primary_key=True)

class Tag(Base):
    __tablename__ = "tag"
    id = Column(Integer, primary_key=True)

class Cover(Base):
    __tablename__ = "cover"
    id = Column(Integer, primary_key=True)
    book_id = Column(ForeignKey("book.id"))
    book = relationship(
        "Book", sync_backref=False, passive_updates=False,
        backref=backref("cover", uselist=False, single_parent=True, enable_typechecks=False),
    )

class Log(Base):
    __tablename__ = "log"
    id = Column(Integer, primary_key=True)
    user_id = Column(ForeignKey("user.id"))
    admin = relationship("Admin", backref=backref("logs", lazy="subquery"))
"""
)

RIGHT = (
    HEAD
    + """
class User(Base):
    __tablename__ = "user"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    follows = relationship(
        "User", secondary=following, primaryjoin="User.id == following.c.from_id",
        secondaryjoin="User.id == following.c.to_id", lazy="joined", join_depth=2, back_populates="followers",
    )
    followers = relationship(
        "User", secondary=following, primaryjoin="User.id == following.c.to_id"
        , secondaryjoin="User.id == following.c.from_id", back_populates="follows")
    books = relationship(
        "Book", foreign_keys="Book.author_id", cascade="all, delete-orphan", passive_deletes=True
        , order_by="Book.title", collection_class=set, doc="those written", info={"shown": True}
        , back_populates="author")
    edited = relationship("Book", foreign_keys="Book.editor_id", post_update=True, back_populates="editor")
    known_books = relationship(
        "Book", primaryjoin="and_(Book.author_id == User.id, User.name != '')", viewonly=True
        , back_populates="known_author")

class Admin(User):
    __tablename__ = "admin"
    id = Column(ForeignKey("user.id"), primary_key=True)
    logs = relationship("Log", lazy="subquery", back_populates="admin")

class Book(Base):
    __tablename__ = "book"
    id = Column(Integer, primary_key=True)
    title = Column(String)
    author_id = Column(ForeignKey("user.id"))
    editor_id = Column(ForeignKey("user.id"))
    whole_id = Column(ForeignKey("book.id"))
    author = relationship("User", foreign_keys=[author_id], lazy="joined", back_populates="books")
    editor = relationship("User", foreign_keys=[editor_id], post_update=True, back_populates="edited")
    known_author = relationship(
        "User", primaryjoin="and_(Book.author_id == User.id, User.name != '')", viewonly=True,
        back_populates="known_books",
    )
    parts = relationship("Book", back_populates="whole")
    whole = relationship("Book", remote_side=[id], active_history=True, back_populates="parts")
    tags = relationship("Tag", secondary=labels, back_populates="books")
    cover = relationship(
        "Cover", uselist=False, single_parent=True, enable_typechecks=False, sync_backref=False
        , passive_updates=False, back_populates="book")

class Novel(Book):
    __tablename__ = "novel"
    id = Column(ForeignKey("book.id"), primary_key=True)

class Tag(Base):
    __tablename__ = "tag"
    id = Column(Integer, primary_key=True)
    books = relationship("Book", secondary=labels, lazy="dynamic", back_populates="tags")

class Cover(Base):
    __tablename__ = "cover"
    id = Column(Integer, primary_key=True)
    book_id = Column(ForeignKey("book.id"))
    book = relationship("Book", sync_backref=False, passive_updates=False, back_populates="cover")

class Log(Base):
    __tablename__ = "log"
    id = Column(Integer, primary_key=True)
    user_id = Column(ForeignKey("user.id"))
    admin = relationship("Admin", back_populates="logs")
"""
)

# Which relationship of RIGHT is wrong, what of its text becomes what, and the difference that tells it.
WRONG = (
    ("User.known_books", ", viewonly=True", "", "viewonly: True -> False"),
    ("Book.cover", ", uselist=False", "", "uselist: False -> True"),
    ("Admin.logs", '"Log"', '"Log", uselist=False', "uselist: True -> False"),
    ("Admin.logs", ', lazy="subquery"', "", "lazy: subquery -> select"),
    ("Admin.logs", "subquery", "joined", "lazy: subquery -> joined"),
    ("Tag.books", ', lazy="dynamic"', "", "lazy: dynamic -> select"),
    ("Book.author", ', lazy="joined"', "", "lazy: joined -> select"),
    ("User.followers", '"User"', '"User", lazy="joined"', "lazy: select -> joined"),
    ("User.followers", '"User"', '"User", join_depth=2', "join_depth: None -> 2"),
    ("Tag.books", "labels", "hidden", "secondary: labels -> hidden"),
    ("Book.tags", "labels", "hidden", "secondary: labels -> hidden"),
    ("User.edited", "editor_id", "author_id", "local_remote_pairs: "),
    ("User.books", "author_id", "editor_id", "local_remote_pairs: "),
    ("User.edited", ', foreign_keys="Book.editor_id"', "", "after: configure failed: "),
    (
        "User.known_books",
        "and_(Book.author_id == User.id, User.name != '')",
        "Book.author_id == User.id",
        "primaryjoin: ",
    ),
    ("User.known_books", "!= ''", "!= 'x'", "primaryjoin: "),
    # one side only: nothing but this tells it
    ("Book.author", ', back_populates="books"', "", "back_populates: books -> None"),
    ("Admin.logs", ', back_populates="admin"', "", "back_populates: admin -> None"),
    ("Admin.logs", "admin", "admins", "after: configure failed: "),
    ("Log.admin", "back_populates", "backref", "after: configure failed: "),
    ("User.books", ", passive_deletes=True", "", "passive_deletes: True -> False"),
    ("User.books", ', cascade="all, delete-orphan"', "", "cascade: "),
    ("User.books", ", delete-orphan", "", "cascade: "),
    ("User.books", ', order_by="Book.title"', "", "order_by: ['book.title'] -> "),
    ("User.books", "Book.title", "Book.id", "order_by: ['book.title'] -> ['book.id']"),
    ("User.books", "Book.title", "Book.title.desc()", "order_by: ['book.title'] -> ['book.title DESC']"),
    # what was a name in the body of the source is another one in that of the target
    ("User.books", '"Book.title"', "name", "order_by: ['book.title'] -> ['\"user\".name']"),
    ("User.books", ", collection_class=set", "", "collection_class: builtins.set -> None"),
    ("User.books", "=set", "=list", "collection_class: builtins.set -> "),
    ("User.books", "those", "some", "doc: those written -> some written"),
    ("User.books", "True}", "False}", "info: "),
    ("User.edited", ", post_update=True", "", "post_update: True -> False"),
    ("Book.editor", ", post_update=True", "", "post_update: True -> False"),
    ("Book.cover", ", sync_backref=False", "", "sync_backref: False -> None"),
    ("Book.cover", ", passive_updates=False", "", "passive_updates: False -> True"),
    ("Book.cover", ", single_parent=True", "", "single_parent: True -> False"),
    ("Book.cover", ", enable_typechecks=False", "", "enable_typechecks: False -> True"),
    ("Book.whole", ", active_history=True", "", "active_history: True -> False"),
    ("Book.whole", ", remote_side=[id]", "", "after: configure failed: "),
    ("Book.parts", '"Book"', '"Book", remote_side=[id]', "after: configure failed: "),
    ("Tag.books", '"Book"', '"Novel"', "target: models.Book -> models.Novel"),
    ("Tag.books", '"Book"', '"Bok"', "after: configure failed: "),
)

# Mistakes which are no matter of one relationship: replacements in RIGHT, and the difference that tells it.
LOGS = '    logs = relationship("Log", lazy="subquery", back_populates="admin")\n'
SWAPPED = 'join="User.id == following.c.to_id"\n        , secondaryjoin="User.id == following.c.from_id"'
WHOLE = '    whole = relationship("Book", remote_side=[id], active_history=True, back_populates="parts")\n'
NOVEL = 'class Novel(Book):\n    __tablename__ = "novel"\n'
WRONG_IN_ALL = {
    "many-to-many not swapped": (
        {SWAPPED: SWAPPED.replace("to_id", "?").replace("from_id", "to_id").replace("?", "from_id")},
        "models.User.followers: primaryjoin: ",
    ),
    "neither side": (
        {', back_populates="admin"': "", ', back_populates="logs"': ""},
        "models.Admin.logs: reverse: ['models.Log.admin'] -> []",
    ),
    "no reverse": ({LOGS: ""}, "after: configure failed: "),
    "nothing left": (
        {LOGS: "", ', back_populates="logs"': ""},
        "models.Admin.logs: relationship: there -> missing",
    ),
    "another name": (
        {"    logs =": "    log =", ', back_populates="logs"': ', back_populates="log"'},
        "models.Admin.logs: relationship: there -> missing",
    ),
    "on the base class": (
        {LOGS: "", "    edited =": f"{LOGS}    edited ="},
        "models.User.logs: relationship: missing -> there",
    ),
    "on a subclass": (
        {WHOLE: "", NOVEL: NOVEL + WHOLE.replace("[id]", "[Book.id]")},
        "after: configure failed: ",
    ),
    "defined twice": (
        {LOGS: LOGS + LOGS.replace('lazy="subquery", ', "")},
        "models.Admin.logs: lazy: subquery -> select",
    ),
    "secondary on neither side": ({" secondary=labels,": ""}, "after: configure failed: "),
    "other secondary on both sides": (
        {"secondary=labels": "secondary=hidden"},
        "models.Tag.books: secondary: labels -> hidden",
    ),
    "a column more": ({LOGS: f"{LOGS}    more = Column(String)\n"}, "models.Admin: attributes: "),
    "a class less": ({NOVEL: "class Unmapped:\n"}, "models.Novel: class: there -> missing"),
}


def mistaken(where: str, old: str, new: str) -> str:
    """RIGHT with a text replaced in one of its relationships."""
    owner, _, name = where.partition(".")
    start = RIGHT.index(f"    {name} = ", RIGHT.index(f"class {owner}("))
    end = RIGHT.index(")\n", start)
    statement = RIGHT[start:end]
    assert old in statement
    return RIGHT[:start] + statement.replace(old, new) + RIGHT[end:]


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter of each line of SQLAlchemy."""
    return str(request.param)


@pytest.fixture(scope="module")
def before(python: str, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return described(tmp_path_factory.mktemp("before"), BEFORE, python)


def described(tree: Path, source: str, python: str) -> Graph:
    (tree / "models.py").write_text(source)
    return graph_of(tree, python=python)


def assert_found(expected: str, found: list[str]) -> None:
    assert any(line.startswith(expected) for line in found), found


def test_the_right_conversion_passes(before: Graph, python: str, tmp_path: Path) -> None:
    assert probe.compare(before, described(tmp_path, RIGHT, python)) == []


@pytest.mark.parametrize(("where", "old", "new", "expected"), WRONG, ids=lambda part: part or "nothing")
def test_a_wrong_relationship_is_caught(
    where: str, old: str, new: str, expected: str, before: Graph, python: str, tmp_path: Path
) -> None:
    found = probe.compare(before, described(tmp_path, mistaken(where, old, new), python))
    assert_found(expected if expected.startswith("after") else f"models.{where}: {expected}", found)


@pytest.mark.parametrize("mistake", WRONG_IN_ALL)
def test_a_wrong_conversion_is_caught(mistake: str, before: Graph, python: str, tmp_path: Path) -> None:
    replacements, expected = WRONG_IN_ALL[mistake]
    wrong = RIGHT
    for old, new in replacements.items():
        assert old in wrong
        wrong = wrong.replace(old, new)
    assert_found(expected, probe.compare(before, described(tmp_path, wrong, python)))
