"""Those who buy."""

from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import backref, relationship

from bookshop.base import Base


class Customer(Base):
    __tablename__ = "customer"

    id = Column(Integer, primary_key=True)
    name = Column(String(100), nullable=False)


class Profile(Base):
    __tablename__ = "profile"

    id = Column(Integer, primary_key=True)
    customer_id = Column(Integer, ForeignKey("customer.id"), nullable=False, unique=True)
    newsletter = Column(Integer, default=0)

    customer = relationship(Customer, backref=backref("profile", uselist=False))


class Address(Base):
    __tablename__ = "address"

    id = Column(Integer, primary_key=True)
    customer_id = Column(Integer, ForeignKey("customer.id"), nullable=False)
    street = Column(String(100), nullable=False)

    customer = relationship(Customer, backref=backref("addresses", lazy="selectin"))
