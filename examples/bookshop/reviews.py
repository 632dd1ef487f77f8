"""What customers say. The newest part: it has types already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, backref, mapped_column, relationship

from bookshop.base import Base

if TYPE_CHECKING:
    from bookshop.catalogue import Book
    from bookshop.customers import Customer


class Review(Base):
    __tablename__ = "review"

    id: Mapped[int] = mapped_column(primary_key=True)
    stars: Mapped[int] = mapped_column()
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))

    book: Mapped[Book] = relationship(backref=backref("reviews", order_by=stars.desc()))
    customer: Mapped[Customer] = relationship(backref="reviews")
