"""The inventory of relationships as a table for people: to stdout, with totals; problems to stderr."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from backpop.cli.console import counted, printable, put, say, say_all, shown
from backpop.cli.exits import Exit, exit_status
from backpop.cli.formats import Format, Output, Stopwatch
from backpop.cli.selection import Selection
from backpop.codemods.audit import Audit, Entry, Kind, audit
from backpop.codemods.plan.policy import Style

_NAMES = {Style.NONE: "no counterpart"}


@dataclass(frozen=True)
class Options:
    """What the command line asked for; ``styles`` are those to show, all without any."""

    selection: Selection
    styles: tuple[Style, ...]
    output: Output


def run(options: Options) -> Exit:
    """Take stock and show it; returns the exit status."""
    clock = Stopwatch()
    try:
        found = audit(options.selection.paths, options.selection.settings())
    except ValueError as error:
        say(f"error: {printable(str(error))}")
        return Exit.ERROR
    clock.lap("audit")
    for path in found.missing:
        say(f"error: {printable(str(path))}: no such file or folder")
    entries = [one for one in found.entries if not options.styles or one.style in options.styles]
    form, file = options.output.format, options.output.file
    if form is Format.TEXT:
        say_all(found.problems)
        # a pipe and a file have no width
        wide = file is not None or not sys.stdout.isatty()
        data = "".join(f"{line.rstrip()}\n" for line in _lines(found, entries, wide=wide)).encode()
    else:
        from backpop.cli.formats import render

        data = render.audit(form, found, entries, clock.seconds)
    done = put(data, file)
    return exit_status(found=False, wrong=bool(found.problems or found.missing or not done))


def _lines(found: Audit, entries: Sequence[Entry], *, wide: bool) -> Iterator[str]:
    """The inventory as text."""
    if entries:
        yield from _rendered(_table(entries), wide=wide)
    mistakes = [one for one in entries if one.mistake]
    if mistakes:
        yield from ("", "Likely mistakes:")
    for one in mistakes:
        yield f"  {printable(f'{shown(one.first.path)}:{one.first.line}: {one.mistake}')}"
    yield ""
    yield from _totals(found.entries, wide=wide)


def _table(entries: Iterable[Entry]) -> Table:
    table = Table("Relationship", "Where", "Style", "Guidance", box=None)
    for one in entries:
        ends = [end for end in (one.first, one.second) if end is not None]
        table.add_row(
            _cell(end.title for end in ends),
            _cell(f"{shown(end.path)}:{end.line}" for end in ends),
            _cell([_name(one.style), one.direction or "direction unknown"]),
            _cell(_guidance(one)),
        )
    return table


def _guidance(entry: Entry) -> Iterator[str]:
    """What is said of a pair: its kind, and the style that is recommended if it has another one."""
    why = entry.unclear or "; ".join(entry.reasons)
    if entry.kind is not None:
        yield f"{entry.kind.value}: {why}" if why else entry.kind.value
    if entry.recommended is not None and entry.recommended is not entry.style:
        yield f"recommended: {_name(entry.recommended)}"


def _rendered(table: Table, *, wide: bool) -> Iterator[str]:
    console = Console(markup=False, highlight=False, emoji=False)
    if wide:
        console.width = console.measure(table, options=console.options.update(max_width=10_000)).maximum
    with console.capture() as text:
        console.print(table)
    yield from text.get().splitlines()


def _cell(texts: Iterable[str]) -> Text:
    return Text("\n".join(map(printable, texts)), overflow="fold")


def _name(style: Style) -> str:
    return _NAMES.get(style, style.value)


def _totals(entries: Sequence[Entry], *, wide: bool) -> Iterator[str]:
    """How many there are of each style, and what the guidance would change."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for style in Style:
        these = [one for one in entries if one.style is style]
        kinds = Counter(one.kind for one in these)
        counts = [f"{kinds[kind]} {kind.value}" for kind in Kind if kinds[kind]]
        table.add_row(_name(style), str(len(these)), ", ".join(counts))
    yield from _rendered(table, wide=wide)
    explicit = sum(one.style is Style.BACKREF and one.recommended is Style.BACK_POPULATES for one in entries)
    short = sum(one.style is Style.BACK_POPULATES and one.recommended is Style.BACKREF for one in entries)
    if explicit:
        yield (f"By the guidance {counted(explicit, 'backref')} would be explicit (to-back-populates).")
    if short:
        yield (f"By the guidance {counted(short, 'pair')} would be a backref (to-backref).")
