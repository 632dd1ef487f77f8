"""``--report``: one page to review a conversion with, which needs nothing but a browser.

Everything that comes from source or file names reaches the page through the template, which escapes it, or
through Pygments, which does so as well. Should anything slip through, the page's own policy lets no script
run but the one that is in it, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from backpop.cli.console import printable, shown
from backpop.cli.facts import facts_of
from backpop.cli.report.graph import Drawing, Edge, drawings
from backpop.codemods.codes import CODES, Code
from backpop.codemods.plan.model import Report
from backpop.codemods.review import Part, Review, marked
from backpop.codemods.run import Outcome
from backpop.codemods.verify import Proof

_LEXER = PythonLexer(stripnl=False, ensurenl=False)
_FORMATTER = HtmlFormatter(nowrap=True)


@dataclass(frozen=True)
class _Lines:
    """The lines of one end of a pair: a mark, "-", "+" or " ", and the highlighted text."""

    title: str
    place: str
    lines: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True)
class _Card:
    """What is shown of the conversions of one site."""

    id: str
    titles: tuple[str, ...]
    direction: str
    file: str
    classes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    ends: tuple[_Lines, ...]


@dataclass(frozen=True)
class _Group:
    """Everything that was said with one code."""

    code: Code
    items: list[tuple[str, str, Markup]] = field(default_factory=list)  # place, detail, line of source


def page(
    command: str, outcome: Outcome, reviews: Sequence[Review], proof: Proof | None, *, written: bool
) -> bytes:
    """The page of a conversion; ``reviews`` are those of the outcome."""
    folder = files("backpop.cli.report")
    style, script = (folder.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["counted"] = lambda count, noun: f"{count} {noun}{'' if count == 1 else 's'}"
    template = environment.from_string(folder.joinpath("page.html").read_text("utf-8"))
    explicit = command == "to-back-populates"
    cards = [_card(review, f"pair-{number}", explicit) for number, review in enumerate(reviews, 1)]
    text = template.render(
        title="Backrefs to pairs" if explicit else "Pairs to backrefs",
        project=printable(Path.cwd().name),
        command=command,
        version=version("backpop"),
        written=written,
        outcome=outcome,
        proof=proof,
        aside=[_aside(one.conversions[0].title, one.differences) for one in (proof.aside if proof else ())],
        cards=cards,
        graphs=_graphs(reviews, cards),
        refused=_groups(outcome, outcome.refusals),
        noted=_groups(outcome, (*outcome.problems, *outcome.notes, *outcome.kept)),
        # templates do not escape what is marked as safe, and these are ours
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return text.encode()


def _hash(text: str) -> str:
    """What a content security policy knows an inline script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _card(review: Review, name: str, explicit: bool) -> _Card:
    first = review.pairs[0]
    facts = dict.fromkeys(fact for one in review.pairs for fact in facts_of(one, explicit=explicit))
    ends = [first.forward, *(pair.reverse for pair in review.pairs)]
    return _Card(
        name,
        tuple(f"{pair.forward.title} ↔ {pair.reverse.title}" for pair in review.pairs),
        first.facts.direction or "unknown",
        printable(shown(first.forward.path)),
        tuple(dict.fromkeys(end.owner for pair in review.pairs for end in (pair.forward, pair.reverse))),
        tuple((label, text) for label, text in facts if label != "Direction"),  # it is the tag
        tuple(_lines(end) for end in ends),
    )


def _lines(part: Part) -> _Lines:
    before, after = _outdented(part.before, part.after)
    texts = {"-": _highlighted(before), "+": _highlighted(after)}
    lines = tuple((mark, texts["-" if mark == "-" else "+"][at]) for mark, at in marked(before, after))
    return _Lines(part.title, printable(f"{shown(part.path)}:{part.line}"), lines)


def _outdented(*texts: str) -> Iterator[list[str]]:
    """Lines that can be shown, without the indentation that all of them have."""
    sides = [[printable(line.expandtabs(4)).rstrip() for line in text.splitlines()] for text in texts]
    lines = [line for side in sides for line in side if line]
    margin = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    for side in sides:
        yield [line[margin:] for line in side if line]


def _highlighted(lines: Sequence[str]) -> list[Markup]:
    if not lines:
        return []
    return [Markup(line) for line in highlight("\n".join(lines), _LEXER, _FORMATTER).split("\n")][
        : len(lines)
    ]


def _groups(outcome: Outcome, reports: Iterable[Report]) -> list[_Group]:
    """Reports by their code, in the order of the codes."""
    groups: dict[str, _Group] = {}
    for report in reports:
        group = groups.setdefault(report.code, _Group(CODES[report.code]))
        place = printable(f"{shown(report.path)}:{report.line}:{report.column}")
        group.items.append((place, printable(report.detail), _source_line(outcome, report)))
    return [groups[code] for code in sorted(groups)]


def _source_line(outcome: Outcome, report: Report) -> Markup:
    module = outcome.project.module(report.path) if outcome.project is not None else None
    if module is None:
        return Markup("")
    (line,) = _outdented(module.source.line_text(report.line))
    return Markup("").join(_highlighted(line))


def _aside(title: str, differences: Sequence[object]) -> tuple[str, tuple[str, ...]]:
    return printable(title), tuple(printable(" ".join(str(one).split())) for one in differences)


def _graphs(reviews: Sequence[Review], cards: Sequence[_Card]) -> list[Drawing]:
    """The classes that are concerned, and what connects them."""
    return drawings(
        Edge(
            (pair.forward.owner, pair.forward.path),
            (pair.reverse.owner, pair.reverse.path),
            f"{pair.forward.title} ↔ {pair.reverse.title}",
            card.id,
        )
        for review, card in zip(reviews, cards, strict=True)
        for pair in review.pairs
    )
