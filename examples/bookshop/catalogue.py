"""What is on the shelves."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table, func
from sqlalchemy.orm import backref, relationship

from bookshop.base import Base

book_subjects = Table(
    "book_subject",
    Base.metadata,
    Column("book_id", ForeignKey("book.id"), primary_key=True),
    Column("subject_id", ForeignKey("subject.id"), primary_key=True),
)


class Publisher(Base):
    __tablename__ = "publisher"

    id = Column(Integer, primary_key=True)
    name = Column(String(100), nullable=False)

    # a book stays in the shop when its publisher closes
    books = relationship("Book", backref="publisher", passive_deletes=True)


class Author(Base):
    __tablename__ = "author"

    id = Column(Integer, primary_key=True)
    name = Column(String(100), nullable=False)

    def __repr__(self):
        return f"<Author {self.name}>"


class Book(Base):
    __tablename__ = "book"

    id = Column(Integer, primary_key=True)
    title = Column(String(200), nullable=False)
    year = Column(Integer)
    author_id = Column(Integer, ForeignKey("author.id"), nullable=False)
    publisher_id = Column(Integer, ForeignKey("publisher.id"))

    author = relationship(
        "Author",
        backref=backref("books", order_by=(year.desc(), id), cascade="all, delete-orphan"),
    )
    subjects = relationship(
        "Subject",
        secondary=book_subjects,
        backref=backref("books", order_by=func.lower(title)),
    )


class Subject(Base):
    __tablename__ = "subject"

    id = Column(Integer, primary_key=True)
    name = Column(String(50), nullable=False)
    parent_id = Column(Integer, ForeignKey("subject.id"))

    narrower = relationship("Subject", backref=backref("broader", remote_side=[id]))
