"""The facts behind a conversion, in words."""

from __future__ import annotations

from collections.abc import Iterator

from backpop.cli.console import printable, shown
from backpop.codemods.review import Pair


def facts_of(pair: Pair, *, explicit: bool) -> Iterator[tuple[str, str]]:
    """What and how it is, for each fact of a pair; ``explicit`` if backref becomes back_populates."""
    facts = pair.facts
    yield "Direction", facts.direction or "the source does not tell"
    named = " ".join(pair.named.split())
    place = printable(f"{shown(pair.found_path)}:{pair.found_line}")
    yield "Target", f"{printable(named)} is {pair.reverse.owner} at {place}"
    if pair.reverse.before == pair.reverse.after:
        yield "Reverse", "is there already, exactly as it is needed"
    if facts.inherited:
        taken = "which a backref inherits and the reverse therefore repeats"
        taken = taken if explicit else "which a backref inherits, so that nothing says it any more"
        yield "Inherited", f"{', '.join(facts.inherited)}, {taken}"
    if facts.moved:
        way = "from backref(...) to the reverse" if explicit else "from the reverse to backref(...)"
        yield "Moved", f"{', '.join(facts.moved)}, {way}"
    if facts.imports:
        yield "Imports", printable(", ".join(facts.imports))
