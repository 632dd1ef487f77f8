"""``--interactive``: one conversion after the other, as ``git add -p`` asks for hunks."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rich.console import Console
from rich.style import Style
from rich.text import Text

from backpop.cli.console import printable, shown
from backpop.cli.facts import facts_of
from backpop.codemods.facts import Site
from backpop.codemods.review import Part, Review, marked, reviews
from backpop.codemods.run import Outcome

_HELP = """\
y  convert this pair
n  leave it as it is
a  convert this pair and all that are left in this file
d  leave this pair and all that are left in this file as they are
q  stop here; what was said yes to is written
?  say this again
"""
_BOLD, _DIM = Style(bold=True), Style(dim=True)
_STYLES = {"-": Style(color="red"), "+": Style(color="green"), " ": Style()}


def accepted(outcome: Outcome, *, explicit: bool) -> set[Site]:
    """Ask for each conversion on the terminal; the sites of those that were said yes to.

    The end of the input is ``q``. ``explicit`` if backref becomes back_populates.
    """
    console = Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
    count = len({one.site for one in outcome.conversions})
    chosen: set[Site] = set()
    rest: dict[str, str] = {}  # by file, what was said of all that are left in it
    for number, review in enumerate(reviews(outcome), 1):
        file = review.pairs[0].forward.path
        answer = rest.get(file)
        if answer is None:
            for line in _shown(review, f"({number}/{count})", explicit=explicit):
                console.print(line)
            answer = _answer(console, len(review.pairs))
        if answer == "q":
            break
        if answer in "ad":
            rest[file] = answer
        if answer in "ya":
            chosen.add(review.site)
    return chosen


def _answer(console: Console, pairs: int) -> str:
    what = "this pair" if pairs == 1 else f"these {pairs} pairs"
    while True:
        console.print(Text(f"Convert {what} [y,n,a,d,q,?]? ", _BOLD), end="")
        line = sys.stdin.readline()
        if not line:
            console.print()
            return "q"
        answer = line.strip().lower()
        if answer and answer in "ynadq":
            return answer
        console.print(_HELP, end="")


def _shown(review: Review, number: str, *, explicit: bool) -> Iterator[Text]:
    """What there is to judge, line by line."""
    for pair in review.pairs:
        yield Text(f"{number} {pair.forward.title} <-> {pair.reverse.title}", _BOLD)
        for label, text in facts_of(pair, explicit=explicit):
            yield Text(f"    {label}: {text}", _DIM)
    yield from _part(review.pairs[0].forward)
    for pair in review.pairs:
        yield from _part(pair.reverse)


def _part(part: Part) -> Iterator[Text]:
    if part.before == part.after:
        return
    yield Text(printable(f"{shown(part.path)}:{part.line}"), _DIM)
    before, after = part.before.splitlines(), part.after.splitlines()
    for mark, at in marked(before, after):
        line = (before if mark == "-" else after)[at]
        yield Text(f"{mark}{printable(line.expandtabs(4))}", _STYLES[mark])
