"""One conversion for the terminal: the diff to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from backpop.cli.console import When, counted, is_coloured, printable, put, say, say_all, shown
from backpop.cli.exits import Exit, exit_status
from backpop.cli.formats import Format, Output, Stopwatch
from backpop.cli.selection import Selection
from backpop.codemods.codes import CODES
from backpop.codemods.plan.policy import Annotate, Placement, Policy
from backpop.codemods.run import Outcome, Settings, to_back_populates, to_backref

if TYPE_CHECKING:
    from backpop.cli.verify import Verifying
    from backpop.codemods.review import Review
    from backpop.codemods.verify import Proof

# Notes of what may break, or change, a program.
_ALWAYS = {"BP901", "BP902", "BP907", "BP908"}


class Options(NamedTuple):
    """What the command line asked for: pairs to backrefs if there is a ``policy``, else the other way."""

    selection: Selection
    write: bool
    check: bool
    strict: bool
    line_length: int | None
    verbose: bool
    quiet: bool
    output: Output
    interactive: bool = False
    color: When = When.AUTO
    report: Path | None = None
    verifying: Verifying | None = None
    policy: Policy | None = None
    annotate: Annotate = Annotate.AUTO
    placement: Placement = Placement.AUTO

    @property
    def command(self) -> str:
        """The name of the command."""
        return "to-backref" if self.policy else "to-back-populates"

    @property
    def to_stdout(self) -> bool:
        """Whether what was read from stdin goes to stdout, converted."""
        return self.write and self.selection.stdin is not None

    @property
    def noun(self) -> str:
        """What is converted."""
        return "pair" if self.policy else "backref"


def convert(options: Options) -> Exit:
    """Run a conversion and show it; returns the exit status."""
    clock = Stopwatch()
    writing = options.write and not options.to_stdout
    settings = options.selection.settings(
        line_length=options.line_length,
        writing=writing,
        annotate=options.annotate,
        placement=options.placement,
        quiet=options.quiet,
    )
    paths = options.selection.paths
    try:
        if options.policy is None:
            outcome = to_back_populates(paths, settings)
        else:
            outcome = to_backref(paths, settings, options.policy)
    except ValueError as error:
        say(f"error: {printable(str(error))}")
        return Exit.ERROR
    clock.lap("plan")
    wrong = bool(outcome.problems or outcome.missing)
    for path in outcome.missing:
        say(f"error: {printable(str(path))}: no such file or folder")
    proof, failed = None, False
    if options.verifying is not None and outcome.conversions:
        from backpop.cli.verify import proved

        proof = proved(outcome, options.verifying, quiet=options.quiet)
        clock.lap("verify")
        failed = proof.verification.error is not None
        outcome = proof.outcome.only(()) if failed else proof.outcome
        wrong = wrong or failed
    if options.interactive:
        from backpop.cli.interactive import accepted

        outcome = outcome.only(accepted(outcome, explicit=options.policy is None))
    judged = options.output.format in {Format.JSON, Format.SARIF} or options.report is not None
    reviews = _reviews(outcome) if judged else []
    clock.lap("review")
    written = writing and not failed and _write(outcome)
    clock.lap("write")
    wrong = wrong or written is not writing
    done = _give(options, settings, outcome, reviews, proof, clock.seconds, written=written)
    wrong = wrong or not done
    if not failed:
        _report(outcome, options, converted=written or (options.to_stdout and done))
    found = bool((options.check and outcome.changes) or (options.strict and outcome.refusals))
    return exit_status(found=found, wrong=wrong)


def _give(
    options: Options,
    settings: Settings,
    outcome: Outcome,
    reviews: list[Review],
    proof: Proof | None,
    seconds: Mapping[str, float],
    *,
    written: bool,
) -> bool:
    """Give what was asked for, in its format; False where it cannot be written."""
    form, file = options.output.format, options.output.file
    if form is not Format.TEXT:
        from backpop.cli.formats.render import conversion

        data = conversion(form, options.command, outcome, reviews, proof, seconds, written=written)
        done = put(data, file)
    elif options.to_stdout:
        done = put(_result(outcome, settings.given), file)
    elif options.check:
        names = "".join(f"{printable(shown(str(change.path)))}\n" for change in outcome.changes)
        done = put(names.encode(), file)
    else:
        done = options.write or _put_diff(outcome, file, options.color)
    if options.report is not None:
        from backpop.cli.report.page import page

        html = page(options.command, outcome, reviews, proof, written=written)
        done = put(html, options.report) and done
    return done


def _reviews(outcome: Outcome) -> list[Review]:
    """What there is to judge of an outcome, found out while its files are as they were read."""
    from backpop.codemods.review import reviews

    return list(reviews(outcome))


def _put_diff(outcome: Outcome, file: Path | None, color: When) -> bool:
    patch = outcome.patch()
    # A pipe gets the exact bytes; a terminal would obey those that are no text.
    coloured = is_coloured(color) and (file is None or color is When.ALWAYS)
    on_terminal = file is None and sys.stdout.isatty()
    return put(_displayed(patch, coloured=coloured) if coloured or on_terminal else patch, file)


_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def _displayed(patch: bytes, *, coloured: bool) -> bytes:
    """A patch to look at: what could steer a terminal is spelt out."""
    lines = (line.removesuffix("\r") for line in patch.decode("utf-8", "surrogateescape").split("\n"))
    texts = ("\t".join(map(printable, line.split("\t"))) for line in lines)
    return "\n".join(_painted(text) if coloured else text for text in texts).encode()


def _painted(line: str) -> str:
    """A line of a patch in the colours that git gives it."""
    if line.startswith(("--- ", "+++ ")):
        return typer.style(line, bold=True)
    colour = _COLOURS.get(line[:1])
    return typer.style(line, fg=colour) if colour else line


def _result(outcome: Outcome, given: Mapping[str, bytes]) -> bytes:
    """What came from stdin, converted."""
    results = {str(change.path): change.after for change in outcome.changes}
    return b"".join(results.get(path, before) for path, before in given.items())


def _write(outcome: Outcome) -> bool:
    from backpop.codemods.write import WriteError

    try:
        outcome.write()
    except WriteError as error:
        say(f"error: {printable(str(error))}")
        return False
    return True


def _say_reports(outcome: Outcome, options: Options) -> None:
    say_all(outcome.problems)
    if options.quiet:
        return
    say_all(outcome.refusals)
    say_all(outcome.kept if options.verbose else ())
    say_all(note for note in outcome.notes if options.verbose or note.code in _ALWAYS)
    hidden = Counter(note.code for note in outcome.notes if not options.verbose and note.code not in _ALWAYS)
    for code, count in sorted(hidden.items()):
        say(f"note: {code} {CODES[code].title}: {counted(count, 'place')} (--verbose lists them)")


def _report(outcome: Outcome, options: Options, *, converted: bool) -> None:
    if options.output.format is Format.TEXT:
        _say_reports(outcome, options)
    if options.quiet:
        return
    _summarise(outcome, options, converted=converted)


def _summarise(outcome: Outcome, options: Options, *, converted: bool) -> None:
    """All of a run at one glance: what is converted, what is not and why, and what comes next."""
    files = f" in {counted(len(outcome.changes), 'file')}" if outcome.changes else ""
    done = "converted" if converted else "can be converted"
    parts = [f"{counted(len(outcome.conversions), options.noun)} {done}{files}"]
    if outcome.refusals:
        parts.append(f"{len(outcome.refusals)} left as they are")
    if outcome.kept:
        parts.append(f"{len(outcome.kept)} kept on purpose")
    if outcome.problems:
        parts.append(f"{counted(len(outcome.problems), 'file')} could not be read")
    say(f"{'; '.join(parts)}. {counted(outcome.files, 'file')} read.")
    reasons = Counter(report.code for report in outcome.refusals)
    for code, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0])):
        say(f"{count:>6}  {code} {CODES[code].title}")
    if reasons:
        say(f"Next: `backpop explain {' '.join(sorted(reasons))}` says what to do about those.")
    if outcome.changes and not options.write:
        say("Next: the same command with --write changes the files.")
    elif outcome.changes and converted and options.verifying is None and options.policy is None:
        say("Next: `backpop verify MODULE --against HEAD` proves that the mappers are the same.")
