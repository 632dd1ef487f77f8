"""The styles of a pair, and what a user decides about those that become a backref."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Style(Enum):
    """How two relationships are told that they belong together."""

    BACKREF = "backref"
    BACK_POPULATES = "back_populates"
    ONE_SIDED = "one-sided"
    NONE = "no-counterpart"


class Annotate(Enum):
    """Whether a reverse is annotated: in typed files, never, or wherever SQLAlchemy 2 maps the class."""

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


class Placement(Enum):
    """Where the reverse of a declarative class is written.

    In the body of its class; after the source's; or in the body, and after the source where the body will
    not do.
    """

    AUTO = "auto"
    CLASS = "class"
    AFTER_SOURCE = "after-source"


class Keep(Enum):
    """Which side of a pair stays: the one with arguments, that of the collection, or that of the scalar."""

    CONFIGURED = "configured"
    COLLECTION = "collection"
    SCALAR = "scalar"


class Policy(NamedTuple):
    """Which pairs become a backref: simple ones, and what else was asked for."""

    keep: Keep = Keep.CONFIGURED
    options: bool = False
    many_to_many: bool = False
    drop_annotations: bool = False


ALL = "ALL"
"""In the place of codes: whatever is said."""


class FileRule(NamedTuple):
    """What is not wanted of the files that a gitignore pattern matches: codes, or ALL."""

    pattern: str
    codes: frozenset[str]
