"""One conversion for the terminal: the diff to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backpop.cli.console import counted, printable, put, say, say_all, shown
from backpop.cli.exits import Exit, exit_status
from backpop.cli.formats import Format, Output, Stopwatch
from backpop.cli.selection import Selection
from backpop.codemods.plan.policy import Annotate, Placement, Policy
from backpop.codemods.run import Outcome, to_back_populates, to_backref

if TYPE_CHECKING:
    from backpop.cli.verify import Verifying
    from backpop.codemods.review import Review


@dataclass(frozen=True)
class Options:
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
    verifying: Verifying | None = None
    policy: Policy | None = None
    annotate: Annotate = Annotate.AUTO
    placement: Placement = Placement.AUTO

    @property
    def command(self) -> str:
        """The name of the command."""
        return "to-backref" if self.policy else "to-back-populates"

    @property
    def noun(self) -> str:
        """What is converted."""
        return "pair" if self.policy else "backref"


def convert(options: Options) -> Exit:
    """Run a conversion and show it; returns the exit status."""
    clock = Stopwatch()
    settings = options.selection.settings(
        line_length=options.line_length,
        writing=options.write,
        annotate=options.annotate,
        placement=options.placement,
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
    reviews = _reviews(outcome) if options.output.format is not Format.TEXT else []
    clock.lap("review")
    written = options.write and not failed and _write(outcome)
    clock.lap("write")
    wrong = wrong or written is not options.write
    form, file = options.output.format, options.output.file
    if form is not Format.TEXT:
        from backpop.cli.formats.render import conversion

        data = conversion(form, options.command, outcome, reviews, proof, clock.seconds, written=written)
        done = put(data, file)
    elif options.check:
        names = "".join(f"{printable(shown(str(change.path)))}\n" for change in outcome.changes)
        done = put(names.encode(), file)
    else:
        done = options.write or _put_diff(outcome, file)
    wrong = wrong or not done
    if not failed:
        _report(outcome, options, failed=wrong)
    found = bool((options.check and outcome.changes) or (options.strict and outcome.refusals))
    return exit_status(found=found, wrong=wrong)


def _reviews(outcome: Outcome) -> list[Review]:
    """What there is to judge of an outcome, found out while its files are as they were read."""
    from backpop.codemods.review import reviews

    return list(reviews(outcome))


def _put_diff(outcome: Outcome, file: Path | None) -> bool:
    if not outcome.changes:
        return put(b"", file)
    from backpop.codemods.discover import patch_root
    from backpop.codemods.patch import build_patch

    root = patch_root([str(change.path) for change in outcome.changes], Path.cwd())
    patch = build_patch(outcome.changes, root)
    # A pipe gets the exact bytes; a terminal would obey those that are no text.
    return put(_displayed(patch) if file is None and sys.stdout.isatty() else patch, file)


def _displayed(patch: bytes) -> bytes:
    """A patch to look at: what could steer a terminal is spelt out."""
    lines = (line.removesuffix("\r") for line in patch.decode("utf-8", "surrogateescape").split("\n"))
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines).encode()


def _write(outcome: Outcome) -> bool:
    if not outcome.changes:
        return True
    from backpop.codemods.write import WriteError, write_changes

    try:
        write_changes(outcome.changes)
    except WriteError as error:
        say(f"error: {printable(str(error))}")
        return False
    return True


def _say_reports(outcome: Outcome, options: Options) -> None:
    from backpop.codemods.codes import CODES

    say_all(outcome.problems)
    if options.quiet:
        return
    say_all(outcome.refusals)
    say_all(outcome.kept if options.verbose else ())
    # a target that may lack its source breaks a program: never hide those
    say_all(note for note in outcome.notes if options.verbose or note.code == "BP901")
    hidden = Counter(note.code for note in outcome.notes if not options.verbose and note.code != "BP901")
    for code, count in sorted(hidden.items()):
        say(f"note: {code} {CODES[code].title}: {counted(count, 'place')} (--verbose lists them)")


def _report(outcome: Outcome, options: Options, *, failed: bool) -> None:
    if options.output.format is Format.TEXT:
        _say_reports(outcome, options)
    if options.quiet:
        return
    done = "converted" if options.write and not failed else "can be converted"
    files = f" in {counted(len(outcome.changes), 'file')}" if outcome.changes else ""
    parts = [f"{counted(len(outcome.conversions), options.noun)} {done}{files}"]
    if outcome.refusals:
        by_code = Counter(report.code for report in outcome.refusals)
        codes = ", ".join(f"{code} {count}" for code, count in sorted(by_code.items()))
        parts.append(f"{len(outcome.refusals)} left as they are ({codes})")
    if outcome.kept:
        parts.append(f"{len(outcome.kept)} kept on purpose")
    if outcome.problems:
        parts.append(f"{counted(len(outcome.problems), 'file')} could not be read")
    say(f"{'; '.join(parts)}. {counted(outcome.files, 'file')} read.")
    if outcome.changes and not options.write and not failed:
        say("Run again with --write to change the files.")
