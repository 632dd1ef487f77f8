"""Describe the mapper graph of somebody's models as plain JSON values, and compare two descriptions.

This file stands alone: it runs under the *user's* interpreter, which may be any Python from 3.8 with any
SQLAlchemy from 1.3 to 2.1, and which knows nothing of backpop. As a script, ``python probe.py`` reads one
request as JSON from stdin, or from the file named by its only argument::

    {"modules": ["shop.models"],          # imported in this order
     "submodules": false,                 # import what is below those that are packages, too
     "patterns": ["*models*", "!*.tests"],# which of those below: they match one, and none that begins with !
     "sys_path": ["/src/shop"],           # put before sys.path, in this order
     "setup": "import os; ...",           # Python to run before the imports, or null
     "overrides": {"/src/shop/m.py": ""}, # bytes, base64, which stand for those on disk; null: no such file
     "each_alone": false,                 # instead: configure with each module imported by itself
     "preload": ["os", "oslo.db"],        # not the user's own: imported once for all of these, to save time
     "jobs": 1,                           # how many of these at a time
     "timeout": 60,                       # how many seconds each of these may take, or null
     "answer": "/tmp/answer.json"}        # where the JSON answer goes: a path, or an open file descriptor

Only ``modules`` and ``answer`` are required. The answer never goes to stdout: modules may print. See
:func:`run` for what it holds.
"""

from __future__ import annotations

import base64
import dataclasses
import fnmatch
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter, deque
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Callable, Dict, Iterator, NamedTuple, Sequence

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
    ``"relationships": {key: {field: value}}``, ``"attributes"`` (the sorted keys of all else that is mapped),
    ``"dataclass"`` (null if it is none) and ``"lineage"``: where itself and its bases are written, see
    :func:`_lineage`. Raises whatever SQLAlchemy raises when the mappers do not fit.
    """
    import sqlalchemy
    from sqlalchemy.orm import configure_mappers

    gc.collect()  # mappers are held weakly: leave none whose class is gone already to chance
    configure_mappers()
    names = _class_names(_in_order(_mappers()))
    classes = {name: _describe_class(mapper, names) for mapper, name in names.items()}
    return {"sqlalchemy": sqlalchemy.__version__, "classes": classes}


def _mappers() -> set[Any]:
    """Return the primary mappers of this process."""
    from sqlalchemy.orm import mapperlib as library

    mapperlib: Any = library  # private parts, which differ from version to version
    if hasattr(mapperlib, "_all_registries"):  # 1.4 and later
        found = {mapper for registry in mapperlib._all_registries() for mapper in registry.mappers}
    else:
        found = set(mapperlib._mapper_registry)
    return {mapper for mapper in found if not getattr(mapper, "non_primary", False)}


def _in_order(mappers: set[Any]) -> list[Any]:
    """Return configured mappers in the order in which their classes were written."""

    # A reverse made by backref= is created after all others, so the least number is the same without it.
    def age(mapper: Any) -> int:
        numbers = [getattr(prop, "_creation_order", None) for prop in mapper.attrs]
        return min([number for number in numbers if number is not None], default=0)

    return sorted(mappers, key=lambda mapper: (age(mapper), str(mapper)))


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
        "lineage": _lineage(mapper.class_),
    }


def _lineage(cls: Any) -> list[list[str]]:
    """Return ``[file, name]`` of a class and of its bases: real path, and qualified name as in the source."""
    found = []
    for one in cls.__mro__:
        path = getattr(sys.modules.get(one.__module__), "__file__", None)
        if path:
            found.append([os.path.realpath(path), one.__qualname__.replace("<locals>.", "")])
    return found


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
    return re.sub(r"%\([0-9a-f]+ ", "%(.. ", text)  # the unnamed aliases and parameters of SQLAlchemy


# ---------------------------------------------------------------------------------------------------------
# Comparing


class Difference(NamedTuple):
    """One difference between two answers.

    ``name`` is ``module.Class.attribute``, ``module.Class``, ``"warnings"``, or the side that failed:
    ``"before"`` or ``"after"``. ``change`` is ``before -> after``, or a text.
    """

    name: str
    field: str
    change: str

    def __str__(self) -> str:
        return f"{self.name}: {self.field}: {self.change}"


def compare(before: Json, after: Json) -> list[str]:
    """Return what :func:`differences` finds as ``module.Class.attribute: field: before -> after``."""
    return [str(difference) for difference in differences(before, after)]


def differences(before: Json, after: Json) -> list[Difference]:
    """Return every difference between two answers; an empty list means that the graphs are equal.

    Takes what :func:`describe` or :func:`run` returned. An answer that holds an error is a difference, even
    if both hold the same one: nothing was proved.

    Passed over, because it does not show in behaviour:

    * ``collection_class`` ``list`` against null, which is the same (an annotated reverse says it, a generated
      one does not): :func:`equal_collections` tells where;
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
            out.append(Difference(name, "class", _presence(name in old_classes)))
            continue
        out += _compare_class(name, old_classes[name], new_classes[name])
    old, new = _warnings(before), _warnings(after)
    out += [Difference("warnings", "only before", text) for text in sorted((old - new).elements())]
    out += [Difference("warnings", "only after", text) for text in sorted((new - old).elements())]
    return out


def equal_collections(before: Json, after: Json) -> list[str]:
    """Return the relationships of which one answer has ``list`` and the other null as collection class."""
    out = []
    for name, old in before["classes"].items():
        new = after["classes"].get(name, {"relationships": {}})
        for key in old["relationships"].keys() & new["relationships"].keys():
            pair = [side["relationships"][key]["collection_class"] for side in (old, new)]
            if pair in ([None, "builtins.list"], ["builtins.list", None]):
                out.append(f"{name}.{key}")
    return sorted(out)


def _failure(side: str, error: Json) -> Difference:
    where = f" in {error['module']}" if error["module"] else ""
    return Difference(side, f"{error['stage']} failed{where}", f"{error['type']}: {error['message']}")


def _compare_class(name: str, old: Json, new: Json) -> list[Difference]:
    fields = [field for field in ("attributes", "dataclass") if old[field] != new[field]]
    out = [Difference(name, field, f"{old[field]} -> {new[field]}") for field in fields]
    old_relationships, new_relationships = old["relationships"], new["relationships"]
    for key in sorted(old_relationships.keys() | new_relationships.keys()):
        where = f"{name}.{key}"
        if key not in old_relationships or key not in new_relationships:
            out.append(Difference(where, "relationship", _presence(key in old_relationships)))
            continue
        left, right = old_relationships[key], new_relationships[key]
        for field in sorted(left.keys() | right.keys()):
            if field == "query_class" and "dynamic" not in (left["lazy"], right["lazy"]):
                continue
            values = [left.get(field), right.get(field)]
            if field == "collection_class":
                values = [None if value == "builtins.list" else value for value in values]
            if values[0] != values[1]:
                out.append(Difference(where, field, f"{values[0]} -> {values[1]}"))
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


def compare_alone(before: Json, after: Json) -> list[Difference]:
    """Return every module that could be used alone before and cannot be any more.

    Takes two answers to requests with ``each_alone``. An explicit reverse names its target's class, so a
    program that never imports the module of that class fails where it worked with ``backref=``.
    """
    old, new = before["alone"], after["alone"]
    return [
        Difference(module, "imported alone", f"works -> {new[module]['type']}: {new[module]['message']}")
        for module in sorted(old.keys() & new.keys())
        if new[module] is not None and old[module] is None
    ]


# ---------------------------------------------------------------------------------------------------------
# Running a request


class _Failed(Exception):
    """Carries the error part of an answer."""

    def answer(self) -> Json:
        """Return the answer that tells of it."""
        known: list[list[str]] = []
        with suppress(Exception):  # no SQLAlchemy, or a broken one: the error says so
            known = [place for mapper in _mappers() for place in _lineage(mapper.class_)]
        return {"error": dict(self.args[0], known=known, sys_path=list(sys.path))}


def run(request: Json) -> Json:
    """Import the modules of ``request`` into this process, describe all mappers and return the answer.

    See the module's docstring for the request. The answer is what :func:`describe` returns, and
    ``"modules"``: the names that were imported, ``"loaded"``: those of all modules in the process, in their
    order, ``"served"``: the real paths of the files that were taken from memory, and ``"warnings"``. With
    ``each_alone`` it is ``{"alone": {module: null or error}}``.

    What goes wrong is returned, not raised: ``{"error": {"stage": "setup" | "import" | "configure", "module",
    "type", "message", "traceback", "known", "others", "sys_path"}}``, where ``known`` has ``[file, name]`` of
    each class mapped until then and of its bases, and ``others`` the errors of further modules that cannot be
    imported, in the same form. Processes that end without an answer give the stages "process" and "timeout".

    Only once in a process.
    """
    sys.dont_write_bytecode = True
    overrides = request.get("overrides") or {}
    memory = _Memory({_real(path): data and base64.b64decode(data) for path, data in overrides.items()})
    memory.install()
    sys.path[:0] = request.get("sys_path") or []
    modules: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if request.get("setup"):
                with _stage("setup"):
                    exec(compile(request["setup"], "<setup>", "exec"), {"__name__": "__setup__"})
            if request.get("each_alone"):
                return {"alone": _each_alone_retried(request)}
            modules += _import_all(request, memory)
            with _stage("configure"):
                answer = describe()
        except _Failed as failure:
            answer = failure.answer()
    answer["modules"] = modules
    answer["loaded"] = list(sys.modules)
    answer["served"] = sorted(memory.served)
    answer["warnings"] = _sqlalchemy_warnings(caught)
    return answer


def _import_all(request: Json, memory: _Memory) -> list[str]:
    """Import all modules and return their names. Goes on after one that fails, so that all are reported."""
    done: list[str] = []
    errors: list[Json] = []

    def load(name: str) -> Any:
        if name not in done:
            done.append(name)
            try:
                with _stage("import", name):
                    return importlib.import_module(name)
            except _Failed as failure:
                errors.append(failure.args[0])
        return None

    for name in request["modules"]:
        module = load(name)
        if request.get("submodules") and module is not None:
            for below in memory.submodules(name, list(getattr(module, "__path__", ()))):
                if _matches(below, request.get("patterns") or ()):
                    load(below)
    if errors:
        raise _Failed(dict(errors[0], others=errors[1:]))
    return done


def _matches(name: str, patterns: Sequence[str]) -> bool:
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return (not wanted or any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)) and not any(
        fnmatch.fnmatchcase(name, pattern) for pattern in unwanted
    )


@contextmanager
def _stage(stage: str, module: str | None = None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too, and what test frameworks raise to skip a module
        lines = [
            line
            for line in traceback.format_exc().splitlines()
            if line.strip() and not line.startswith('  File "<frozen importlib')
        ]
        error_part = {
            "stage": stage,
            "module": module,
            "type": type(error).__name__,
            "message": _tidy(error),
            "traceback": lines[-12:],
            "others": [],
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


class _Memory:
    """Files that imports find with other bytes than on disk, or find although, or only if, the disk has none.

    ``contents`` is real path -> bytes, or None for a file to be hidden. ``served`` collects what was taken.
    """

    def __init__(self, contents: dict[str, bytes | None]) -> None:
        self.contents = contents
        self.served: set[str] = set()
        # The last parts of the names of modules which are on one side only, in memory or on disk.
        self._moved: set[str] = set()
        for path, data in contents.items():
            if (data is None) == os.path.exists(path):
                folder, name = os.path.split(os.path.splitext(path)[0])
                self._moved.add(os.path.basename(folder) if name == "__init__" else name)

    def install(self) -> None:
        """Make imports see these files.

        All loaders of source files share one base class, so this holds for every finder. The compiled file
        in ``__pycache__`` belongs to the bytes on disk, so it is not looked at.
        """
        if not self.contents:
            return
        loader: Any = importlib.machinery.SourceFileLoader
        get_code, get_data = loader.get_code, loader.get_data

        def code_from_memory(this: Any, fullname: str) -> Any:
            path = this.get_filename(fullname)
            data = self.contents.get(_real(path))
            if data is None:
                return get_code(this, fullname)
            self.served.add(_real(path))
            return this.source_to_code(data, path)

        def data_from_memory(this: Any, path: str) -> bytes:
            data = self.contents.get(_real(path))
            return get_data(this, path) if data is None else data

        loader.get_code, loader.get_data = code_from_memory, data_from_memory
        if self._moved:
            sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Find a module that stands elsewhere, or nowhere, when these files replace those on disk.

        Returns None for all others: they are left to the finders that come next.
        """
        hidden = False
        tail = fullname.rpartition(".")[2]
        if tail not in self._moved:
            return None
        for folder in sys.path if path is None else path:
            base = os.path.join(folder or os.getcwd(), tail)
            package = os.path.join(base, "__init__.py")
            for file, search in ((package, [base]), (base + ".py", None)):
                if self.contents.get(_real(file)) is not None and not os.path.exists(file):
                    loader = importlib.machinery.SourceFileLoader(fullname, file)
                    return importlib.util.spec_from_file_location(
                        fullname, file, loader=loader, submodule_search_locations=search
                    )
            spec = importlib.machinery.PathFinder.find_spec(fullname, [folder], target)
            if spec is not None and not (spec.origin and self._is_hidden(spec.origin)):
                return spec if hidden else None
            hidden = hidden or spec is not None
        if hidden:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None

    def _is_hidden(self, path: str) -> bool:
        path = _real(path)
        return path in self.contents and self.contents[path] is None

    def _exists(self, path: str) -> bool:
        real = _real(path)
        return self.contents[real] is not None if real in self.contents else os.path.isfile(path)

    def submodules(self, package: str, folders: list[str]) -> Iterator[str]:
        """Yield the names of all modules below a package which is found in ``folders``.

        Not ``__main__``, which is a program; nor what is below folders without an ``__init__.py``. Nothing is
        imported for it.
        """
        for folder in folders:
            entries = set(os.listdir(folder)) if os.path.isdir(folder) else set()
            inside = os.path.join(_real(folder), "")
            entries.update(
                path[len(inside) :].split(os.sep)[0] for path in self.contents if path.startswith(inside)
            )
            for entry in sorted(entries):
                name, extension = os.path.splitext(entry)
                path = os.path.join(folder, entry)
                if not name.isidentifier() or name in {"__init__", "__main__", "__pycache__"}:
                    continue
                if extension == ".py" and self._exists(path):
                    yield f"{package}.{name}"
                elif not extension and self._exists(os.path.join(path, "__init__.py")):
                    yield f"{package}.{name}"
                    yield from self.submodules(f"{package}.{name}", [path])


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def _each_alone_retried(request: Json) -> Json:
    """Return ``{module: null or error}``: can the mappers be configured with only that module imported?"""
    modules, jobs, timeout = request["modules"], request.get("jobs") or 1, request.get("timeout")
    with suppress(Exception):
        import sqlalchemy.orm  # noqa: F401  so that a forked child has it already
    if not hasattr(os, "fork"):
        single = dict(request, each_alone=False)
        return {module: run_in_child(dict(single, modules=[module])).get("error") for module in modules}

    def tried(names: list[str], preload: list[str], jobs: int) -> Json:
        [answer] = _forked([partial(_on_top_of, preload, names, jobs, timeout)], 1)
        found: Json = answer["alone"] if "alone" in answer else dict.fromkeys(names, answer["error"])
        return found

    found = tried(modules, request.get("preload") or [], jobs) or tried(modules, [], jobs)
    for module, error in found.items():
        # Imports that run side by side, or on top of others, may disturb each other: not so by themselves.
        if error and error["stage"] != "configure":
            found.update(tried([module], [], 1))
    return found


def _on_top_of(preload: list[str], modules: list[str], jobs: int, timeout: float | None) -> Json:
    """Import ``preload``, and then try modules by themselves; no module if those are no more alone then."""
    tops = {module.partition(".")[0] for module in modules}.difference(sys.modules)
    with _time_limit(timeout):
        for name in preload:
            with suppress(Exception, SystemExit):
                importlib.import_module(name)
    gc.freeze()  # no collection in a fork goes through these again
    return {"alone": {} if tops.intersection(sys.modules) else _each_alone(modules, set(), jobs, timeout)}


def _each_alone(modules: list[str], done: set[str], jobs: int, timeout: float | None) -> Json:
    """Try modules by themselves, on top of what this process has imported; ``done`` are names among that.

    To import ``a.b`` is to import ``a`` and then ``b``, so what is below ``a`` is tried in forks of one
    process that has imported ``a``. A module which that has imported already needs no fork of its own. This
    process is of no use for anything else afterwards.
    """
    found: Json = {}
    groups: dict[str, list[str]] = {}
    loaded = []
    for module in modules:
        if module in sys.modules or module in done:
            loaded.append(module)
            continue
        parts = module.split(".")
        names = [".".join(parts[: count + 1]) for count in range(len(parts))]
        missing = next(name for name in names if name not in sys.modules and name not in done)
        groups.setdefault(missing, []).append(module)
    share = jobs if len(groups) == 1 else 1
    tasks = [partial(_alone, name, below, share, timeout) for name, below in groups.items()]
    for below, answer in zip(groups.values(), _forked(tasks, jobs)):
        found.update(answer["alone"] if "alone" in answer else dict.fromkeys(below, answer["error"]))
    if loaded:
        found.update(dict.fromkeys(loaded, _configured(timeout).get("error")))
    return found


def _alone(name: str, below: list[str], jobs: int, timeout: float | None) -> Json:
    """Import one more module, and try those of ``below`` on top of it: itself, and what is below it."""
    try:
        with _time_limit(timeout), _stage("import", name):
            importlib.import_module(name)
        return {"alone": _each_alone(below, {name}, jobs, timeout)}
    except _Failed as failure:
        return failure.answer()


def _configured(timeout: float | None) -> Json:
    try:
        with _time_limit(timeout), _stage("configure"):
            from sqlalchemy.orm import configure_mappers

            gc.collect()
            configure_mappers()
        return {}
    except _Failed as failure:
        return failure.answer()


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """End this process, whatever it is waiting for, if it stays within the block for too long."""
    if seconds is None:
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(math.ceil(seconds))
    try:
        yield
    finally:
        signal.alarm(0)


def run_in_child(request: Json) -> Json:
    """Return the answer of :func:`run` in a process of its own; ``answer`` in ``request`` is not used.

    Where processes can be forked, the child has all that is imported already: import SQLAlchemy first. A
    child that dies without an answer gives an error of stage ``"process"``.
    """
    if hasattr(os, "fork"):
        return _forked([lambda: run(request)], 1)[0]
    handle, path = tempfile.mkstemp(prefix="probe-", suffix=".json")
    os.close(handle)
    data = json.dumps(dict(request, answer=path)).encode()
    command = [sys.executable, os.path.abspath(__file__)]
    try:
        done = subprocess.run(
            command, input=data, stdout=subprocess.DEVNULL, timeout=request.get("timeout"), check=False
        )
        return _read_answer(path) or _no_answer("process", f"status {done.returncode}")
    except subprocess.TimeoutExpired:
        return _no_answer("timeout", f"after {request['timeout']:g} seconds")
    finally:
        os.unlink(path)


def _forked(tasks: Sequence[Callable[[], Json]], jobs: int) -> list[Json]:
    """Return what each task returns in a fork of this process, some of which run at a time."""
    answers: list[Json] = []
    running: deque[tuple[int, str]] = deque()
    waiting = deque(tasks)
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_fork(waiting.popleft()))
        child, path = running.popleft()
        try:
            status = os.waitpid(child, 0)[1]
            late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            stage, how = ("timeout", "in time") if late else ("process", f"status {status}")
            answers.append(_read_answer(path) or _no_answer(stage, how))
        finally:
            os.unlink(path)
    return answers


def _fork(task: Callable[[], Json]) -> tuple[int, str]:
    handle, path = tempfile.mkstemp(prefix="probe-", suffix=".json")
    os.close(handle)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _answer_and_exit(task, path)
    return child, path


def _read_answer(path: str) -> Json | None:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    answer: Json | None = json.loads(text) if text else None
    return answer


def _no_answer(stage: str, how: str) -> Json:
    error: Json = {
        "stage": stage,
        "module": None,
        "type": "ProcessError",
        "message": f"the process ended without an answer ({how})",
        "traceback": [],
        "others": [],
        "known": [],
        "sys_path": [],
    }
    return {"error": error}


def _answer_and_exit(task: Callable[[], Json], answer: Any) -> None:
    """Run ``task``, write what it returns to ``answer`` and end this process.

    It ends without clean-up: threads and exit handlers which the models started are no business of ours.
    """
    status = 1
    try:
        text = json.dumps(task(), ensure_ascii=True, sort_keys=True)
        with open(answer, "w", encoding="utf-8") as file:
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
    sys.argv[1:] = []  # modules that read it would take the request for an option of theirs
    _answer_and_exit(lambda: run(request), request["answer"])


if __name__ == "__main__":
    main()
