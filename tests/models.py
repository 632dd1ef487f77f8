"""Small declarative projects as source text, with backrefs of every kind, for Hypothesis.

Texts are built from templates. ``@name`` is a name of SQLAlchemy, spelt as the module imports it;
``<Class.attribute>`` a column, and ``<table.c.column>`` one of an association table, spelt bare, qualified or
in a string as the place demands; a tab at the start of a line is one step of indentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from environments import ASKED
from graph import sqlalchemy_of
from hypothesis import strategies as st

_T = TypeVar("_T")
_ORM = {"relationship", "backref", "foreign", "remote"}
_ORM |= {"DeclarativeBase", "Mapped", "mapped_column", "declared_attr"}
# Names that a module which does not use them may bind to something of its own.
_SHADOWS = {"and_", "asc", "desc", "func", "nullslast", "cast", "foreign", "String", "LAZY", "OPTIONS", "Bag"}
_TYPES = {"int": "Integer", "str": "String"}
_NAMES = ("Author", "Book", "Shop", "Tag")
_LABEL = "def label(name, ending='s'):\n\treturn name.lower() + ending\n\n\n"
_PRELUDE = 'LAZY = "select"\nOPTIONS = {"k": "v"}\n\n\nclass Bag(list):\n\tpass\n'


@dataclass(frozen=True)
class Sources:
    """A project: its files by path, and how many backrefs they hold."""

    files: dict[str, bytes]
    backrefs: int

    def __repr__(self) -> str:
        parts = [f"--- {path}\n{data.decode()}" for path, data in self.files.items()]
        return "\n".join([f"<{self.backrefs} backrefs>", *parts])


@contextmanager
def written(project: Sources) -> Iterator[Path]:
    """A folder that holds the project."""
    with TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        for name, data in project.files.items():
            (tree / name).write_bytes(data)
        yield tree


@dataclass(eq=False)
class Model:
    """A class to be written."""

    name: str
    module: int
    rank: int
    parent: Model | None = None
    single: bool = False
    concrete: bool = False
    mixin: Mixin | None = None
    functions: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    table_args: list[str] = field(default_factory=list)
    relationships: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        return self.parent.table if self.parent and self.single else f"{self.name.lower()}s"

    @property
    def line(self) -> list[Model]:
        """The class and those that it derives from."""
        return [self, *(self.parent.line if self.parent and not self.concrete else ())]

    def owner(self, attribute: str) -> Model:
        """The class that defines a column."""
        return next(made for made in self.line if attribute in made.columns)


@dataclass(eq=False)
class Association:
    """A table between two classes, to be written above the class of this rank."""

    name: str
    module: int
    rank: int
    columns: list[str]


@dataclass(eq=False)
class Mixin:
    """A class with a relationship for whichever class derives from it, at the top of its module."""

    name: str
    module: int
    text: str


class _Writer:
    """Draws a project piece by piece."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], modern: bool) -> None:
        self.draw = draw
        self.modern = modern
        self.models: dict[str, Model] = {}
        self.tables: dict[str, Association] = {}
        self.mixin: Mixin | None = None
        self.collections: set[int] = set()
        self.numbers = count(1)
        self.backrefs = 0
        self.indent = self.any_of("    ", "  ", "\t")
        self.quote = self.any_of('"', "'")
        self.modules = self.any_of(1, 1, 2, 3)
        self.local = self.modules == 1 and self.rarely()
        self.typed = modern and self.maybe()
        self.flask = modern and self.rarely()
        ways = ("flask",) if self.flask else ("names", "names", "sa", "star", "alias")
        self.imports = [self.any_of(*ways) for _ in range(self.modules)]
        self.constants = [self.maybe() and not self.local for _ in range(self.modules)]
        self.extra: list[list[str]] = [[] for _ in range(self.modules)]
        self.used: list[set[str]] = [set() for _ in range(self.modules)]
        self.needed: list[set[tuple[int, str]]] = [set() for _ in range(self.modules)]

    # -- drawing

    def any_of(self, *values: _T) -> _T:
        value: _T = self.draw(st.sampled_from(values))
        return value

    def maybe(self) -> bool:
        return self.any_of(False, True)

    def rarely(self) -> bool:
        return self.any_of(False, False, False, False, True)

    # -- spelling

    def string(self, text: str) -> str:
        if self.quote not in text:
            return f"{self.quote}{text}{self.quote}"
        other = "'" if self.quote == '"' else '"'
        return repr(text) if other in text else f"{other}{text}{other}"

    def names(self, text: str, module: int) -> str:
        """The text with its names of SQLAlchemy spelt as the module imports them."""
        prefixes = {"sa": ("sa.", "sa.orm."), "alias": ("", "orm."), "flask": ("db.", "db.")}
        plain, orm = prefixes.get(self.imports[module], ("", ""))

        def spelt(match: re.Match[str]) -> str:
            name = match[1]
            if name == "attribute_mapped_collection":  # whose place differs from version to version
                self.collections.add(module)
                return name
            if name == "declared_attr" and not self.modern:
                return name
            self.used[module].add(name)
            return f"{orm if name in _ORM else plain}{name}"

        return re.sub(r"@(\w+)", spelt, text)

    def sees(self, source: Model, name: str, *, now: bool) -> bool:
        """Whether a class body, at once or later, can name a class or a table; imports it if need be."""
        thing = self.models.get(name) or self.tables[name]
        if thing.module == source.module:
            if not now:
                return True
            return thing.rank < source.rank if isinstance(thing, Model) else thing.rank <= source.rank
        return thing.module < source.module

    def spell(self, source: Model, template: str) -> str:
        """An expression in the class body of ``source``: as it is, as a string, or as a lambda."""
        owners = set(re.findall(r"<(\w+)\.[\w.]+>", template))
        qualified = self.names(re.sub(r"<(.*?)>", r"\1", template), source.module)
        styles = ["string"]
        if all(self.sees(source, owner, now=False) for owner in owners):
            styles += ["lambda", "function"] if self.rarely() else ["lambda"]
        bare = {source.name} & owners
        if all(self.sees(source, owner, now=True) for owner in owners - bare):
            styles += ["expression", "expression"]
        style = self.any_of(*styles)
        if style == "string":
            return self.string(re.sub(r"@", "", re.sub(r"<(.*?)>", r"\1", template)))
        for owner in owners - bare:
            self.need(source, owner)
        if style == "lambda":
            return f"lambda: {qualified}"
        if style == "function":
            name = f"value_{next(self.numbers)}"
            source.functions.append(f"def {name}():\n\treturn {qualified}")
            return name

        def column(match: re.Match[str]) -> str:
            owner, _, attribute = match[1].partition(".")
            if owner not in bare:
                return match[1]
            defining = source.owner(attribute)
            if defining is source:
                return attribute
            self.need(source, defining.name)
            return f"{defining.name}.{attribute}"

        return self.names(re.sub(r"<(.*?)>", column, template), source.module)

    def need(self, source: Model, name: str) -> None:
        thing = self.models.get(name) or self.tables[name]
        if thing.module != source.module:
            self.needed[source.module].add((thing.module, name))

    def module_name(self, number: int) -> str:
        return "models" if self.modules == 1 else f"part{number}"

    # -- classes and columns

    def make_models(self) -> None:
        names = self.draw(st.permutations(_NAMES))[: self.any_of(2, 2, 3, 4)]
        cuts = sorted(self.any_of(*range(self.modules)) for _ in names)
        for rank, (name, module) in enumerate(zip(names, cuts, strict=True)):
            parent, kind = None, ""
            if rank and self.rarely():
                parent = self.any_of(*self.models.values())
                kind = self.any_of("single", "joined", "single", "joined", "concrete")
            single = kind == "single"
            model = Model(name, module, rank, parent, single, kind == "concrete")
            self.models[name] = model
            if parent is None or kind == "concrete":
                self.column(model, "id", "int", key=True)
                self.column(model, "name", "str")
                self.column(model, "kind", "str")
            elif not single:
                self.column(model, "id", "int", refers=f"{parent.table}.id", key=True)
            if parent is None or not single:
                self.column(model, "position", "int")
            if parent is not None and parent.module != module:
                self.needed[module].add((parent.module, parent.name))

    def column(self, model: Model, name: str, kind: str, refers: str = "", key: bool = False) -> str:
        """Add a column to a class; returns its name in the table."""
        stored = f"{name}_x" if not key and self.rarely() else name
        arguments = [self.string(stored)] if stored != name else []
        typed = self.typed and self.maybe()
        if not typed:
            arguments.append(f"@{_TYPES[kind]}")
        if refers:
            arguments.append(f"@ForeignKey({self.string(refers)})")
        if key:
            arguments.append("primary_key=True")
        if typed:
            hint = kind if key else f"Optional[{kind}]"
            text = f"{name}: @Mapped[{hint}] = @mapped_column({', '.join(arguments)})"
        else:
            text = f"{name} = @{'mapped_column' if self.typed else 'Column'}({', '.join(arguments)})"
        model.columns[name] = text
        return stored

    def foreign_key(self, holder: Model, other: Model, real: bool = True) -> str:
        name = f"{other.name.lower()}_{next(self.numbers)}_id"
        self.column(holder, name, "int", refers=f"{other.table}.id" if real else "")
        return name

    # -- relationships

    def make_relationships(self) -> None:
        ends = []
        for _ in range(self.any_of(1, 1, 2, 3)):
            source = self.any_of(*self.models.values())
            target = self.any_of(*self.models.values())
            related = set(source.line) & set(target.line)
            many = (related and source is not target) or self.any_of(False, False, True)
            ends.append((source, target, many))
        pairs = [{s.line[-1], t.line[-1]} for s, t, many in ends if not many]
        pairs += [{heir, target} for heir, target in self.make_mixin()]
        for source, target, many in ends:
            alike = pairs.count({source.line[-1], target.line[-1]})
            tables = len({source.table, target.table, source.line[-1].table, target.line[-1].table})
            explicit = (alike > 1 and not (tables > 2 and self.rarely())) or self.maybe()
            if many:
                self.many_to_many(source, target)
            elif source is target:
                self.self_referential(source, alone=alike == 1)
            else:
                self.direct(source, target, explicit)

    def make_mixin(self) -> list[tuple[Model, Model]]:
        """Perhaps a mixin with a relationship; returns the pairs of classes that it connects."""
        plain = [model for model in self.models.values() if model.parent is None]
        if self.local or len(plain) < 2 or not self.rarely():
            return []
        target, *heirs = self.draw(st.permutations(plain))
        module = self.any_of(*range(min(heir.module for heir in heirs) + 1))
        self.mixin = mixin = Mixin("Owned", module, "")
        for heir in heirs:
            heir.mixin = mixin
            if heir.module != module:
                self.needed[heir.module].add((module, mixin.name))
        sees = target.module == module
        joins = ["foreign_keys=cls.owner_id", "foreign_keys=[cls.owner_id]"]
        joins.append(f"primaryjoin=lambda: {target.name}.id == cls.owner_id")
        text = self.string(f"{target.name}.id == %s.owner_id")
        joins.append(f"primaryjoin={text} % cls.__name__, foreign_keys=cls.owner_id")
        names = [
            "cls.__name__.lower() + '_owned'",
            "'%s_owned' % cls.__tablename__",
            "f'{cls.__name__}_owned'",
        ]
        way = self.any_of("plain", "plain", "local", "function", "branch")
        name = self.any_of(*names)
        lead = ""
        if way == "local":
            lead = f"name = {name}\n\t\tname += '_x'\n\t\t"
            name = "name"
        elif way == "function":
            name = f"label(cls.__tablename__, ending={self.string('_owned')})"
        orders = ["cls.name", "lambda: cls.name.desc()", "cls.id"]
        options = [f"order_by={self.any_of(*orders)}"] if self.maybe() else []
        options += ["lazy='joined'"] if self.rarely() else []
        backref = self.call("@backref", [name, *options]) if options or self.maybe() else name
        join = self.any_of(*joins) if sees else self.any_of(*joins[:2])
        text = self.call("@relationship", [self.string(target.name), join, f"backref={backref}"])
        if way == "branch":
            test = f"cls.__name__ == {self.string(heirs[0].name)}"
            lead = f"if {test}:\n\t\t\treturn @relationship({self.string(target.name)}, {join}, "
            lead += f"backref={self.string('first_owned')})\n\t\t"
            self.backrefs += 1
        refers = self.string(f"{target.table}.id")
        mixin.text = (
            f"{_LABEL if way == 'function' else ''}"
            f"class {mixin.name}:\n\t@@declared_attr\n\tdef owner_id(cls):\n"
            f"\t\treturn @Column(@Integer, @ForeignKey({refers}))\n\n"
            f"\t@@declared_attr\n\tdef owner(cls):\n"
            f"\t\t{lead}return {self.indented(self.indented(text))}"
        )
        self.backrefs += 1
        return [(heir, target) for heir in heirs]

    def direct(self, source: Model, target: Model, explicit: bool) -> None:
        """One-to-many or many-to-one between two classes."""
        to_one = self.maybe()
        holder, other = (source, target) if to_one else (target, source)
        shape = "plain"
        if explicit:
            shape = self.any_of("keys", "join", "join and keys", "extra", "foreign", "remote", "composite")
        key = self.foreign_key(
            holder, other, shape not in {"foreign", "remote", "join and keys", "composite"}
        )
        one, many = f"<{other.name}.id>", f"<{holder.name}.{key}>"
        joins: dict[str, str] = {}
        match shape:
            case "keys":
                joins["foreign_keys"] = self.listed(many)
            case "join":
                joins["primaryjoin"] = self.equal(one, many)
            case "join and keys":
                joins = {"primaryjoin": self.equal(one, many), "foreign_keys": self.listed(many)}
            case "extra":
                joins["primaryjoin"] = f"@and_({self.equal(one, many)}, {self.criterion(source, target)})"
            case "foreign":
                joins["primaryjoin"] = self.equal(one, f"@foreign({many})")
            case "remote":
                joins["primaryjoin"] = self.remote_join(source, target, holder, one, many)
            case "composite":
                joins = self.composite(holder, other, key)
        options: dict[str, str] = {}
        if to_one and self.rarely() and shape != "remote":
            joins["remote_side"] = self.listed(one)
        self.write(source, target, to_one, not to_one, joins, options)

    def composite(self, holder: Model, other: Model, key: str) -> dict[str, str]:
        """Make ``key`` the second half of a foreign key of two columns; returns the join arguments."""
        one, many = f"<{other.name}.id>", f"<{holder.name}.{key}>"
        if other.owner("name") is not other or (holder.parent and holder.single):
            return {"primaryjoin": self.equal(one, f"@foreign({many})")}
        attribute = f"text_{next(self.numbers)}"
        own = self.strings([self.column(holder, attribute, "str"), self.stored(holder, key)])
        goal = self.strings([f"{other.table}.{self.stored(other, name)}" for name in ("name", "id")])
        holder.table_args.append(f"@ForeignKeyConstraint({own}, {goal})")
        if self.maybe():
            return {}
        first = self.equal(f"<{other.name}.name>", f"<{holder.name}.{attribute}>")
        return {"primaryjoin": f"@and_({first}, {self.equal(one, many)})"}

    def remote_join(self, source: Model, target: Model, holder: Model, one: str, many: str) -> str:
        marked = f"@foreign({many})"
        join = self.equal(f"@remote({one})", marked)
        if holder is target:
            join = self.equal(one, self.any_of(f"@remote({marked})", f"@foreign(@remote({many}))"))
        if self.maybe():
            mine = self.any_of(*self.criteria(f"<{source.name}.kind>"))
            theirs = self.any_of(*self.criteria(f"@remote(<{target.name}.kind>)"))
            join = f"@and_({join}, {self.any_of(mine, theirs)})"
        return join

    def self_referential(self, model: Model, *, alone: bool) -> None:
        to_one = self.maybe()
        shape = self.any_of("plain", "plain", "keys", "join", "foreign", "remote", "remote criterion")
        key = self.foreign_key(model, model, shape not in {"foreign", "remote", "remote criterion"})
        one, many = f"<{model.name}.id>", f"<{model.name}.{key}>"
        if shape == "plain" and not alone:
            shape = "keys"
        joins: dict[str, str] = {}
        options: dict[str, str] = {}
        if shape == "keys":
            joins["foreign_keys"] = self.listed(many)
        elif shape == "join":
            joins["primaryjoin"] = self.equal(one, many)
            if not alone:
                joins["foreign_keys"] = self.listed(many)
        elif shape == "foreign":
            joins["primaryjoin"] = self.equal(one, f"@foreign({many})")
        elif shape != "plain":
            marked = f"@foreign({many})"
            join = self.equal(f"@remote({one})", marked) if to_one else self.equal(one, f"@remote({marked})")
            if shape == "remote criterion":
                join = f"@and_({join}, {self.any_of(*self.criteria(f'<{model.name}.kind>'))})"
            joins["primaryjoin"] = join
        if "remote" not in shape:
            sides = {True: one, False: many}
            if to_one or self.rarely():
                joins["remote_side"] = self.listed(sides[to_one])
            if not to_one or self.rarely():
                options["remote_side"] = self.listed(sides[not to_one])
        self.write(model, model, to_one, not to_one, joins, options)

    def many_to_many(self, source: Model, target: Model) -> None:
        number = next(self.numbers)
        name = f"link_{number}"
        module = self.any_of(*range(self.modules))
        ranks = [model.rank for model in self.models.values() if model.module <= module]
        rank = self.any_of(*range(max(ranks, default=-1) + 2))
        earlier = [model.rank for model in self.models.values() if model.module < module]
        rank = max([rank, *(one + 1 for one in earlier)])
        ends = [f"@ForeignKey({self.string(f'{model.table}.id')})" for model in (source, target)]
        columns = [
            f"@Column({self.string(end)}, @Integer, {refers}, primary_key=True)"
            for end, refers in zip(("near", "far"), ends, strict=True)
        ]
        columns.append(f"@Column({self.string('rank')}, @Integer)")
        self.tables[name] = Association(name, module, rank, columns)
        first = self.equal(f"<{source.name}.id>", f"<{name}.c.near>")
        second = self.equal(f"<{target.name}.id>", f"<{name}.c.far>")
        related = bool(set(source.line) & set(target.line))
        joins: dict[str, str] = {}
        if related or self.rarely():
            joins = {"primaryjoin": first, "secondaryjoin": second}
        elif self.rarely():
            joins = self.any_of({"primaryjoin": first}, {"secondaryjoin": second})
        if self.rarely():
            joins["foreign_keys"] = f"[<{name}.c.near>, <{name}.c.far>]"
        options: dict[str, str] = {}
        if self.rarely():
            options["order_by"] = self.any_of(f"<{name}.c.rank>", f"<{name}.c.rank>.desc()")
        self.write(source, target, False, False, joins, options, self.secondary(source, name))

    def secondary(self, source: Model, name: str) -> str:
        styles = [self.string(name)]
        if self.sees(source, name, now=False):
            styles.append(f"lambda: {name}")
        if self.sees(source, name, now=True):
            styles += [name, name]
        style = self.any_of(*styles)
        if style[0] not in "\"'":
            self.need(source, name)
        return style

    # -- templates

    def equal(self, one: str, other: str) -> str:
        return self.any_of(f"{one} == {other}", f"{other} == {one}")

    def listed(self, column: str) -> str:
        return self.any_of(column, f"[{column}]")

    def strings(self, values: list[str]) -> str:
        return f"[{', '.join(map(self.string, values))}]"

    def stored(self, model: Model, attribute: str) -> str:
        text = model.owner(attribute).columns[attribute]
        return f"{attribute}_x" if f"{attribute}_x" in text else attribute

    def criteria(self, column: str) -> list[str]:
        return [
            f"{column} == 'a'",
            f"{column}.in_(['a', 'b'])",
            f"{column}.is_(None)",
            f"{column}.like('a%')",
            f"@func.lower({column}) == 'a'",
        ]

    def criterion(self, source: Model, target: Model) -> str:
        column = f"<{self.any_of(source, target).name}.kind>"
        return self.any_of(*self.criteria(column))

    def ordering(self, model: Model) -> str:
        name, place = f"<{model.name}.name>", f"<{model.name}.position>"
        if not any("position" in made.columns for made in model.line):
            place = name
        return self.any_of(
            name,
            f"{name}.desc()",
            f"@desc({name})",
            f"({place}, {name})",
            f"[{place}.desc(), {name}]",
            f"@func.lower({name})",
            f"@asc(@func.coalesce({name}, 'none'))",
            f"@nullslast({place}.desc())",
            f"-{place}",
            f"{place} + 1",
            f"@cast({place}, @String)",
            f"@collate({name}, 'NOCASE')",
            f"[@desc({place})]",
        )

    # -- the arguments that are no joins

    def options(self, source: Model, to_one: bool, readonly: bool, many: bool) -> dict[str, str]:
        """Some options of one side, as they are written in the body of ``source``."""
        found: dict[str, str] = {}
        common = {
            "lazy": ["'joined'", "'selectin'", "'subquery'", "'raise'"],
            "info": ["{'k': 1}", "dict(k='v')"],
            "doc": ["'Some of them.'"],
            "join_depth": ["2"],
        }
        writable = {
            "passive_updates": ["False"],
            "post_update": ["True"],
            "active_history": ["True"],
            "cascade": ["'save-update, merge'", "'merge, expunge'"],
        }
        if to_one:
            common["innerjoin"] = ["True"]
            common["uselist"] = ["False"]
        else:
            common["collection_class"] = ["list", "set", "@attribute_mapped_collection('name')"]
            writable["passive_deletes"] = ["True"]
            if not many:
                common["uselist"] = ["False"]
                writable["cascade"] = ["'all, delete-orphan'", "'all'"]
        if self.constants[source.module]:
            common["lazy"].append("LAZY")
            common["info"].append("OPTIONS")
            if not to_one:
                common["collection_class"].append("Bag")
        pool = common if readonly else common | writable
        for key in self.draw(st.lists(st.sampled_from(sorted(pool)), unique=True, max_size=2)):
            found[key] = self.any_of(*pool[key])
        if found.get("uselist"):
            found.pop("collection_class", None)
        if not to_one and "collection_class" not in found and "uselist" not in found and self.rarely():
            found["lazy"] = "'dynamic'"
            found.pop("join_depth", None)
        return found

    def write(
        self,
        source: Model,
        target: Model,
        to_one: bool,
        back_to_one: bool,
        joins: dict[str, str],
        back_joins: dict[str, str],
        secondary: str = "",
    ) -> None:
        """Write one relationship with its backref into ``source``."""
        number = next(self.numbers)
        name, back = f"{target.name.lower()}{number}", f"{source.name.lower()}{number}_back"
        readonly = self.rarely()
        back_readonly = readonly or self.rarely()
        arguments = {key: self.spell(source, template) for key, template in joins.items()}
        many = bool(secondary)
        arguments |= self.options(source, to_one, readonly, many)
        options = {key: self.spell(source, template) for key, template in back_joins.items()}
        options |= self.options(source, back_to_one, back_readonly, many)
        if not to_one and self.rarely():
            arguments["order_by"] = self.spell(source, self.ordering(target))
        if "order_by" not in options and not back_to_one and self.any_of(False, True):
            options["order_by"] = self.spell(source, self.ordering(source))
            if "name" in source.columns and self.rarely():
                source.columns["order"] = "order = @desc(name)"
                options["order_by"] = "order"
        if readonly:
            arguments["viewonly"] = "True"
        elif back_readonly:
            options["viewonly"] = "True"
        elif self.rarely():
            self.any_of(arguments, options)["sync_backref"] = "False"
        head = self.target(source, target)
        values: list[tuple[str, str]] = [*arguments.items()]
        if secondary:
            values.insert(0, ("secondary", secondary))
        values.insert(self.any_of(*range(len(values) + 1)), ("backref", self.backref(source, back, options)))
        annotation = ""
        if self.typed and self.maybe() and "uselist" not in arguments and "collection_class" not in arguments:
            hint = self.annotation(target, to_one)
            if arguments.get("lazy") != "'dynamic'":
                annotation = f": {hint}"
                if self.maybe():
                    head = ""
        if secondary and head and not head.startswith("argument") and self.rarely():
            head += f", {secondary}"
            values = [value for value in values if value[0] != "secondary"]
        texts = [head] if head else []
        texts += [f"{key}{'=' if self.draw(st.integers(0, 9)) else ' = '}{text}" for key, text in values]
        text = self.names(f"{name}{annotation} = {self.call('@relationship', texts)}", source.module)
        source.relationships.append(text)
        self.backrefs += 1

    def annotation(self, target: Model, to_one: bool) -> str:
        if to_one:
            return self.any_of(
                f"@Mapped[{self.string(target.name)}]", f"@Mapped[Optional[{self.string(target.name)}]]"
            )
        return f"@Mapped[{self.any_of('List', 'list')}[{self.string(target.name)}]]"

    def target(self, source: Model, target: Model) -> str:
        module = self.module_name(target.module)
        styles = [self.string(target.name)] * 2
        if not self.local:
            styles.append(self.string(f"{module}.{target.name}"))
        if self.sees(source, target.name, now=False):
            styles.append(f"lambda: {target.name}")
        if self.sees(source, target.name, now=True):
            styles += [target.name, target.name, f"{target.name}.__name__"]
        style = self.any_of(*styles)
        if style[0] not in "\"'":
            self.need(source, target.name)
        return f"argument={style}" if self.rarely() else style

    def backref(self, source: Model, name: str, options: dict[str, str]) -> str:
        text = self.string(name)
        if not self.local and self.rarely():
            constant = name.upper()
            self.extra[source.module].append(f"{constant} = {text}")
            text = constant
        if not options and self.maybe():
            return text
        style = self.any_of("call", "call", "call", "name", "tuple", "list" if self.modern else "call")
        if style in {"tuple", "list"}:
            pairs = ", ".join(f"{self.string(key)}: {value}" for key, value in options.items())
            return f"({text}, {{{pairs}}})" if style == "tuple" else f"[{text}, {{{pairs}}}]"
        head = f"name={text}" if style == "name" else text
        return self.call("@backref", [head, *(f"{key}={value}" for key, value in options.items())])

    # -- layout

    def comment(self) -> str:
        return f"  # note {next(self.numbers)}" if self.rarely() else ""

    def call(self, function: str, arguments: list[str]) -> str:
        layout = self.any_of("line", "line", "block", "block", "hanging")
        if layout == "line":
            return f"{function}({', '.join(arguments)}{',' if self.rarely() else ''})"
        if layout == "hanging" and len(arguments) > 1:
            lines = "".join(f",{self.comment()}\n\t\t{one}" for one in arguments[1:])
            return f"{function}({arguments[0]}{lines})"
        lines = "".join(f"\n\t{self.indented(one)},{self.comment()}" for one in arguments[:-1])
        comma = self.any_of("", ",")
        last = f"\n\t{self.indented(arguments[-1])}{comma}{self.comment()}"
        return f"{function}({self.comment()}{lines}{last}\n)"

    @staticmethod
    def indented(text: str) -> str:
        return text.replace("\n", "\n\t")

    def class_text(self, model: Model) -> str:
        base = model.parent.name if model.parent else self.base
        if model.mixin is not None:
            base = f"{model.mixin.name}, {base}"
        body: list[str] = []
        if self.rarely():
            body.append('"""One of them."""')
        if not (model.parent and model.single):
            body.append(f"__tablename__ = {self.string(model.table)}")
        columns, relationships = list(model.columns.values()), model.relationships
        if model.concrete:
            columns.append("__mapper_args__ = {'concrete': True}")
        elif model.parent is None and self.has_children(model):
            mapper = "{'polymorphic_on': 'kind', 'polymorphic_identity': 'base'}"
            columns.append(f"__mapper_args__ = {mapper}")
        elif model.parent is not None:
            columns.append(f"__mapper_args__ = {{'polymorphic_identity': '{model.name}'}}")
        body += columns
        if model.table_args and not (model.parent and model.single):
            body.append(f"__table_args__ = ({', '.join(model.table_args)},)")
        body += relationships
        if self.rarely():
            body.append(f"# note {next(self.numbers)}")
            body.append("def __repr__(self):\n\treturn self.__class__.__name__")
        spaced = self.rarely()
        lines = [f"class {model.name}({base}):{self.comment()}"]
        for text in body:
            lines += [f"\t{self.indented(text)}{'' if chr(10) in text else self.comment()}"]
            if spaced:
                lines.append("")
        return "\n".join(lines).rstrip("\n")

    @property
    def base(self) -> str:
        return "db.Model" if self.flask else "Base"

    def has_children(self, model: Model) -> bool:
        return any(other is not model and model in other.line for other in self.models.values())

    def table_text(self, table: Association) -> str:
        columns = "".join(f"\n\t{column}," for column in table.columns)
        metadata = "" if self.flask else "\n\tBase.metadata,"
        return f"{table.name} = @Table(\n\t{self.string(table.name)},{metadata}{columns}\n)"

    def module_text(self, number: int) -> str:
        things: list[tuple[float, str]] = []
        for model in self.models.values():
            if model.module == number:
                things += [(model.rank - 0.2, text) for text in model.functions]
                things.append((model.rank, self.class_text(model)))
        for table in self.tables.values():
            if table.module == number:
                things.append((table.rank - 0.5, self.table_text(table)))
        if self.mixin is not None and self.mixin.module == number:
            things.append((-1, self.mixin.text))
        body = [self.names(text, number) for _, text in sorted(things, key=lambda thing: thing[0])]
        if self.extra[number]:
            body.insert(0, "\n".join(self.extra[number]))
        if self.constants[number]:
            body.insert(0, _PRELUDE)
        code = "\n\n\n".join(body)
        if self.local:
            inner = "\n".join(f"\t{line}" if line else "" for line in code.split("\n"))
            code = f"def make():\n{inner}\n\treturn {', '.join(self.models)}\n\n\nKEPT = make()"
        text = f"{self.import_text(number)}\n\n\n{code}\n"
        later = [one for one in self.models.values() if one.module > number] if self.modules > 1 else []
        if later and self.rarely():
            one = self.any_of(*later)
            text += f"\nfrom {self.module_name(one.module)} import {one.name}\n"
        return text

    def base_text(self, number: int) -> str:
        if self.flask:
            return "db = SQLAlchemy()"
        if self.modern:
            return self.names("class Base(@DeclarativeBase):\n\tpass", number)
        return "Base = declarative_base()"

    def import_text(self, number: int) -> str:
        """The head of a module: its imports, and the declarative base where there is one module alone."""
        alone = self.modules == 1
        base = self.base_text(number) if alone else ""
        used = self.used[number]
        core, orm = sorted(used - _ORM), sorted(used & _ORM)
        lines = ["from typing import TYPE_CHECKING, List, Optional"]
        way = self.imports[number]
        if way == "names" and orm:
            lines.append(f"from sqlalchemy.orm import {', '.join(orm)}")
        if way in {"names", "alias"} and core:
            lines.append(f"from sqlalchemy import {', '.join(core)}")
        lines += {
            "sa": ["import sqlalchemy as sa", "import sqlalchemy.orm"],
            "alias": ["from sqlalchemy import orm"],
            "star": [
                "from sqlalchemy import *",
                "from sqlalchemy.orm import *",
                "from sqlalchemy.orm import foreign, remote",
            ],
        }.get(way, [])
        if number in self.collections:
            lines.append("from sqlalchemy.orm.collections import attribute_mapped_collection")
        if alone and self.flask:
            lines.append("from flask_sqlalchemy import SQLAlchemy")
        elif not self.modern:
            lines.append("from sqlalchemy.ext.declarative import declarative_base, declared_attr")
        if not alone:
            lines.append(f"from base import {'db' if self.flask else 'Base'}")
        for module in sorted({module for module, _ in self.needed[number]}):
            names = sorted(name for other, name in self.needed[number] if other == module)
            lines.append(f"from {self.module_name(module)} import {', '.join(names)}")
        known = {name for _, name in self.needed[number]}
        unseen = [
            (one.module, one.name) for one in self.things() if one.module != number and one.name not in known
        ]
        if unseen and self.rarely():
            module, name = self.any_of(*unseen)
            lines += ["", "if TYPE_CHECKING:", f"\tfrom {self.module_name(module)} import {name}"]
        free = sorted(_SHADOWS - used - ({"LAZY", "OPTIONS", "Bag"} if self.constants[number] else set()))
        if way != "star" and self.rarely():
            lines += ["", f"{self.any_of(*free)} = None"]
        return "\n".join([*lines, *(["", "", base] if base else [])])

    def things(self) -> list[Model | Association]:
        return [*self.models.values(), *self.tables.values()]

    def finish(self) -> Sources:
        newline = self.any_of("\n", "\n", "\n", "\r\n")
        texts = {f"{self.module_name(number)}.py": self.module_text(number) for number in range(self.modules)}
        if self.modules > 1:
            head = "from sqlalchemy.ext.declarative import declarative_base"
            if self.modern:
                head = "from sqlalchemy.orm import DeclarativeBase"
            if self.flask:
                head = "from flask_sqlalchemy import SQLAlchemy"
            base = re.sub(r"\b(?:sa\.orm\.|orm\.)", "", self.base_text(0))
            texts["base.py"] = f"{head}\n\n\n{base}\n"
        files = {}
        for path, text in texts.items():
            indented = re.sub(r"^\t+", lambda match: self.indent * len(match[0]), text, flags=re.MULTILINE)
            files[path] = indented.replace("\n", newline).encode()
        return Sources(files, self.backrefs)


@st.composite
def projects(draw: Callable[[st.SearchStrategy[Any]], Any], modern: bool = True) -> Sources:
    """Projects of one to three modules. ``modern`` ones have the ``DeclarativeBase`` of SQLAlchemy 2, if the
    one that is asked is so new."""
    writer = _Writer(draw, modern and not sqlalchemy_of(ASKED).startswith("1."))
    writer.make_models()
    writer.make_relationships()
    return writer.finish()
