"""``backpop check``: what is found to stdout, one line each; everything else to stderr."""

from __future__ import annotations

from dataclasses import dataclass

from backpop.cli.console import counted, line_of, printable, say, say_all
from backpop.cli.exits import Exit, exit_status
from backpop.cli.selection import Selection
from backpop.codemods.check import check


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    selection: Selection
    require_pairs: bool
    verbose: bool
    quiet: bool


def run(options: Options) -> Exit:
    """Find what is not wanted and show it; returns the exit status."""
    try:
        found = check(
            options.selection.paths, options.selection.settings(), require_pairs=options.require_pairs
        )
    except ValueError as error:
        say(f"error: {printable(str(error))}")
        return Exit.ERROR
    for path in found.missing:
        say(f"error: {printable(str(path))}: no such file or folder")
    say_all(found.problems)
    for report in found.findings:
        print(line_of(report))
    if not options.quiet:
        say_all((*found.notes, *(found.kept if options.verbose else ())))
        kept = f", {len(found.kept)} kept on purpose" if found.kept else ""
        say(f"{len(found.findings)} found{kept}. {counted(found.files, 'file')} read.")
        if any(report.code == "BP003" for report in found.findings):
            say("Run `backpop to-back-populates --write` to make them explicit.")
    return exit_status(found=bool(found.findings), wrong=bool(found.problems or found.missing))
