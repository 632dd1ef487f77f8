"""The models of a bookshop, as they grew over the years: mostly untyped, with backrefs everywhere."""

from bookshop.base import Base
from bookshop.catalogue import Author, Book, Publisher, Subject
from bookshop.customers import Address, Customer, Profile
from bookshop.orders import Order, OrderLine
from bookshop.reviews import Review

__all__ = [
    "Address",
    "Author",
    "Base",
    "Book",
    "Customer",
    "Order",
    "OrderLine",
    "Profile",
    "Publisher",
    "Review",
    "Subject",
]
