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
follows = Table(
    "follows", Base.metadata,
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
        "User", secondary=follows, primaryjoin="User.id == follows.c.from_id",
        secondaryjoin="User.id == follows.c.to_id", lazy="joined", join_depth=2, backref="followers",
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
        "User", secondary=follows, primaryjoin="User.id == follows.c.from_id",
        secondaryjoin="User.id == follows.c.to_id", lazy="joined", join_depth=2, back_populates="followers",
    )
    followers = relationship(
        "User", secondary=follows, primaryjoin="User.id == follows.c.to_id",
        secondaryjoin="User.id == follows.c.from_id", back_populates="follows",
    )
    books = relationship(
        "Book", foreign_keys="Book.author_id", cascade="all, delete-orphan", passive_deletes=True,
        order_by="Book.title", collection_class=set, doc="those written", info={"shown": True},
        back_populates="author",
    )
    edited = relationship(
        "Book", foreign_keys="Book.editor_id", post_update=True, back_populates="editor"
    )
    known_books = relationship(
        "Book", primaryjoin="and_(Book.author_id == User.id, User.name != '')", viewonly=True,
        back_populates="known_author",
    )

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
        "Cover", uselist=False, single_parent=True, enable_typechecks=False, sync_backref=False,
        passive_updates=False, back_populates="book",
    )

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

LOGS = '    logs = relationship("Log", lazy="subquery", back_populates="admin")\n'
WHOLE = '    whole = relationship("Book", remote_side=[id], active_history=True, back_populates="parts")\n'

# What is wrong; what of RIGHT becomes what; a difference that tells it, as its beginning.
WRONG = (
    ("lost viewonly", ' viewonly=True,\n        back_populates="known_author"', ' back_populates="known_author"', "User.known_books: viewonly: True -> False"),
    ("lost uselist", '"Cover", uselist=False,', '"Cover",', "Book.cover: uselist: False -> True"),
    ("added uselist", '"Log", lazy', '"Log", uselist=False, lazy', "Admin.logs: uselist: True -> False"),
    ("copied lazy", '"parts")', '"parts", lazy="joined")', "Book.whole: lazy: select -> joined"),
    ("lost lazy", 'lazy="subquery", ', "", "Admin.logs: lazy: subquery -> select"),
    ("wrong lazy", '"subquery"', '"joined"', "Admin.logs: lazy: subquery -> joined"),
    ("lost dynamic", ' lazy="dynamic",', "", "Tag.books: lazy: dynamic -> select"),
    ("lost lazy of the forward", '[author_id], lazy="joined"', "[author_id]", "Book.author: lazy: joined -> select"),
    ("many-to-many not swapped", 'follows.c.to_id",\n        secondaryjoin="User.id == follows.c.from_id", back', 'follows.c.from_id",\n        secondaryjoin="User.id == follows.c.to_id", back', "User.followers: primaryjoin: "),
    ("copied join_depth", 'back_populates="follows"', 'back_populates="follows", join_depth=2', "User.followers: join_depth: None -> 2"),
    ("different secondary", 'secondary=labels, lazy', 'secondary=hidden, lazy', "Tag.books: secondary: labels -> hidden"),
    ("different secondary on both sides", "secondary=labels", "secondary=hidden", "Book.tags: secondary: labels -> hidden"),
    ("wrong foreign key", 'foreign_keys="Book.editor_id"', 'foreign_keys="Book.author_id"', "User.edited: primaryjoin: "),
    ("foreign keys crossed", 'foreign_keys="Book.author_id"', 'foreign_keys="Book.editor_id"', "User.books: local_remote_pairs: "),
    ("lost foreign keys", ' foreign_keys="Book.editor_id",', "", "after: configure failed: "),
    ("one-sided: forward", ', back_populates="books")\n    editor', ")\n    editor", "Book.author: back_populates: books -> None"),
    ("one-sided: reverse", '"Log", lazy="subquery", back_populates="admin"', '"Log", lazy="subquery"', "Admin.logs: back_populates: admin -> None"),
    ("neither side", "back_populates", "doc", "Admin.logs: reverse: ['models.Log.admin'] -> []"),
    ("no reverse", LOGS, "", "after: configure failed: "),
    ("no reverse, no back_populates", (LOGS, '"Admin", back_populates="logs"'), ("", '"Admin"'), "Admin.logs: relationship: there -> missing"),
    ("lost passive_deletes", " passive_deletes=True,", "", "User.books: passive_deletes: True -> False"),
    ("lost cascade", ' cascade="all, delete-orphan",', "", "User.books: cascade: "),
    ("less of the cascade", '"all, delete-orphan"', '"all"', "User.books: cascade: "),
    ("lost order_by", '        order_by="Book.title",', "       ", "User.books: order_by: ['book.title'] -> ["),
    ("wrong order_by", '"Book.title"', '"Book.id"', "User.books: order_by: ['book.title'] -> ['book.id']"),
    ("order turned round", '"Book.title"', '"Book.title.desc()"', "User.books: order_by: ['book.title'] -> ['book.title DESC']"),
    ("order by the reverse's own column", '"Book.title"', "name", "User.books: order_by: ['book.title'] -> "),
    ("lost collection_class", " collection_class=set,", "", "User.books: collection_class: builtins.set -> None"),
    ("wrong collection_class", "=set", "=list", "User.books: collection_class: builtins.set -> builtins.list"),
    ("lost doc", ' doc="those written",', "", "User.books: doc: those written -> None"),
    ("lost info", 'info={"shown": True}', "", "User.books: info: "),
    ("lost post_update", ' post_update=True, back_populates="editor"', ' back_populates="editor"', "User.edited: post_update: True -> False"),
    ("lost post_update of the forward", '[editor_id], post_update=True', "[editor_id]", "Book.editor: post_update: True -> False"),
    ("lost sync_backref", " sync_backref=False,\n        passive", "\n        passive", "Book.cover: sync_backref: False -> None"),
    ("lost passive_updates", "\n        passive_updates=False,", "", "Book.cover: passive_updates: False -> True"),
    ("lost single_parent", " single_parent=True,", "", "Book.cover: single_parent: True -> False"),
    ("lost enable_typechecks", " enable_typechecks=False,", "", "Book.cover: enable_typechecks: False -> True"),
    ("lost active_history", " active_history=True,", "", "Book.whole: active_history: True -> False"),
    ("lost criterion", "\"and_(Book.author_id == User.id, User.name != '')\", viewonly=True,\n        back_populates=\"known_author\"", "\"Book.author_id == User.id\", viewonly=True,\n        back_populates=\"known_author\"", "User.known_books: primaryjoin: "),
    ("other criterion", "User.name != '')\", viewonly=True,\n        back_populates=\"known_author\"", "User.name != 'x')\", viewonly=True,\n        back_populates=\"known_author\"", "User.known_books: primaryjoin: "),
    ("lost remote_side", " remote_side=[id],", "", "after: configure failed: "),
    ("remote_side on the wrong side", (' remote_side=[id],', '"whole")'), ("", '"whole", remote_side=[id])'), "Book.parts: direction: ONETOMANY -> MANYTOONE"),
    ("reverse on the base class", (LOGS, "    books = "), ("", LOGS + "    books = "), "User.logs: relationship: missing -> there"),
    ("reverse on a subclass", (WHOLE, 'Novel(Book):\n    __tablename__ = "novel"\n'), ("", 'Novel(Book):\n    __tablename__ = "novel"\n' + WHOLE.replace("[id]", "[Book.id]")), "after: "),
    ("reverse to a subclass", '"Book", secondary=labels, lazy', '"Novel", secondary=labels, lazy', "Tag.books: target: models.Book -> models.Novel"),
    ("forward to a subclass", '"Tag", secondary=labels, back', '"Other", secondary=labels, back', "after: configure failed: "),
    ("name misspelt on one side", 'back_populates="admin"', 'back_populates="admins"', "after: configure failed: "),
    ("both names misspelt", ("logs = ", 'back_populates="logs"'), ("log = ", 'back_populates="log"'), "Admin.log: relationship: missing -> there"),
    ("backref and pair", '"Admin", back_populates="logs"', '"Admin", backref="logs"', "after: configure failed: "),
    ("reverse defined twice", LOGS, LOGS + LOGS.replace('lazy="subquery", ', ""), "Admin.logs: lazy: subquery -> select"),
    ("column overwritten", LOGS, LOGS + "    name = Column(String)\n", "User.name"),
    ("pairs crossed", ('back_populates="author"', 'back_populates="editor"', 'back_populates="x"'), ('back_populates="x"', 'back_populates="author"', 'back_populates="editor"'), "Book.author: reverse: "),
)


def described(tree: Path, source: str, python: str) -> Graph:
    tree.mkdir()
    (tree / "models.py").write_text(source)
    return graph_of(tree, python=python)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Graph]:
    """The description of BEFORE by each interpreter, made when it is first asked for."""
    return {}
