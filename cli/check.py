"""``backpop check``: what is found to stdout, one line each; everything else to stderr."""

from __future__ import annotations

from dataclasses import dataclass

from backpop.cli.console import counted, line_of, printable, put, say, say_all
from backpop.cli.exits import Exit, exit_status
from backpop.cli.formats import Format, Output, Stopwatch
from backpop.cli.selection import Selection
from backpop.codemods.check import check


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    selection: Selection
    require_pairs: bool
    verbose: bool
    quiet: bool
    output: Output


def run(options: Options) -> Exit:
    """Find what is not wanted and show it; returns the exit status."""
    clock = Stopwatch()
    try:
        found = check(
            options.selection.paths,
            options.selection.settings(quiet=options.quiet),
            require_pairs=options.require_pairs,
        )
    except ValueError as error:
        say(f"error: {printable(str(error))}")
        return Exit.ERROR
    for path in found.missing:
        say(f"error: {printable(str(path))}: no such file or folder")
    form, file = options.output.format, options.output.file
    if form is Format.TEXT:
        say_all(found.problems)
        data = "".join(f"{line_of(report)}\n" for report in found.findings).encode()
    else:
        from backpop.cli.formats import render

        clock.lap("check")
        data = render.check(form, found, clock.seconds)
    done = put(data, file)
    if not options.quiet:
        if form is Format.TEXT:
            say_all((*found.notes, *(found.kept if options.verbose else ())))
        kept = f", {len(found.kept)} kept on purpose" if found.kept else ""
        say(f"{len(found.findings)} found{kept}. {counted(found.files, 'file')} read.")
        if any(report.code == "BP003" for report in found.findings):
            say("Run `backpop to-back-populates --write` to make them explicit.")
    wrong = bool(found.problems or found.missing or not done)
    return exit_status(found=bool(found.findings), wrong=wrong)
