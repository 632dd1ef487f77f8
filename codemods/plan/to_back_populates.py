"""Planning the conversion of backrefs: every one gets an outcome."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping

from backpop.codemods.facts import TOO_DEEP, ClassInfo, Module, Scope, Site
from backpop.codemods.link import Project
from backpop.codemods.plan.annotate import annotated
from backpop.codemods.plan.existing import check_unnamed, has_reverse
from backpop.codemods.plan.factory import is_backref_function
from backpop.codemods.plan.forward import Forward, recognise
from backpop.codemods.plan.model import Expansion, Form, Plan, Refused, Report, Reverse
from backpop.codemods.plan.place import check_name_is_free
from backpop.codemods.plan.policy import Annotate, Placement
from backpop.codemods.plan.reverse import reverse_of
from backpop.codemods.plan.spots import ELSEWHERE, forms, spot_of


def plan_to_back_populates(
    project: Project,
    modules: list[Module],
    annotate: Annotate = Annotate.AUTO,
    placement: Placement = Placement.AUTO,
) -> Plan:
    """Plan the conversion of every backref in ``modules``; targets may be anywhere in ``project``."""
    refusals: list[Report] = []
    sites: list[tuple[Site, list[Forward]]] = []
    rivals: dict[_Attribute, list[Forward]] = defaultdict(list)
    for site in (site for module in modules for site in module.sites):
        try:
            forwards = recognise(project, site)
        except Refused as refused:
            refusals.append(Report.at(site, refused.code, refused.detail))
            continue
        except TOO_DEEP:
            refusals.append(Report.at(site, "BP602", "it is nested too deeply"))
            continue
        sites.append((site, forwards))
        for forward in forwards:
            rivals[_attribute(project, forward, forward.target)].append(forward)
    planned: dict[Site, list[Expansion]] = {}
    for site, forwards in sites:
        try:
            for forward in forwards:
                _check_rivals(project, forward, rivals)
                check_unnamed(project, forward)
            planned[site] = [_convert(project, forward, annotate, placement) for forward in forwards]
        except Refused as refused:
            refusals.append(Report.at(site, refused.code, refused.detail))
        except TOO_DEEP:
            refusals.append(Report.at(site, "BP602", "it is nested too deeply"))
    conversions, hiding = _arranged(planned)
    if hiding:
        forwards_at = dict(sites)
        for site, one in {one.site: one for one in hiding}.items():
            try:
                planned[site] = _after_source(project, forwards_at[site], annotate, placement)
            except Refused:
                del planned[site]
                refusals.append(Report.at(site, "BP505", f"{one.reverse_name} in {one.target.name}"))
        conversions, _ = _arranged(planned)
    notes = [*_notes(project, conversions), *(_readers(project, modules) if conversions else ())]
    return Plan(tuple(conversions), tuple(sorted(refusals)), tuple(sorted(notes)))


def _arranged(planned: Mapping[Site, list[Expansion]]) -> tuple[list[Expansion], list[Expansion]]:
    """All conversions in an order in which new reverses can stand in a class body, and those that cannot.

    An attribute hides a name of the module from what the body reads below it: it goes below whatever reads
    that name. An annotation is looked up when all attributes are there.
    """
    conversions = [one for together in planned.values() for one in together]
    arranged, hiding = list(conversions), list[Expansion]()
    bodies: dict[ClassInfo, dict[int, Reverse]] = defaultdict(dict)
    for place, one in enumerate(conversions):
        if one.reverse is not None and one.reverse.spot.form is Form.BODY:
            bodies[one.target][place] = one.reverse
    for reverses in bodies.values():
        names = {one.name for one in reverses.values()}
        if all(names.isdisjoint(one.reads()) for one in reverses.values()):
            continue
        annotations = set[str]().union(*(one.annotation_reads() for one in reverses.values()))
        hiding += [conversions[place] for place, one in reverses.items() if one.name in annotations]
        reads = {place: one.reads_at_once() & names for place, one in reverses.items()}
        order, stuck = _below_readers(reverses, reads)
        hiding += [conversions[place] for place in stuck]
        for place, chosen in zip(sorted(order), order, strict=True):
            arranged[place] = conversions[chosen]
    return arranged, hiding


def _below_readers(reverses: dict[int, Reverse], reads: dict[int, set[str]]) -> tuple[list[int], list[int]]:
    """The places of reverses, each below those that read its name; and of those that read each other's."""
    from graphlib import CycleError, TopologicalSorter

    stuck: list[int] = []
    while True:
        left = {place: one.name for place, one in reverses.items() if place not in stuck}
        readers = {place: [other for other in left if name in reads[other]] for place, name in left.items()}
        try:
            return list(TopologicalSorter(readers).static_order()), stuck
        except CycleError as error:
            stuck.append(error.args[1][0])


def _after_source(
    project: Project, forwards: list[Forward], annotate: Annotate, placement: Placement
) -> list[Expansion]:
    """The pairs of one site, with no reverse in a class body. Raises :class:`Refused`."""
    if placement is Placement.AUTO:
        found = [_convert(project, forward, annotate, Placement.AFTER_SOURCE) for forward in forwards]
        if not any(one.reverse is not None and one.reverse.spot.form is Form.BODY for one in found):
            return found
    raise Refused("BP505", "it would have to stand in a class body")


# A class, the scope that maps it if that is done imperatively, and an attribute.
_Attribute = tuple[ClassInfo, Scope | None, str]


def _attribute(project: Project, forward: Forward, made: ClassInfo) -> _Attribute:
    mapped = project.mappings.of_class(made, forward.scope)
    return made, mapped[0].call.scope if mapped else None, forward.backref.name


def _check_rivals(project: Project, forward: Forward, rivals: dict[_Attribute, list[Forward]]) -> None:
    name, target = forward.backref.name, forward.target
    line = [target, *(base.made for base in project.mappings.bases(target, forward.scope))]
    claims = [claim for made in line for claim in rivals.get(_attribute(project, forward, made), ())]
    others = [other for other in claims if other is not forward]
    if others:
        where = ", ".join(f"{other.source.name}.{other.name}" for other in others)
        raise Refused("BP402", f"{target.name}.{name} is also made by {where}")


def _convert(project: Project, forward: Forward, annotate: Annotate, placement: Placement) -> Expansion:
    """One backref as a pair. Raises the :class:`Refused` of the first place that its reverse could have."""
    reverse = None
    if not has_reverse(project, forward):
        check_name_is_free(project, forward)
        reverse = _reverse(project, forward, placement)
        if reverse.spot.form is Form.BODY:
            reverse = annotated(project, forward, reverse, annotate)
    return Expansion(
        site=forward.site,
        source=forward.source,
        target=forward.target,
        forward_name=forward.name,
        reverse_name=forward.backref.name,
        backref=forward.backref.node,
        name_text=forward.backref.name_text,
        reverse=reverse,
    )


def _reverse(project: Project, forward: Forward, placement: Placement) -> Reverse:
    first: Refused | None = None
    for form in forms(project, forward, placement):
        try:
            return reverse_of(project, forward, spot_of(project, forward, form))
        except Refused as refused:
            first = first or refused
            if refused.code not in ELSEWHERE:
                break
    raise first or Refused("BP312", f"{forward.source.name}.{forward.name} stands in a mixin")


def _notes(project: Project, conversions: list[Expansion]) -> list[Report]:
    """A note for each module of targets that may come to be used without the sources that they now need, and
    one for each reverse that is not annotated in a typed class."""
    needed: dict[Module, dict[Module, Expansion]] = defaultdict(dict)
    for conversion in conversions:
        source, target = conversion.source.module, conversion.there
        if source is not target and not project.is_imported_with(target, source):
            needed[target].setdefault(source, conversion)
    notes = [
        Report.at(one.site, code, f"{one.title}: {detail}")
        for one in conversions
        for code, detail in (one.reverse.notes if one.reverse is not None else ())
    ]
    for target, sources in needed.items():
        names = ", ".join(sorted(source.shown for source in sources))
        node = next(iter(sources.values())).target.node
        detail = f"nothing that {target.shown} or its packages import imports {names}"
        notes.append(Report(target.path, node.lineno, node.col_offset + 1, "BP901", detail))
    return notes


def _readers(project: Project, modules: list[Module]) -> Iterator[Report]:
    """A note for each place that reads the ``backref`` of a relationship: None in an explicit pair."""
    for module in modules:
        source = module.source
        if not all(word in source.text for word in (".backref", "sqlalchemy", "relationship")):
            continue
        called: set[ast.AST] = set()
        for node in module.near("backref"):
            if isinstance(node, ast.Call):
                called.add(node.func)
            elif (
                isinstance(node, ast.Attribute)
                and node.attr == "backref"
                and isinstance(node.ctx, ast.Load)
                and node not in called
                and not any(
                    is_backref_function(project, one) for one in project.resolve_all(node, module.scope)
                )
            ):
                line, column = source.position(source.span(node)[0])
                yield Report(source.path, line, column, "BP908", ast.unparse(node))
