"""Proof that a change of source files leaves the mapper graph as it is: SQLAlchemy itself is asked.

One process describes the models as they are, another one with other bytes for some of the files (see
:mod:`backpop.codemods.ask`), and the two descriptions are compared. Where they differ, the conversions that
make the difference are found and set aside, until what is left is proved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backpop.codemods import probe
from backpop.codemods.ask import Failure, Files, Subject, ask, failure_of
from backpop.codemods.edits import FileChange
from backpop.codemods.facts import ClassInfo, Site
from backpop.codemods.plan.model import Conversion, listed
from backpop.codemods.probe import Difference, Json
from backpop.codemods.run import Outcome

# Nothing can be said of the models then, whatever the files hold.
_FATAL = frozenset({"start", "timeout", "repeat"})
_ALONE = "imported alone"
_OF_THE_PROCESS = ("__main__", "__mp_main__")


@dataclass(frozen=True)
class Verification:
    """What two descriptions say: how much was compared, and what differs.

    ``sides`` are the relationship attributes, each counted on the class that it is written on; the two sides
    of a pair are one of ``relationships``. ``modules`` is how many were imported; ``notes`` are differences
    that make none. Where there is an ``error``, one of the two could not be described.
    """

    relationships: int = 0
    sides: int = 0
    modules: int = 0
    differences: tuple[Difference, ...] = ()
    error: Failure | None = None
    notes: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether it is proved that both map the same."""
        return not self.differences and self.error is None


@dataclass(frozen=True)
class SetAside:
    """The conversions of one backref that are not proved, and the differences that they make, if any."""

    conversions: tuple[Conversion, ...]
    code: str
    detail: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What is left of an outcome when all that is not proved is set aside.

    ``verification`` is that of ``outcome``; where it has an error, nothing is proved, whatever is in it.
    """

    outcome: Outcome
    verification: Verification
    aside: tuple[SetAside, ...]


class _StuckError(Exception):
    """Carries the failure that ends a proof."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def verify(subject: Subject, before: Files, after: Files) -> Verification:
    """Compare the models with the files of ``before`` to those with the files of ``after``.

    Never raises for what the models do. A failure on the side of ``before`` leaves no differences; one that
    comes of importing or configuring ``after`` is a difference as well as the error.
    """
    try:
        models = _Models(subject, before)
        return models.compared(after).verification
    except _StuckError as stuck:
        return Verification(error=stuck.failure)


def prove(subject: Subject, outcome: Outcome) -> Proof:
    """Set aside the conversions of ``outcome`` that are not proved, and rewrite the others, until all are.

    What is set aside is among the refusals of the outcome that is returned: BP701 for a conversion that makes
    a difference, BP702 for one that the models of ``subject`` do not show.
    """
    aside: list[SetAside] = []
    try:
        models = _Models(subject, {})
        found = _uncovered(models, outcome)
        while True:
            if found:
                aside += found
                outcome = outcome.without({one.conversions[0].site: (one.code, one.detail) for one in found})
            if not outcome.conversions:
                verification = models.nothing_changed()
                break
            compared = models.compared(_files(outcome.changes))
            verification = compared.verification
            found = _not_served(compared, outcome)
            if verification.identical and not found:
                break
            if not found:
                models.check_steady()
                found = _guilty(models, compared, outcome)
    except _StuckError as stuck:
        verification = Verification(error=stuck.failure)
    return Proof(outcome, verification, tuple(aside))


# ---------------------------------------------------------------------------------------------------------
# Comparing


@dataclass(frozen=True)
class _Compared:
    """A verification, with what is needed to find out which conversion makes a difference."""

    verification: Verification
    served: frozenset[str] = frozenset()
    # Of each module that cannot be used alone any more: the classes that were known when it failed.
    known: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)


class _Models:
    """The models with the files of one side, to be compared with those of others."""

    def __init__(self, subject: Subject, before: Files) -> None:
        self.subject = subject
        self.before = before
        self.answer = ask(subject, before)
        self._alone: dict[str, Any] = {}
        self._steady = False
        if "error" in self.answer:
            raise _StuckError(failure_of("before", self.answer["error"]))

    @property
    def classes(self) -> Json:
        classes: Json = self.answer["classes"]
        return classes

    def nothing_changed(self) -> Verification:
        """The verification of no change at all."""
        relationships, sides = _count(self.classes)
        return Verification(relationships, sides, len(self.answer["modules"]))

    def compared(self, after: Files, alone: Sequence[str] | None = None) -> _Compared:
        """Compare with the files of another side.

        ``alone`` are the modules to try by themselves as well; if None, those that the subject asks for. They
        are only tried if nothing else differs. Raises :class:`_StuckError` if nothing can be found out.
        """
        answer = ask(self.subject, after)
        verification = replace(
            self.nothing_changed(), differences=tuple(probe.differences(self.answer, answer))
        )
        if "error" in answer:
            failure = failure_of("after", answer["error"])
            if failure.stage in _FATAL:
                raise _StuckError(failure)
            return _Compared(replace(verification, error=failure))
        equal = probe.equal_collections(self.answer, answer)
        if equal:
            note = f"list in place of None as collection class, which is the same: {listed(equal)}"
            verification = replace(verification, notes=(note,))
        served = frozenset(answer["served"])
        if alone is None:
            alone = answer["modules"] if self.subject.alone else ()
        if verification.differences or not alone:
            return _Compared(verification, served)
        found, known = self._compared_alone(after, alone)
        return _Compared(replace(verification, differences=tuple(found)), served, known)

    def _compared_alone(
        self, after: Files, modules: Sequence[str]
    ) -> tuple[list[Difference], dict[str, frozenset[tuple[str, str]]]]:
        new = self._each_alone("after", after, modules)
        failing = [module for module in modules if new[module] is not None]
        untried = [module for module in failing if module not in self._alone]
        if untried:
            self._alone |= self._each_alone("before", self.before, untried)
        old = {module: self._alone[module] for module in failing}
        found = probe.compare_alone({"alone": old}, {"alone": new})
        known = {
            difference.name: frozenset((path, name) for path, name in new[difference.name]["known"])
            for difference in found
        }
        return found, known

    def _each_alone(self, side: str, files: Files, modules: Sequence[str]) -> Json:
        answer = ask(self.subject, files, modules, self._foreign())
        if "error" in answer:
            raise _StuckError(failure_of(side, answer["error"]))
        found: Json = answer["alone"]
        return found

    def _foreign(self) -> list[str]:
        """The modules, of all that importing the subject's loads, that are not below the same packages."""
        own = {name.partition(".")[0] for name in (*self.subject.modules, *_OF_THE_PROCESS)}
        return [name for name in self.answer["loaded"] if name.partition(".")[0] not in own]

    def check_steady(self) -> None:
        """Raise :class:`_StuckError` if the same files are not described the same once more."""
        if self._steady:
            return
        self._steady = True
        differences = probe.differences(self.answer, ask(self.subject, self.before))
        if differences:
            reason = f"the same files are described differently each time: {differences[0]}"
            raise _StuckError(Failure("before", "repeat", None, reason))


def _count(classes: Json) -> tuple[int, int]:
    """How many relationships there are, and how many sides they have."""
    reverses: dict[str, list[str]] = {
        f"{name}.{key}": relationship["reverse"]
        for name, described in classes.items()
        for key, relationship in described["relationships"].items()
        if relationship["owner"] == name
    }
    count = 0
    seen: set[str] = set()
    for side in reverses:
        if side in seen:
            continue
        count += 1
        waiting = [side]
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += reverses.get(one, ())
    return count, len(reverses)


# ---------------------------------------------------------------------------------------------------------
# Which conversion makes a difference


def _files(changes: Iterable[FileChange]) -> dict[str, bytes | None]:
    return {str(change.path): change.after for change in changes}


def _by_site(conversions: Iterable[Conversion]) -> dict[Site, tuple[Conversion, ...]]:
    found: dict[Site, tuple[Conversion, ...]] = {}
    for conversion in conversions:
        found[conversion.site] = (*found.get(conversion.site, ()), conversion)
    return found


def _place(made: ClassInfo) -> tuple[str, str]:
    return made.module.path, made.qualname


class _Names:
    """The names under which the sides of conversions are described."""

    def __init__(self, classes: Json) -> None:
        self._classes: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._sides = {
            f"{name}.{key}" for name, described in classes.items() for key in described["relationships"]
        }
        for name, described in classes.items():
            # Those of its bases, too: a class is described with what it inherits.
            for path, qualname in described["lineage"]:
                self._classes[path, qualname].append(name)

    def sides(self, made: ClassInfo, attribute: str) -> set[str]:
        """The names of an attribute on a class, and on those that inherit it; none if it is not mapped."""
        return {f"{name}.{attribute}" for name in self._classes.get(_place(made), ())} & self._sides

    def all_of(self, conversion: Conversion) -> set[str]:
        """Every name that a difference which the conversion makes can have."""
        names = self.sides(conversion.source, conversion.forward_name)
        names |= self.sides(conversion.target, conversion.reverse_name)
        for made in (conversion.source, conversion.target):
            names.update(self._classes.get(_place(made), ()))
        return names


def _uncovered(models: _Models, outcome: Outcome) -> list[SetAside]:
    """The conversions of relationships that are not among the models."""
    names = _Names(models.classes)
    found = []
    for together in _by_site(outcome.conversions).values():
        for one in together:
            ends = ((one.source, one.forward_name), (one.target, one.reverse_name))
            missing = [
                f"{made.name}.{attribute}" for made, attribute in ends if not names.sides(made, attribute)
            ]
            if missing:
                detail = f"{listed(models.subject.modules)} maps no {' and no '.join(missing)}"
                found.append(SetAside(together, "BP702", detail))
                break
    return found


def _not_served(compared: _Compared, outcome: Outcome) -> list[SetAside]:
    """The conversions in files whose new bytes nothing took, so that nothing was proved of them."""
    if compared.verification.error is not None:
        return []
    missed = {
        path for path in map(str, (change.path for change in outcome.changes)) if path not in compared.served
    }
    return [
        SetAside(together, "BP702", f"{one.home.shown} was not loaded by an import of its source")
        for together in _by_site(outcome.conversions).values()
        for one in together[:1]
        if any(module.path in missed for each in together for module in (each.home, each.there))
    ]


def _guilty(models: _Models, compared: _Compared, outcome: Outcome) -> list[SetAside]:
    """The conversions that make the differences: by the names of these, else by trying."""
    names = _Names(models.classes)
    found = []
    for together in _by_site(outcome.conversions).values():
        theirs = {name for conversion in together for name in names.all_of(conversion)}
        made = [one for one in compared.verification.differences if one.name in theirs]
        made += [alone for one in together for alone in _cut_off(one, compared.known)]
        if made:
            found.append(_changes(together, made))
    return found or [_guilty_by_trial(models, compared, outcome)]


def _cut_off(conversion: Conversion, known: Mapping[str, frozenset[tuple[str, str]]]) -> list[Difference]:
    """What a conversion does to the modules that map the class of its reverse, but not the one it names."""
    if conversion.there is not conversion.target.module:
        return []  # the reverse comes with its source
    source, target = _place(conversion.source), _place(conversion.target)
    modules = [module for module, places in known.items() if target in places and source not in places]
    if not modules:
        return []
    change = (
        f"works -> {conversion.target.name}.{conversion.reverse_name} needs {conversion.source.name}, "
        "which is not imported"
    )
    return [Difference(listed(modules, 2), _ALONE, change)]


def _guilty_by_trial(models: _Models, compared: _Compared, outcome: Outcome) -> SetAside:
    """The first conversion that makes a difference when those before it, which make none, are made too."""
    sites = _by_site(outcome.conversions)
    order = list(sites)
    alone = list(compared.known)
    good, bad = 0, len(order)
    failed = compared
    while bad - good > 1:
        middle = (good + bad) // 2
        part = outcome.without(dict.fromkeys(order[middle:], ("BP701", "")))
        tried = models.compared(_files(part.changes), alone)
        if tried.verification.identical:
            good = middle
        else:
            bad, failed = middle, tried
    return _changes(sites[order[bad - 1]], failed.verification.differences)


def _changes(together: tuple[Conversion, ...], differences: Sequence[Difference]) -> SetAside:
    # Messages of SQLAlchemy may span lines.
    texts = [" ".join(str(difference).split()) for difference in differences]
    more = f" (and {len(texts) - 3} more differences)" if len(texts) > 3 else ""
    return SetAside(together, "BP701", "; ".join(texts[:3]) + more, tuple(differences))
