"""The one catalogue of what backpop says about code that it leaves as it is.

A code never changes its meaning. BP0: files, what ``check`` finds, and what is kept on purpose. BP1: the
value of ``backref``. BP2: the class at the other end. BP3: where the relationship stands. BP4: the attribute
at the other end. BP5: what it would have to say. BP6: writing. BP7: verification. BP8: pairs that do not
become a backref. BP9: notes.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One thing that backpop reports: what it is, why it matters, and what a person can do about it.

    ``example`` is source that gets it, or what stands for that where no source does.
    """

    code: str
    title: str
    why: str
    advice: str
    example: str = ""


_ALL = (
    Code(
        "BP001",
        "file cannot be read",
        "The file is missing, unreadable, or its bytes are no text in the encoding that it declares.",
        "Mend the file or its coding cookie, or leave it out.",
        "# -*- coding: no-such-encoding -*-",
    ),
    Code(
        "BP002",
        "file cannot be parsed",
        "The file is no Python that the running interpreter knows, so nothing can be said of it.",
        "Run backpop under the Python version that the file is written for, or leave the file out.",
        "print 'Python 2'",
    ),
    Code(
        "BP003",
        "attribute is made by a backref",
        "No reader, editor or type checker sees it in the class that has it, and SQLAlchemy calls backref "
        "legacy.",
        "Convert it with `backpop to-back-populates`, or keep it with a comment `# backpop: ignore`.",
        'user = relationship("User", backref="addresses")    # makes User.addresses',
    ),
    Code(
        "BP005",
        "kept on purpose",
        "A comment `# backpop: ignore`, or per-file-ignores in the configuration, wants it to stay as it is.",
        "Nothing; or take the comment away.",
        'user = relationship("User", backref="addresses")  # backpop: ignore',
    ),
    Code(
        "BP006",
        "comment names no code that there is",
        "A comment `# backpop: ignore[...]` only keeps what its codes say.",
        "Write the code as it is reported, or no brackets at all to keep whatever is said.",
        'user = relationship("User", backref="addresses")  # backpop: ignore[BP03]',
    ),
    Code(
        "BP101",
        "backref is computed",
        "The name of the attribute is only known when the program runs.",
        "Write the name as a literal or a constant, or convert this pair by hand.",
        'user = relationship("User", backref=make_name())',
    ),
    Code(
        "BP102",
        "backref object is shared",
        "A backref() object in a variable may be used twice; SQLAlchemy changes it at its first use, so what "
        "the second reverse becomes depends on the first.",
        "Write backref(...) in the relationship itself.",
        'ADDRESSES = backref("addresses")\n...\nuser = relationship("User", backref=ADDRESSES)',
    ),
    Code(
        "BP103",
        "arguments come from a splat",
        "What *args or **options pass on cannot be seen in the source.",
        "Write the arguments in the call itself.",
        'options = {"backref": "addresses"}\nuser = relationship("User", **options)',
    ),
    Code(
        "BP104",
        "reverse has no usable name",
        "A class body can only define names that are identifiers and are not private to the class; and "
        "metadata and registry have a meaning of their own in a declarative class that others derive from.",
        "Choose another name for the backref.",
        'user = relationship("User", backref="all-addresses")',
    ),
    Code(
        "BP105",
        "backref is passed to something else than relationship()",
        "The function that receives backref= is not one that is known to make a relationship.",
        "Call relationship() directly, or convert this pair by hand.",
        'user = my_relationship("User", backref="addresses")',
    ),
    Code(
        "BP106",
        "backref arguments are not valid",
        "SQLAlchemy refuses this combination of arguments when the mappers are configured.",
        "Mend the relationship first.",
        'user = relationship("User", backref="addresses", back_populates="addresses")',
    ),
    Code(
        "BP107",
        "function of the project does more than forward",
        "The relationship is made by a function of the project that does more than pass its arguments, and "
        "defaults of its own, on to relationship().",
        "Call relationship() directly, or name the function with --factory if it makes a plain relationship.",
        "def rel(target, **kwargs):\n"
        '    kwargs.pop("audited", None)\n'
        "    return relationship(target, **kwargs)\n"
        "\n"
        "\n"
        "class Address(Base):\n"
        '    user = rel("User", backref="addresses")',
    ),
    Code(
        "BP108",
        "function of the project takes no back_populates",
        "The function that is given backref= would not pass back_populates= on to relationship().",
        "Let it take back_populates, or **kwargs.",
        "def rel(target, backref):\n"
        "    return relationship(target, backref=backref)\n"
        "\n"
        "\n"
        "class Address(Base):\n"
        '    user = rel("User", backref="addresses")',
    ),
    Code(
        "BP109",
        "argument of a function of the project cannot be carried",
        "The function gives the relationship, or the backref, an argument that the reverse needs too, and "
        "that is no constant.",
        "Give this argument where the function is called, or convert this pair by hand.",
        "def rel(**kwargs):\n"
        '    return relationship("User", primaryjoin=lambda: User.id == Address.user_id, **kwargs)\n'
        "\n"
        "\n"
        "class Address(Base):\n"
        '    user = rel(backref="addresses")',
    ),
    Code(
        "BP201",
        "target class is not found",
        "No mapped class of this name is in the files that were given.",
        "Run backpop over the folder that also holds the target class.",
        'user = relationship("User", backref="addresses")    # no class User in the given paths',
    ),
    Code(
        "BP202",
        "target class is ambiguous",
        "Several classes answer to this name, and nothing tells which one is meant.",
        "Name the target by its module path, as in relationship('package.module.Class').",
        "# shop/models.py and blog/models.py both have a class User\n"
        'user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP203",
        "target class is outside of the project",
        "The target class is defined in a package that backpop cannot edit.",
        "Leave the backref: an explicit reverse would have to stand in code that is not yours.",
        'from other_package.models import User\n...\nuser = relationship(User, backref="addresses")',
    ),
    Code(
        "BP204",
        "target is computed",
        "The class at the other end is only known when the program runs.",
        "Name the class, or convert this pair by hand.",
        'user = relationship(target_of("user"), backref="addresses")',
    ),
    Code(
        "BP205",
        "target has no declarative class body",
        "The target class is a mixin, abstract, or mapped where that cannot be seen, so an attribute in "
        "its body would not become a relationship of its mapper.",
        "Convert this pair by hand, in the properties of the target's mapping.",
        'class User(Base):\n    __abstract__ = True\n...\nuser = relationship("User", backref="addresses")',
    ),
    Code(
        "BP301",
        "relationship stands in a mixin or a function of a class",
        "It becomes one relationship for each concrete class, and each needs a reverse of its own.",
        "Convert this pair by hand: one reverse for each concrete class.",
        "class HasUser:\n"
        "    @declared_attr\n"
        "    def user(cls):\n"
        '        return relationship("User", backref=name_for(cls))',
    ),
    Code(
        "BP302",
        "relationship belongs to an imperative mapping",
        "It is given to something that is not known to map a class, or not to map one certain class.",
        "Give it to map_imperatively() or mapper() in a statement of its own, or convert this pair by hand.",
        'my_mapper(Address, properties={"user": relationship(User, backref="addresses")})',
    ),
    Code(
        "BP303",
        "relationship is assigned outside of the class body",
        "Which class it belongs to, or whether its mapper is configured by then, is decided by the running "
        "program.",
        "Move it into the class body, or convert this pair by hand.",
        'Address.user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP304",
        "relationship is conditional",
        "It stands in an if, a try or a loop, so the reverse would exist under other "
        "conditions than the forward.",
        "Convert this pair by hand, both sides under the same condition.",
        'class Address(Base):\n    if WITH_USERS:\n        user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP305",
        "relationship is part of a larger expression",
        "Only a relationship that is the whole value of an attribute can be converted.",
        "Assign the relationship to an attribute of its own.",
        'user = wrapped(relationship("User", backref="addresses"))',
    ),
    Code(
        "BP306",
        "backref is passed through SQLModel",
        "SQLModel wants an annotation on every relationship, and the annotation decides what it is. This one "
        "is not proved by the foreign keys, cannot be written in the target's file, or the backref is passed "
        "in a way that cannot be followed.",
        "Write Relationship(back_populates=...) on both sides by hand, and mind the constructor.",
        "user: User = Relationship("
        'sa_relationship_kwargs={"backref": backref("addresses", collection_class=set)})',
    ),
    Code(
        "BP307",
        "relationship of a test or an example points into the project",
        "The explicit reverse would stand in the project itself, and name a class that only tests have.",
        "Leave the backref, or assign both sides after the test's class.",
        "# tests/test_users.py\n"
        "class Token(Base):\n"
        '    user = relationship("shop.models.User", backref="tokens")',
    ),
    Code(
        "BP308",
        "mappers are configured between the two classes",
        "Code at the top level of the target's module has SQLAlchemy configure all mappers before the source "
        "class exists. A backref is not missed there; an explicit reverse cannot find its class.",
        "Move that code below both classes, or into a function.",
        "class User(Base): ...\n"
        "\n"
        "configure_mappers()\n"
        "\n"
        "class Address(Base):\n"
        '    user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP309",
        "properties of a mapping are not written out",
        "The keys and values of an imperative mapping come from a variable, a splat or an expression, so it "
        "is not certain what the mapper has, and there is no place for another one.",
        "Write properties={...} in the call that maps the class.",
        "registry.map_imperatively(User, users, properties=PROPERTIES)\n"
        "registry.map_imperatively(\n"
        '    Address, addresses, properties={"user": relationship(User, backref="addresses")}\n'
        ")",
    ),
    Code(
        "BP310",
        "classes are not mapped in one block",
        "The two imperative mappings do not stand in the same list of statements, so one may be made without "
        "the other; or the target's module, which maps it, may not be done when the source's needs it.",
        "Map both classes in one function or module, or convert this pair by hand.",
        "def map_users():\n"
        "    registry.map_imperatively(User, users)\n"
        "\n"
        "def map_addresses():\n"
        "    registry.map_imperatively(\n"
        '        Address, addresses, properties={"user": relationship(User, backref="addresses")}\n'
        "    )",
    ),
    Code(
        "BP311",
        "class is mapped more than once",
        "Several calls map the class, and nothing tells which one the relationship belongs to.",
        "Convert this pair by hand.",
        "registry.map_imperatively(User, users)\n...\nregistry.map_imperatively(User, other_users)",
    ),
    Code(
        "BP312",
        "reverse cannot be written after the source",
        "A statement after the source needs the target by a name that the source's module has for it, and "
        "mappers that the class statements make; where mapper() made the target's, also class_mapper() or "
        "sqlalchemy.orm.",
        "Import the target above the source, or let --placement choose the class body.",
        '$ backpop to-back-populates --placement after-source    # address.py does not import "User"',
    ),
    Code(
        "BP315",
        "attribute is declared for type checkers in another way",
        "The target class declares the attribute that the backref makes, without a value or under if "
        "TYPE_CHECKING. On the real attribute an annotation decides what it is; this one is not proved by "
        "the foreign keys, or would make a field of a dataclass.",
        "Correct the declaration or take it away, or convert this pair by hand.",
        "class User(Base):\n"
        "    if TYPE_CHECKING:\n"
        '        addresses: Mapped["Address"]    # Address has the foreign key: there may be several',
    ),
    Code(
        "BP320",
        "classes of a mixin are not all known",
        "A relationship of a mixin needs one reverse for each class that it is mixed into; a class may be "
        "made of this mixin where it cannot be seen, or only by the running program.",
        "Write the classes as class statements that name the mixin as their base, or convert by hand.",
        "class Owned:\n"
        "    @declared_attr\n"
        "    def owner(cls):\n"
        '        return relationship("User", backref=cls.__tablename__)\n'
        "\n"
        "\n"
        'Book = type("Book", (Owned, Base), {"__tablename__": "book"})',
    ),
    Code(
        "BP321",
        "relationship of a mixin is computed",
        "What the function returns for a class is only known when the program runs.",
        "Let the function return the relationship, under conditions that only ask the class.",
        "class Owned:\n"
        "    @declared_attr\n"
        "    def owner(cls):\n"
        "        if settings.OWNERS:\n"
        '            return relationship("User", backref=cls.__tablename__)',
    ),
    Code(
        "BP313",
        "automap makes relationships of its own",
        "Where a relationship has the name that automap would choose, automap takes it over and ignores its "
        "backref; an explicit reverse would be there beside automap's own.",
        "Look at what automap makes of the class, and convert this pair by hand.",
        'Base = automap_base()\n\nclass Address(Base):\n    user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP314",
        "side of a pair stands outside of class bodies",
        "What is assigned after a class, added to a mapper or written in an imperative mapping may be there "
        "for the order of statements; to-backref only takes what stands in class bodies.",
        "Leave the pair as it is, or write the backref by hand.",
        'User.addresses = relationship("Address", back_populates="user")',
    ),
    Code(
        "BP401",
        "name is taken at the other end",
        "The target class, or one that it shares attributes with, already has an attribute of this name.",
        "Rename one of the two.",
        "class User(Base):\n"
        "    addresses = Column(String)\n"
        "...\n"
        'user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP402",
        "two backrefs make the same attribute",
        "Two relationships give their target a reverse of the same name; SQLAlchemy refuses that.",
        "Give each a name of its own.",
        'home = relationship("User", foreign_keys=home_id, backref="addresses")\n'
        'work = relationship("User", foreign_keys=work_id, backref="addresses")',
    ),
    Code(
        "BP403",
        "reverse is already there, and differs",
        "The target class has an explicit relationship of this name that is not what the backref would make.",
        "Decide which of the two is right; then drop the backref.",
        "class User(Base):\n"
        '    addresses = relationship("Address", lazy="dynamic")\n'
        "...\n"
        'user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP404",
        "reverse is already there, and does not point back",
        "The target class has an explicit relationship of this name, whose back_populates does not name the "
        "relationship that has the backref. SQLAlchemy refuses the two together.",
        "Give the reverse back_populates=, if it is the other side; then the backref can be converted.",
        "class User(Base):\n"
        '    addresses = relationship("Address")\n'
        "\n"
        "\n"
        "class Address(Base):\n"
        '    user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP405",
        "both sides have a backref",
        "Each of two relationships has a backref that would make the other one. SQLAlchemy refuses that.",
        "Remove one of the two relationships, or give both back_populates instead.",
        "class User(Base):\n"
        '    addresses = relationship("Address", backref="user")\n'
        "\n"
        "\n"
        "class Address(Base):\n"
        '    user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP406",
        "another relationship already names this one",
        "A relationship of the target has back_populates with the name of the one that has the backref. "
        "SQLAlchemy joins all three, and what they synchronise depends on which is configured first.",
        "Keep one of the two reverses: give the relationship back_populates instead of the backref, or take "
        "back_populates from the other one.",
        "class User(Base):\n"
        '    all_addresses = relationship("Address", back_populates="user")\n'
        "\n"
        "\n"
        "class Address(Base):\n"
        '    user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP501",
        "argument cannot be moved to the target",
        "The expression means something only where it stands, and cannot be said in the target's class body.",
        "Convert this pair by hand, or write the argument as a string first.",
        'user = relationship("User", backref=backref("addresses", order_by=[by(x) for x in KEYS]))',
    ),
    Code(
        "BP502",
        "join cannot be mirrored",
        "No explicit relationship has exactly the join that the backref has.",
        "Convert this pair by hand and check the SQL that it emits.",
        'user = relationship("User", backref="addresses",\n'
        '    primaryjoin="and_(remote(User.id) == foreign(Address.user_id), User.active)")',
    ),
    Code(
        "BP503",
        "joined inheritance makes the reverse join ambiguous",
        "The source's own table and that of its base class both refer to the target.",
        "Give the relationship a primaryjoin first.",
        "class Manager(Employee):    # employee.company_id and manager.company_id\n"
        '    company = relationship("Company", backref="managers")',
    ),
    Code(
        "BP504",
        "argument needs an import that could close a cycle",
        "The target's module would have to import a module that imports it.",
        "Move the object to a module that both can import.",
        "from shop.collections import by_kind    # which imports shop.user\n"
        "...\n"
        'user = relationship("User", backref=backref("phones", collection_class=by_kind))',
    ),
    Code(
        "BP505",
        "name means something else at the target",
        "A name that the reverse needs is bound to something else in the target's module or class.",
        "Rename one of the two.",
        '# user.py\ndef relationship(): ...\n# address.py\nuser = relationship("User", backref="addresses")',
    ),
    Code(
        "BP506",
        "classes may not share a registry",
        "Names in strings are looked up in one declarative registry; these classes may not share theirs.",
        "Convert this pair by hand, with class objects.",
        "class Address(OneBase):\n"
        '    user = relationship(User, backref="addresses")    # User is of OtherBase',
    ),
    Code(
        "BP601",
        "file cannot be changed",
        "The file, or the folder that holds it, does not allow writing, so neither side is written.",
        "Make it writable, or leave it out.",
        "$ chmod a-w shop/user.py",
    ),
    Code(
        "BP602",
        "source layout cannot be rewritten",
        "The statement is written in a way that backpop does not edit without risk.",
        "Put the statement on lines of its own.",
        'x = 1; user = relationship("User", backref="addresses")',
    ),
    Code(
        "BP701",
        "conversion changes the mapper graph",
        "SQLAlchemy itself, asked with and without the conversion, does not map the same.",
        "Look at the difference: keep the pair as it is, or convert it by hand if the difference is welcome. "
        "--no-verify-alone accepts that a module can no longer be used when nothing else is imported.",
        'Address.user.cascade: was "save-update, merge", would be "save-update"',
    ),
    Code(
        "BP702",
        "conversion is not covered by the verification",
        "The modules that were imported to verify do not map both classes from these files, so nothing is "
        "proved of this pair.",
        "Name the module that holds the classes as well, or convert this pair without verifying it.",
        "$ backpop to-back-populates --verify shop.users    # Address is in shop.addresses",
    ),
    Code(
        "BP801",
        "pair is one-sided",
        "Only one of the two relationships names the other, or the other does not exist: changes are then "
        "synchronised in one direction only, and SQLAlchemy may say nothing.",
        "Give both sides back_populates, each naming the other.",
        "class Address(Base):\n"
        '    user = relationship("User", back_populates="addresses")\n'
        "\n"
        "class User(Base):\n"
        '    addresses = relationship("Address")',
    ),
    Code(
        "BP802",
        "other side is of another class",
        "The two relationships do not refer to exactly the class that the other one is written in; a backref "
        "always does.",
        "Leave the pair as it is, or name the same classes on both sides.",
        "class Manager(Employee):\n"
        '    company = relationship("Company", back_populates="staff")\n'
        "\n"
        "class Company(Base):\n"
        '    staff = relationship("Employee", back_populates="company")',
    ),
    Code(
        "BP803",
        "more than two relationships share a name",
        "A backref belongs to one relationship; several cannot share the attribute at the other end.",
        "Leave them as they are, or give each a name of its own.",
        'home = relationship("User", back_populates="addresses")\n'
        'work = relationship("User", back_populates="addresses")',
    ),
    Code(
        "BP804",
        "joins do not mirror",
        "A backref takes the join of its forward; the two sides of this pair do not say the same join.",
        "Give both sides the same join, or keep the side that gives one, with --keep.",
        'user = relationship("User", primaryjoin="...", back_populates="addresses")\n'
        'addresses = relationship("Address", back_populates="user")',
    ),
    Code(
        "BP805",
        "relationship is annotated",
        "Typed models name both sides, for type checkers and readers; those do not see what a backref makes.",
        "Leave the pair as it is, or take the removed side's annotation away with --drop-annotations.",
        'addresses: Mapped[list["Address"]] = relationship(back_populates="user")',
    ),
    Code(
        "BP806",
        "relationship is a dataclass field",
        "It is part of the constructor, the representation or the comparison of the class; what a backref "
        "makes is not.",
        "Leave the pair as it is.",
        "class User(MappedAsDataclass, Base):\n"
        '    addresses: Mapped[list["Address"]] = relationship(back_populates="user", init=False)',
    ),
    Code(
        "BP807",
        "comment or docstring would be lost",
        "What is written about the removed side would go with it.",
        "Move the text elsewhere first, or keep this side, with --keep.",
        '# newest first\naddresses = relationship("Address", back_populates="user")',
    ),
    Code(
        "BP808",
        "relationship is decorated",
        "It is what a function of the class returns, and its decorator may do more than that.",
        "Write it as a plain attribute first.",
        '@declared_attr\ndef addresses(cls):\n    return relationship("Address", back_populates="user")',
    ),
    Code(
        "BP809",
        "relationship belongs to a mixin",
        "It becomes one relationship for each concrete class, and each has a pair of its own.",
        "Leave the pairs as they are.",
        "class HasUser:\n"
        "    @declared_attr\n"
        "    def user(cls):\n"
        '        return relationship("User", back_populates="addresses")',
    ),
    Code(
        "BP810",
        "no backref is exactly this",
        "A viewonly reverse of a forward with passive_updates=False inherits that and warns, or overrides it "
        "and warns of that.",
        "Keep the other side, with --keep.",
        'user = relationship("User", passive_updates=False, back_populates="addresses")\n'
        'addresses = relationship("Address", viewonly=True, back_populates="user")',
    ),
    Code(
        "BP811",
        "attribute is used in the class body",
        "A later line of the class body reads it; a backref makes it only when the mappers are configured.",
        "Keep this side, with --keep, or move what uses it.",
        'addresses = relationship("Address", back_populates="user")\n'
        "streets = association_proxy_of(addresses)",
    ),
    Code(
        "BP812",
        "back_populates is computed",
        "The name of the attribute at the other end is only known when the program runs.",
        "Write the name as a literal.",
        'user = relationship("User", back_populates=make_name())',
    ),
    Code(
        "BP813",
        "relationship is SQLModel's",
        "The reverse of a backref is no SQLModel relationship: the constructor and the schema would lose it.",
        "Leave the pair as it is.",
        'addresses: list["Address"] = Relationship(back_populates="user")',
    ),
    Code(
        "BP814",
        "argument cannot be given to backref()",
        "The expression means something only where it stands, or the two sides are made by functions with "
        "defaults of their own.",
        "Keep this side, with --keep, or write the argument as a string first.",
        'addresses = relationship("Address", order_by=[by(x) for x in KEYS], back_populates="user")',
    ),
    Code(
        "BP815",
        "back_populates is passed to something else than relationship()",
        "The function that receives back_populates= is not one that is known to make a relationship.",
        "Call relationship() directly, or leave the pair as it is.",
        'user = my_relationship("User", back_populates="addresses")',
    ),
    Code(
        "BP901",
        "target does not import the source",
        "With a backref, a program that never imports the source's module can still use the target; with an "
        "explicit reverse SQLAlchemy must be able to find the source's class when the target is first used.",
        "Make sure that whatever imports the target's module also imports the source's, as the __init__ of a "
        "models package does.",
        '# user.py has the new User.addresses = relationship("Address", ...),\n'
        "# and a program that imports user.py alone never sees address.py",
    ),
    Code(
        "BP902",
        "attribute is read before the mappers are configured",
        "What a backref makes is no attribute of the class until the mappers are configured; a module that "
        "reads it while it is imported may fail.",
        "Keep the pair, or call configure_mappers() before.",
        "QUERY = select(User).options(joinedload(User.addresses))    # at the top of a module",
    ),
    Code(
        "BP903",
        "attribute is read from the class",
        "What a backref makes is no attribute of the class until the mappers are configured: by the first "
        "query, the first instance, or configure_mappers().",
        "Make sure that one of these comes first, as it does in most programs.",
        "def load():\n    return select(User).options(joinedload(User.addresses))",
    ),
    Code(
        "BP904",
        "pair is many-to-many",
        "By many guidelines such pairs stay explicit.",
        "Collapse them as well with --many-to-many.",
        'tags = relationship("Tag", secondary=post_tags, back_populates="posts")',
    ),
    Code(
        "BP905",
        "removed side has arguments of its own",
        "By many guidelines such pairs stay explicit; backref() can carry the arguments.",
        "Collapse them as well with --options.",
        'addresses = relationship("Address", lazy="selectin", back_populates="user")',
    ),
    Code(
        "BP906",
        "reverse is not annotated",
        "An annotation decides what the relationship is. Where the foreign keys do not prove that it is "
        "right, or where it would make a dataclass field, the reverse is written without one: that is always "
        "exact, but type checkers see Any.",
        "Annotate it by hand if you know better.",
        "class User(MappedAsDataclass, Base):\n"
        '    addresses = relationship("Address", back_populates="user")    # as backpop writes it',
    ),
    Code(
        "BP907",
        "constructor takes the reverse",
        "SQLModel's constructor ignores, without a word, the attribute that a backref makes. The explicit "
        "reverse is a relationship of SQLModel's own, which the constructor sets.",
        "Look for code that passes the attribute to the constructor: it takes effect now.",
        "User(addresses=[Address()])    # had no effect",
    ),
    Code(
        "BP908",
        "backref of a relationship is read",
        "The backref of a relationship is what it was given, a name or more. It is None where both sides are "
        "written out.",
        "Read back_populates there: SQLAlchemy sets it on both sides of a pair, however that is spelt.",
        "name = inspect(User).relationships.addresses.backref",
    ),
)

CODES: dict[str, Code] = {code.code: code for code in _ALL}
