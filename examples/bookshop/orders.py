"""What was bought, and where it went."""

from sqlalchemy import Column, ForeignKey, Integer
from sqlalchemy.orm import backref, relationship

from bookshop.base import Base


class Order(Base):
    __tablename__ = "order"

    id = Column(Integer, primary_key=True)
    customer_id = Column(Integer, ForeignKey("customer.id"), nullable=False)
    billing_id = Column(Integer, ForeignKey("address.id"))
    shipping_id = Column(Integer, ForeignKey("address.id"))

    customer = relationship("Customer", backref=backref("orders", order_by=id.desc()))
    billing = relationship("Address", foreign_keys=[billing_id], backref="billed")
    # shipping is changed on the order alone
    shipping = relationship(
        "Address",
        primaryjoin="Order.shipping_id == Address.id",
        backref=backref("shipped", viewonly=True),
    )


class OrderLine(Base):
    __tablename__ = "order_line"

    id = Column(Integer, primary_key=True)
    order_id = Column(Integer, ForeignKey("order.id"), nullable=False)
    book_id = Column(Integer, ForeignKey("book.id"), nullable=False)
    copies = Column(Integer, default=1)

    order = relationship(
        "Order",
        backref=backref(
            "lines",
            order_by=id,
            cascade="all, delete-orphan",  # a line is nothing without its order
        ),
    )
    book = relationship("Book", backref="order_lines", innerjoin=True)
