"""Describe the mapper graph of somebody's models as plain JSON values, and compare two descriptions.

This file stands alone: it runs under the *user's* interpreter, which may be any Python from 3.8 with any
SQLAlchemy from 1.3 to 2.1, and which knows nothing of backpop. As a script, ``python probe.py`` reads one
request as JSON from stdin, or from the file named by its only argument::

    {"modules": ["shop.models"],          # imported in this order
     "sys_path": ["/src/shop"],           # put before sys.path, in this order
     "setup": "import os; ...",           # Python to run before the imports, or null
     "overrides": {"/src/shop/m.py": ""}, # bytes, base64, which stand for those of the file on disk
     "each_alone": false,                 # also configure with each module imported alone, in a child process
     "answer": "/tmp/answer.json"}        # where the JSON answer goes: a path, or an open file descriptor

Only ``modules`` and ``answer`` are required. The answer never goes to stdout: modules may print. It is what
:func:`describe` returns, with ``"warnings"``, and ``"alone"`` if it was asked for; or ``{"error": ...}``.
"""

from __future__ import annotations

import base64
import dataclasses
import gc
import importlib
import importlib.machinery
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager, suppress
from typing import Any, Dict, Iterator

Json = Dict[str, Any]  # made and read as JSON: text, numbers, lists, and dicts of these

# Read as they stand on a configured relationship; a version that lacks one gives null.
_PLAIN = (
    "uselist",
    "lazy",
    "viewonly",
    "sync_backref",
    "post_update",
    "passive_deletes",
    "passive_updates",
    "single_parent",
    "innerjoin",
    "join_depth",
    "distinct_target_key",
    "active_history",
    "load_on_pending",
    "omit_join",
    "bake_queries",
    "enable_typechecks",
    "cascade_backrefs",
    "doc",
    "back_populates",
)
# Fields that name a class or a factory of collections.
_CLASSES = ("collection_class", "query_class", "comparator_factory")
# Fields that hold columns whose order means nothing.
_COLUMN_SETS = {
    "remote_side": "remote_side",
    "local_columns": "local_columns",
    "foreign_columns": "_calculated_foreign_keys",
    # What the user passed as foreign_keys=, which SQLAlchemy keeps beside what it worked out.
    "foreign_keys_given": "_user_defined_foreign_keys",
}
_COLUMN_PAIRS = ("local_remote_pairs", "synchronize_pairs", "secondary_synchronize_pairs")

_OVERLAP = re.compile(r"relationship '[^']*' will copy column (\S+) to column (\S+), which conflicts with")


# ---------------------------------------------------------------------------------------------------------
# Describing


def describe() -> Json:
    """Configure every mapper that is known to this process and return what they look like.

    Returns ``{"sqlalchemy": version, "classes": {name: class}}``, JSON values only. A class has
    ``"relationships": {key: {field: value}}``, ``"attributes"`` (the sorted keys of all else that is mapped)
    and ``"dataclass"`` (null if it is none). Raises whatever SQLAlchemy raises when the mappers do not fit.
    """
    import sqlalchemy
    from sqlalchemy.orm import configure_mappers

    gc.collect()  # mappers are held weakly: leave none whose class is gone already to chance
    configure_mappers()
    names = _class_names(_mappers())
    classes = {name: _describe_class(mapper, names) for mapper, name in names.items()}
    return {"sqlalchemy": sqlalchemy.__version__, "classes": classes}


def _mappers() -> list[Any]:
    """Return the primary mappers of this process, in the order in which their classes were written."""
    from sqlalchemy.orm import mapperlib as library

    mapperlib: Any = library  # private parts, which differ from version to version
    if hasattr(mapperlib, "_all_registries"):  # 1.4 and later
        found = {mapper for registry in mapperlib._all_registries() for mapper in registry.mappers}
    else:
        found = set(mapperlib._mapper_registry)

    # A reverse made by backref= is created after all others, so the least number is the same without it.
    def age(mapper: Any) -> int:
        numbers = [getattr(prop, "_creation_order", None) for prop in mapper.attrs]
        return min([number for number in numbers if number is not None], default=0)

    return sorted((m for m in found if not getattr(m, "non_primary", False)), key=lambda m: (age(m), str(m)))


def _class_names(mappers: list[Any]) -> dict[Any, str]:
    """Return a dict of mapper -> ``module.qualname``, with ``#2``, ``#3`` on later classes of one name."""
    names: dict[Any, str] = {}
    seen: Counter[str] = Counter()
    for mapper in mappers:
        name = _qualified_name(mapper.class_)
        seen[name] += 1
        names[mapper] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return names


def _describe_class(mapper: Any, names: dict[Any, str]) -> Json:
    relationships = {prop.key: _describe_relationship(prop, names) for prop in mapper.relationships}
    attributes = {prop.key for prop in mapper.attrs} | set(mapper.all_orm_descriptors.keys())
    return {
        "relationships": relationships,
        "attributes": sorted(str(key) for key in attributes if key not in relationships),
        "dataclass": _describe_dataclass(mapper.class_),
    }


def _describe_relationship(prop: Any, names: dict[Any, str]) -> Json:
    out: Json = {field: _plain(getattr(prop, field, None)) for field in _PLAIN}
    for field in _CLASSES:
        value = getattr(prop, field, None)
        out[field] = None if value is None else _qualified_name(value)
    for field, attribute in _COLUMN_SETS.items():
        out[field] = sorted(_column(column) for column in getattr(prop, attribute, None) or ())
    for field in _COLUMN_PAIRS:
        pairs = getattr(prop, field, None) or ()
        out[field] = sorted(f"{_column(left)} -> {_column(right)}" for left, right in pairs)
    secondary = prop.secondary
    out["direction"] = prop.direction.name
    out["target"] = names.get(prop.mapper, str(prop.mapper))
    if prop.entity is not prop.mapper:
        out["target"] += " (alias)"
    # The class it is written on: an inherited relationship is described again on each subclass.
    out["owner"] = names.get(prop.parent)
    out["primaryjoin"] = _condition(prop.primaryjoin)
    out["secondaryjoin"] = _condition(prop.secondaryjoin)
    out["secondary"] = None if secondary is None else _tidy(getattr(secondary, "fullname", secondary))
    out["order_by"] = [_sql(expression) for expression in prop.order_by or ()]
    out["cascade"] = sorted(prop.cascade)
    out["overlaps"] = sorted(prop._overlaps or ()) if hasattr(prop, "_overlaps") else None
    out["info"] = _tidy(sorted(prop.info.items(), key=lambda item: str(item[0])))
    out["reverse"] = sorted(f"{names.get(other.parent)}.{other.key}" for other in prop._reverse_property)
    out["lazy_load"] = _lazy_load(prop)
    out["use_get"] = bool(prop._use_get)
    return out


def _lazy_load(prop: Any) -> str | None:
    """Return the condition by which the related rows are loaded, each parameter named by its column.

    Two relationships can agree on every join and pair and yet differ here, in the columns that are bound.
    """
    from sqlalchemy import literal_column
    from sqlalchemy.sql import visitors

    condition, columns, _ = prop._join_condition.create_lazy_clause()

    def name_parameter(element: Any, **_: Any) -> Any:
        column = columns.get(getattr(element, "key", None))
        is_parameter = getattr(element, "__visit_name__", "") == "bindparam"
        return literal_column(f"{{{_column(column)}}}") if is_parameter and column is not None else None

    return _condition(visitors.replacement_traverse(condition, {}, name_parameter))


def _describe_dataclass(cls: Any) -> Json | None:
    params = getattr(cls, "__dataclass_params__", None)
    if params is None:
        return None
    fields = dataclasses.fields(cls)
    return {
        "init": _parameters(cls.__init__),
        "repr": [field.name for field in fields if field.repr] if params.repr else None,
        "eq": [field.name for field in fields if field.compare] if params.eq else None,
    }


def _parameters(function: Any) -> str | None:
    """Return the parameters of ``function`` as text, without annotations: to read them may evaluate them."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    defaults = function.__defaults__ or ()
    given = dict(zip(names[code.co_argcount - len(defaults) :], defaults))
    given.update(function.__kwdefaults__ or {})
    text = [f"{name}={_tidy(repr(given[name]))}" if name in given else name for name in names]
    if code.co_kwonlyargcount:
        text.insert(code.co_argcount, "*")
    return f"({', '.join(text)})"


# ---------------------------------------------------------------------------------------------------------
# Canonical text


def _condition(clause: Any) -> str | None:
    """Return ``clause`` as text which does not depend on how it was written.

    The terms of an AND are sorted, and so are the two sides of an equality.
    """
    if clause is None:
        return None
    return " AND ".join(sorted(_terms(clause)))


def _terms(clause: Any) -> list[str]:
    from sqlalchemy.sql import operators

    while getattr(clause, "__visit_name__", "") == "grouping":
        clause = clause.element
    operator = getattr(clause, "operator", None)
    if operator is operators.and_ and hasattr(clause, "clauses"):
        return [text for term in clause.clauses for text in _terms(term)]
    if operator is operators.eq and hasattr(clause, "left"):
        return [" = ".join(sorted((_sql(clause.left), _sql(clause.right))))]
    return [_sql(clause)]


def _sql(clause: Any) -> str:
    """Return the SQL of ``clause`` with table-qualified columns, and its values in place or behind it."""
    try:
        return _tidy(clause.compile(compile_kwargs={"literal_binds": True}))
    except Exception:  # a type which has no literal form; SQLAlchemy raises several kinds of error for that
        pass
    try:
        compiled = clause.compile()
        return _tidy(compiled) + (" " + _tidy(sorted(compiled.params.items())) if compiled.params else "")
    except Exception:  # a construct only some dialect can compile
        return _tidy(clause)


def _column(column: Any) -> str:
    table = getattr(column, "table", None)
    prefix = getattr(table, "fullname", None) or getattr(table, "name", None)
    name = getattr(column, "name", None)
    return _tidy(f"{prefix}.{name}") if prefix and name else _sql(column)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, type(None))) else _tidy(value)


def _qualified_name(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return _tidy(f"{value.__module__}.{name}" if name else value)


def _tidy(value: object) -> str:
    """Return ``str(value)`` without the addresses and numbers that differ from run to run."""
    text = re.sub(r"0x[0-9a-fA-F]+", "0x..", str(value))
    return re.sub(r"%\(\d+ ", "%(.. ", text)  # the unnamed aliases and parameters of SQLAlchemy


# ---------------------------------------------------------------------------------------------------------
# Comparing


def compare(before: Json, after: Json) -> list[str]:
    """Return every difference between two answers as ``module.Class.attribute: field: before -> after``.

    Takes what :func:`describe` or :func:`run` returned; an empty list means that the graphs are equal. An
    answer that holds an error is a difference, even if both hold the same one: nothing was proved.

    Passed over, because it does not show in behaviour:

    * ``collection_class`` ``list`` against null, which is the same (an annotated reverse says it, a generated
      one does not);
    * ``query_class`` unless the relationship is a dynamic one, as only those ever use it (Flask-SQLAlchemy
      sets it on whatever ``db.relationship`` makes, and on the reverse of ``db.backref()`` only);
    * how often a *deprecation* warning is given (an explicit ``relation()`` is one more use of the old name);
    * the wording of warnings about overlapping relationships, see :func:`_warnings`.
    """
    sides = (("before", before), ("after", after))
    failed = [_failure(side, answer["error"]) for side, answer in sides if answer.get("error")]
    if failed:
        return failed
    out = []
    old_classes, new_classes = before["classes"], after["classes"]
    for name in sorted(old_classes.keys() | new_classes.keys()):
        if name not in old_classes or name not in new_classes:
            out.append(f"{name}: class: {_presence(name in old_classes)}")
            continue
        out += _compare_class(name, old_classes[name], new_classes[name])
    old, new = _warnings(before), _warnings(after)
    out += [f"warnings: only before: {text}" for text in sorted((old - new).elements())]
    out += [f"warnings: only after: {text}" for text in sorted((new - old).elements())]
    return out


def _failure(side: str, error: Json) -> str:
    where = f" in {error['module']}" if error["module"] else ""
    return f"{side}: {error['stage']} failed{where}: {error['type']}: {error['message']}"


def _compare_class(name: str, old: Json, new: Json) -> list[str]:
    fields = [field for field in ("attributes", "dataclass") if old[field] != new[field]]
    out = [f"{name}: {field}: {old[field]} -> {new[field]}" for field in fields]
    old_relationships, new_relationships = old["relationships"], new["relationships"]
    for key in sorted(old_relationships.keys() | new_relationships.keys()):
        where = f"{name}.{key}"
        if key not in old_relationships or key not in new_relationships:
            out.append(f"{where}: relationship: {_presence(key in old_relationships)}")
            continue
        left, right = old_relationships[key], new_relationships[key]
        for field in sorted(left.keys() | right.keys()):
            if field == "query_class" and "dynamic" not in (left["lazy"], right["lazy"]):
                continue
            values = [left.get(field), right.get(field)]
            if field == "collection_class":
                values = [None if value == "builtins.list" else value for value in values]
            if values[0] != values[1]:
                out.append(f"{where}: {field}: {values[0]} -> {values[1]}")
    return out


def _presence(was_there: bool) -> str:
    return "there -> missing" if was_there else "missing -> there"


def _warnings(answer: Json) -> Counter[str]:
    """Return the warnings of an answer as a multiset of texts which can be compared.

    Relationships that write the same column are reported when the second one is configured, against those
    that were configured before. So the wording and the number of the reports change with the order of
    configuration, which an explicit reverse changes; the columns reported do not change, and they are kept.
    """
    found: Counter[str] = Counter()
    for warning in answer.get("warnings", ()):
        overlap = _OVERLAP.match(warning["message"])
        if overlap:
            found[f"overlap: several relationships write column {overlap.group(2)}"] = 1
            continue
        text = f"{warning['category']}: {warning['message']}"
        found[text] = found[text] + 1 if warning["category"] == "SAWarning" else 1
    return found


def compare_alone(before: Json, after: Json) -> list[str]:
    """Return ``module: message`` for every module that could be used alone before and cannot be any more.

    Takes two answers to requests with ``each_alone``. An explicit reverse names its target's class, so a
    program that never imports the module of that class fails where it worked with ``backref=``.
    """
    old, new = before.get("alone") or {}, after.get("alone") or {}
    return [
        f"{module}: {new[module]['message']}"
        for module in sorted(old.keys() & new.keys())
        if new[module] is not None and old[module] is None
    ]


# ---------------------------------------------------------------------------------------------------------
# Running a request


class _Failed(Exception):
    """Carries the error part of an answer."""


def run(request: Json) -> Json:
    """Import the modules of ``request`` into this process, describe all mappers and return the answer.

    See the module's docstring for the request. What goes wrong is returned, not raised: ``{"error": {"stage":
    "setup" | "import" | "configure", "module", "type", "message", "traceback"}}``. Only once in a process.
    """
    sys.dont_write_bytecode = True
    overrides = request.get("overrides") or {}
    _serve_from_memory({path: base64.b64decode(data) for path, data in overrides.items()})
    sys.path[:0] = request.get("sys_path") or []
    # Children are started first, so that each has nothing imported but what this process began with.
    alone = _each_alone(request) if request.get("each_alone") else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if request.get("setup"):
                with _stage("setup"):
                    exec(compile(request["setup"], "<setup>", "exec"), {"__name__": "__setup__"})
            for module in request["modules"]:
                with _stage("import", module):
                    importlib.import_module(module)
            with _stage("configure"):
                answer = describe()
        except _Failed as failure:
            answer = {"error": failure.args[0]}
    answer["warnings"] = _sqlalchemy_warnings(caught)
    if alone is not None:
        answer["alone"] = alone
    return answer


@contextmanager
def _stage(stage: str, module: str | None = None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too, and what test frameworks raise to skip a module
        lines = [line for line in traceback.format_exc().splitlines() if line.strip()]
        error_part = {
            "stage": stage,
            "module": module,
            "type": type(error).__name__,
            "message": _tidy(error),
            "traceback": lines[-12:],
        }
        raise _Failed(error_part) from error


def _sqlalchemy_warnings(caught: list[warnings.WarningMessage]) -> list[Json]:
    try:
        from sqlalchemy import exc
    except Exception:  # the error is in the answer already
        return []
    kinds = (exc.SAWarning, exc.SADeprecationWarning, exc.SAPendingDeprecationWarning)
    found = [w for w in caught if issubclass(w.category, kinds)]
    texts = sorted((w.category.__name__, _tidy(w.message)) for w in found)
    return [{"category": category, "message": message} for category, message in texts]


def _serve_from_memory(overrides: dict[str, bytes]) -> None:
    """Make imports take the bytes in ``overrides`` (path -> bytes) instead of those on disk.

    All loaders of source files share one base class, so this holds for every finder. The compiled file in
    ``__pycache__`` belongs to the bytes on disk, so it is not looked at.
    """
    if not overrides:
        return
    contents = {_real(path): data for path, data in overrides.items()}
    loader: Any = importlib.machinery.SourceFileLoader
    get_code, get_data = loader.get_code, loader.get_data

    def code_from_memory(self: Any, fullname: str) -> Any:
        path = self.get_filename(fullname)
        data = contents.get(_real(path))
        return get_code(self, fullname) if data is None else self.source_to_code(data, path)

    def data_from_memory(self: Any, path: str) -> bytes:
        data = contents.get(_real(path))
        return get_data(self, path) if data is None else data

    loader.get_code, loader.get_data = code_from_memory, data_from_memory


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def _each_alone(request: Json) -> Json:
    """Return ``{module: null or error}``: can the mappers be configured with only that module imported?"""
    with suppress(ImportError):
        import sqlalchemy.orm  # noqa: F401  so that a forked child has it already
    out = {}
    for module in request["modules"]:
        single = dict(request, modules=[module], each_alone=False)
        out[module] = run_in_child(single).get("error")
    return out


def run_in_child(request: Json) -> Json:
    """Return the answer of :func:`run` in a process of its own; ``answer`` in ``request`` is not used.

    Where processes can be forked, the child has all that is imported already: import SQLAlchemy first. A
    child that dies without an answer gives an error of stage ``"process"``.
    """
    handle, path = tempfile.mkstemp(prefix="probe-", suffix=".json")
    os.close(handle)
    request = dict(request, answer=path)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if hasattr(os, "fork"):
            child = os.fork()
            if not child:
                _answer_and_exit(request)
            status = os.waitpid(child, 0)[1]
        else:
            command = [sys.executable, os.path.abspath(__file__)]
            data = json.dumps(request).encode()
            status = subprocess.run(command, input=data, stdout=subprocess.DEVNULL, check=False).returncode
        with open(path, encoding="utf-8") as file:
            text = file.read()
    finally:
        os.unlink(path)
    if text:
        answer: Json = json.loads(text)
        return answer
    message = f"the process ended without an answer (status {status})"
    error: Json = {
        "stage": "process",
        "module": None,
        "type": "ProcessError",
        "message": message,
        "traceback": [],
    }
    return {"error": error}


def _answer_and_exit(request: Json) -> None:
    """Run ``request``, write its answer and end this process.

    It ends without clean-up: threads and exit handlers which the models started are no business of ours.
    """
    status = 1
    try:
        text = json.dumps(run(request), ensure_ascii=True, sort_keys=True)
        with open(request["answer"], "w", encoding="utf-8") as file:
            file.write(text)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Read a request from stdin or from the file named by the only argument, and answer it."""
    # The folder of this file is first in sys.path; its modules are not the user's.
    if sys.path and _real(sys.path[0] or ".") == os.path.dirname(_real(__file__)):
        del sys.path[0]
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as file:
            request = json.load(file)
    else:
        request = json.load(sys.stdin)
    _answer_and_exit(request)


if __name__ == "__main__":
    main()
