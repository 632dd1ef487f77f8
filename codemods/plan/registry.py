"""How the strings of a declarative registry name classes, tables and functions.

Source: SQLAlchemy's ``clsregistry``. A name is looked up among the mapped classes, then the tables and the
schemas of the metadata, then the parts of module paths, and only then among what ``sqlalchemy`` exports.
"""

from __future__ import annotations

import ast
import keyword
import re

from backpop.codemods.facts import ClassInfo, last_name
from backpop.codemods.link import Attribute, External, Project, Resolved, Value
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
            and all(part.isidentifier() and not keyword.iskeyword(part) for part in suffix)
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
    schema = given.get("schema")
    if {"bind_key", None} & given.keys() or not (schema is None or isinstance(schema, ast.Constant)):
        return None
    metadata = _metadata(project, near, table, call)
    if metadata is None or (schema is None and any(_has_schema(one) for one in metadata)):
        return None
    dotted = f"{schema.value!s}.{name}" if schema is not None and schema.value else name
    parts = dotted.split(".")
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        return None
    if len(parts) > 1 and project.has_table(parts[0]):
        return None
    if not tables_first and any(project.is_mapped(made) for made in project.classes_named(parts[0])):
        return None
    return dotted


def _metadata(project: Project, near: ClassInfo, table: Value, call: ast.Call) -> list[Resolved] | None:
    """What is known of the metadata of a table, if it is that of the class's registry; else None."""
    func = project.resolve(call.func, table.scope)
    roots = [root.key for root in project.roots(near) if not isinstance(root.key, str)]
    known = [one for root in roots for one in _metadata_of(project, root)]
    if isinstance(func, Attribute) and func.name == "Table":
        return known if Attribute(func.owner, "Model") in roots else None
    if not (isinstance(func, External) and func.last == "Table" and len(call.args) > 1):
        return None
    expr = call.args[1]
    owner = project.resolve(expr.value, table.scope) if isinstance(expr, ast.Attribute) else None
    if owner in roots or (isinstance(owner, ClassInfo) and project.same_registry(owner, near)):
        return known
    return known if project.resolve(expr, table.scope) in known else None


def _metadata_of(project: Project, root: Resolved) -> list[Resolved]:
    """What stands for the metadata of a declarative base."""
    found: list[Resolved] = [Attribute(root, "metadata")]
    if isinstance(root, External):
        found.append(External(f"{root.name}.metadata"))
    if isinstance(root, Attribute) and root.name == "Model":
        found.append(Attribute(root.owner, "metadata"))
        root = root.owner
    if isinstance(root, Value) and isinstance(root.expr, ast.Call):
        for keyword_ in root.expr.keywords:
            if keyword_.arg == "metadata":
                found += project.resolve_all(keyword_.value, root.scope)
    elif isinstance(root, ClassInfo) and "metadata" in root.body.bindings:
        found += project.resolve_all(ast.Name("metadata"), root.body)
    return found


def _has_schema(metadata: Resolved) -> bool:
    return (
        isinstance(metadata, Value)
        and isinstance(metadata.expr, ast.Call)
        and any(keyword_.arg in {"schema", None} for keyword_ in metadata.expr.keywords)
    )


def class_table_name(project: Project, near: ClassInfo, made: ClassInfo) -> str | None:
    """The key of a declarative class's own table in the metadata of a registry, if that is certain."""
    line = (made, *project.ancestors(made))
    inherits = any(project.is_mapped(one) for one in line[1:])
    name = made.literal("__tablename__") if inherits else name_of_table(project, made)
    schema_free = not any(map(_may_have_schema, line))
    if not isinstance(name, str) or not name.isidentifier() or not schema_free:
        return None
    known = [
        one
        for root in project.roots(near)
        if not isinstance(root.key, str)
        for one in _metadata_of(project, root.key)
    ]
    shared = project.same_registry(made, near) and not any(_has_schema(one) for one in known)
    return name if shared else None


def _may_have_schema(made: ClassInfo) -> bool:
    """Whether a class may say that its table belongs to a schema, or to other metadata."""
    if "schema" in ast.unparse(made.node) or "__bind_key__" in made.body.bindings:
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
