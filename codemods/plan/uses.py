"""Uses of attributes that will exist only once the mappers are configured.

``Parent.children`` of a backref is no attribute of the class before that. SQLAlchemy: "Using the legacy
'backref' relationship parameter".
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from backpop.codemods.facts import ClassInfo, Definition, Module, Scope
from backpop.codemods.link import Project
from backpop.codemods.plan.model import Collapse, Report


def early_uses(project: Project, conversions: Sequence[Collapse]) -> list[Report]:
    """A note on every place that reads ``Target.reverse`` from the class.

    BP902 where that happens when a module is imported, BP903 where a function does it.
    """
    wanted: dict[str, set[ClassInfo]] = defaultdict(set)
    for conversion in conversions:
        wanted[conversion.reverse_name].add(conversion.target)
    if not wanted:
        return []
    attributes = b"|".join(sorted(name.encode() for name in wanted))
    classes = b"|".join(sorted(set(_class_names(project, conversions))))
    quick = re.compile(rb"\.\s*(?:%s)\b" % attributes)
    renaming = re.compile(rb"\b(?:%s)\s+as\s+(\w+)" % classes)

    def may_use(data: bytes) -> bool:
        if not quick.search(data):
            return False
        owners = b"|".join([classes, *renaming.findall(data)])
        return re.search(rb"\b(?:%s)\s*\.\s*(?:%s)\b" % (owners, attributes), data) is not None

    notes: list[Report] = []
    for path in project.files.where(may_use):
        module = project.module(path)
        if module is not None:
            notes += _in_module(project, module, wanted)
    return notes


def _class_names(project: Project, conversions: Sequence[Collapse]) -> Iterator[bytes]:
    for target in {conversion.target for conversion in conversions}:
        yield from (made.name.encode() for made in (target, *project.subclasses(target)))


def _in_module(project: Project, module: Module, wanted: dict[str, set[ClassInfo]]) -> Iterator[Report]:
    for node, scope, function in _attributes(module.tree, module.scope, None):
        if node.attr not in wanted or not isinstance(node.ctx, ast.Load):
            continue
        made = project.resolve(node.value, scope)
        if not isinstance(made, ClassInfo):
            continue
        if wanted[node.attr].isdisjoint((made, *project.ancestors(made))):
            continue
        line, column = module.source.position(module.source.span(node)[0])
        text = ast.unparse(node)
        if function is None:
            yield Report(module.path, line, column, "BP902", f"{text} is read when the module is imported")
        else:
            yield Report(module.path, line, column, "BP903", f"{text} is read in {function}()")


def _attributes(
    root: ast.AST, scope: Scope, function: str | None
) -> Iterator[tuple[ast.Attribute, Scope, str | None]]:
    """Every attribute below a node, with its scope and the function that reads it, None for none."""
    waiting: list[tuple[ast.AST, Scope, str | None]] = [(root, scope, function)]
    while waiting:
        node, scope, function = waiting.pop()
        if isinstance(node, ast.Attribute):
            yield node, scope, function
        inner = scope.inner(node)
        if isinstance(node, Definition) and inner is not None:
            now: list[ast.AST] = [*node.decorator_list, node.args]
            waiting += ((part, scope, function) for part in now)
            waiting += ((part, inner, function or node.name) for part in node.body)
        elif isinstance(node, ast.ClassDef) and inner is not None:
            waiting += ((part, scope, function) for part in (*node.decorator_list, *node.bases))
            waiting += ((part, inner, function) for part in node.body)
        elif isinstance(node, ast.Lambda):
            waiting.append((node.body, scope, function or "lambda"))
        else:
            waiting += ((part, scope, function) for part in ast.iter_child_nodes(node))
