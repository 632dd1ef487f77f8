"""How the strings of a declarative registry name classes, tables and functions.

Source: SQLAlchemy's ``clsregistry``. A name is looked up among the mapped classes, then the tables and the
schemas of the metadata, then the parts of module paths, and only then among what ``sqlalchemy`` exports.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator

from backpop.codemods.facts import ClassInfo, Scope, last_name
from backpop.codemods.link import Attribute, External, Project, Resolved, Value
from backpop.codemods.plan.bases import given_to, makers_of, may_set
from backpop.codemods.plan.evaluate import NotConstantError, evaluate
from backpop.codemods.plan.evaluate import table_name as name_of_table
from backpop.codemods.plan.model import Refused, listed

# Annotations that are names in such a string beside sqlalchemy's own.
ORM_NAMES = {"foreign", "remote"}
# What ``sqlalchemy.sql...`` modules define and the top level of sqlalchemy has too, in every version.
_TOP_LEVEL = frozenset(
    {"and_", "or_", "not_", "asc", "desc", "nullsfirst", "nullslast", "func", "case", "cast", "collate"}
    | {"distinct", "exists", "extract", "false", "true", "null", "literal", "literal_column", "select"}
    | {"text", "tuple_", "type_coerce", "between", "bindparam", "any_", "all_", "over", "within_group"}
)

# What gives a class other metadata than its declarative base has.
_OTHER_METADATA = {"metadata", "__bind_key__"}
# What says which table a class has.
_OF_TABLES = ("__table__", "__tablename__", "__table_args__")


def class_name(project: Project, made: ClassInfo) -> str:
    """How strings name a class: simply, or after as much of its module path as tells it apart.

    Raises :class:`Refused` where no string does.
    """
    parts = project.import_name(made.module)
    rivals = [
        other
        for other in project.meets(made, made.name)
        # two modules of one name cannot be imported together; without a package, the name is not all known
        if other is not made
        and (other.module is made.module or len(parts) == 1 or project.import_name(other.module) != parts)
    ]
    if not rivals:
        return made.name
    for size in range(1, len(parts) + 1):
        suffix = parts[-size:]
        if (
            all(other.module.parts[-size:] != suffix for other in rivals)
            and all(map(_is_name, suffix))
            and not project.has_table(suffix[0])
        ):
            return ".".join((*suffix, made.name))
    places = listed(sorted(other.where for other in (made, *rivals)))
    raise Refused("BP202", f"no string tells {made.name} at {places} apart")


def table_name(project: Project, near: ClassInfo, table: Value, *, tables_first: bool = False) -> str | None:
    """The key of a ``Table(...)`` in the metadata of a class's registry; None if that is not certain.

    ``tables_first`` is for ``secondary``, where a table wins over a class of its name.
    """
    call = table.expr
    if not isinstance(call, ast.Call) or not call.args:
        return None
    try:
        name = evaluate(project, call.args[0], table.scope)
    except NotConstantError:
        return None
    if not isinstance(name, str):
        return None
    given = {keyword_.arg: keyword_.value for keyword_ in call.keywords}
    schema = given.get("schema", ast.Constant(None))
    if {"bind_key", None} & given.keys() or not isinstance(schema, ast.Constant):
        return None
    metadata = _metadata(project, near, table, call)
    if not metadata or (schema.value is None and _may_have_schema(project, metadata)):
        return None
    dotted = f"{schema.value!s}.{name}" if schema.value else name
    parts = dotted.split(".")
    if not all(map(_is_name, parts)):
        return None
    if len(parts) > 1 and project.has_table(parts[0]):
        return None
    if not tables_first and any(project.is_mapped(made) for made in project.classes_named(parts[0])):
        return None
    return dotted


def class_table_name(project: Project, near: ClassInfo, made: ClassInfo) -> str | None:
    """The key of a declarative class's own table in the metadata of a registry, if that is certain."""
    above = project.ancestors(made)
    makers = makers_of(project, made)
    behind = [one for one in makers if isinstance(one, ClassInfo) and one not in above]
    only_own = any(project.is_mapped(one) for one in above) or any(
        "__tablename__" in one.body.bindings for one in behind
    )
    name = made.literal("__tablename__") if only_own else name_of_table(project, made)
    if not isinstance(name, str) or not _is_name(name):
        return None
    changed = any(may_set(project, made, one) for one in _OF_TABLES)
    if changed or any(_may_have_other_table(one) for one in (made, *above, *behind)):
        return None
    known = _metadata_of(project, near)
    shared = project.same_registry(made, near) and known and _metadata_of(project, made)
    return name if shared and not _may_have_schema(project, known) else None


def _is_name(part: str) -> bool:
    return part.isidentifier() and not keyword.iskeyword(part)


def _may_have_other_table(made: ClassInfo) -> bool:
    """Whether a class may say that its table, or those of its subclasses, have a schema or are others."""
    if "schema" in ast.unparse(made.node) or "__table__" in made.body.bindings:
        return True
    given = made.member("__table_args__")
    value = given.value if given is not None else None
    if value is None:
        return "__table_args__" in made.body.bindings
    return not all(
        None not in one.keys  # nothing from elsewhere
        if isinstance(one, ast.Dict)
        else isinstance(one, ast.Call) and last_name(one.func)[:1].isupper()  # a constraint, or an index
        for one in (value.elts if isinstance(value, ast.Tuple) else [value])
    )


# -- metadata


def _metadata(project: Project, near: ClassInfo, table: Value, call: ast.Call) -> list[Resolved]:
    """What is known of the metadata of a table, if it is that of the class."""
    func = project.resolve(call.func, table.scope)
    known = _metadata_of(project, near)
    roots = [root.key for root in project.roots(near)]
    if isinstance(func, Attribute) and func.name == "Table":
        return known if Attribute(func.owner, "Model") in roots else []
    if not (isinstance(func, External) and func.last == "Table" and len(call.args) > 1):
        return []
    expr = call.args[1]
    owner = project.resolve(expr.value, table.scope) if isinstance(expr, ast.Attribute) else None
    if owner in roots or (isinstance(owner, ClassInfo) and project.same_registry(owner, near)):
        return known
    return known if project.resolve(expr, table.scope) in known else []


def _metadata_of(project: Project, made: ClassInfo) -> list[Resolved]:
    """What stands for the metadata of a class; nothing if they may not be those of its declarative base."""
    makers = makers_of(project, made)
    own = [one for one in (made, *project.ancestors(made)) if one not in makers]
    if any(not _OTHER_METADATA.isdisjoint(one.body.bindings) for one in own):
        return []
    found: list[Resolved] = []
    for maker in makers:
        found.append(Attribute(maker, "metadata"))
        if isinstance(maker, External):
            found.append(External(f"{maker.name}.metadata"))
        found += given_to(project, maker, "metadata")
    return found


def _may_have_schema(project: Project, metadata: list[Resolved]) -> bool:
    """Whether metadata may give a schema to tables that name none."""
    for one in metadata:
        match one:
            case Attribute() | External():
                continue  # by the names that others give them
            case Value(expr=ast.Call(func=func, args=[], keywords=keywords)) if last_name(func) == "MetaData":
                if {"schema", None}.isdisjoint(keyword_.arg for keyword_ in keywords):
                    continue
        return True
    return not project.once(_with_schema_set, b"metadata.schema").isdisjoint(metadata)


def _with_schema_set(project: Project, text: bytes) -> frozenset[Resolved]:
    """The metadata that get their schema after they were made, in files with a text."""
    modules = project.modules_of(project.files.where(lambda data: text in data))
    return frozenset(
        found
        for module in modules
        for node in module.near("schema")
        if isinstance(node, ast.Attribute) and node.attr == "schema" and isinstance(node.ctx, ast.Store)
        for found in _metadata_named(project, node.value, module.scope)
    )


def _metadata_named(project: Project, expr: ast.expr, scope: Scope) -> Iterator[Resolved]:
    yield from project.resolve_all(expr, scope)
    if isinstance(expr, ast.Attribute):  # a class that inherits them
        yield from (Attribute(one, expr.attr) for one in project.resolve_all(expr.value, scope))


def library_name(project: Project, near: ClassInfo, resolved: Resolved) -> str | None:
    """The name in a string of something that SQLAlchemy, or a Flask-SQLAlchemy object, provides."""
    if isinstance(resolved, External):
        if not resolved.name.startswith("sqlalchemy."):
            return None
        function = re.search(r"\.func\.([\w.]+)$", resolved.name)
        if function:
            return f"func.{function[1]}"
        top = resolved.name.count(".") == 1 and resolved.last not in {"orm", "ext", "sql"}
        return resolved.last if top or resolved.last in ORM_NAMES | _TOP_LEVEL else None
    if isinstance(resolved, Attribute) and isinstance(resolved.owner, Value | External):
        roots = {root.key for root in project.roots(near)}
        if Attribute(resolved.owner, "Model") in roots and resolved.name in _TOP_LEVEL | ORM_NAMES:
            return resolved.name
    return None


def is_hidden(project: Project, name: str) -> bool:
    """Whether a class, a table or a module of the project may stand in the way of a function in strings."""
    return project.has_table(name) or project.tree.has_part(name)
