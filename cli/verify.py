"""Verification for the terminal: on its own, and as the condition of a conversion."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backpop.cli.console import counted, printable, put, say, shown
from backpop.cli.exits import Exit, exit_status
from backpop.cli.formats import Format, Output, Stopwatch
from backpop.cli.selection import Selection
from backpop.codemods.ask import Failure, Subject, source_roots
from backpop.codemods.plan.model import Report
from backpop.codemods.run import Outcome, to_back_populates
from backpop.codemods.verify import Proof, SetAside, Verification, prove


@dataclass(frozen=True)
class Verifying:
    """What the command line says of the models to import, and of the interpreter that does."""

    modules: tuple[str, ...]
    patterns: tuple[str, ...]
    python: tuple[str, ...] | None
    setup: str | None
    timeout: float
    alone: bool
    jobs: int


@dataclass(frozen=True)
class Options:
    """What the command line of ``backpop verify`` asked for."""

    verifying: Verifying
    selection: Selection
    against: str | None
    quiet: bool
    output: Output


def verify(options: Options) -> Exit:
    """Compare the models with those of another revision, or of the conversion; returns the exit status."""
    clock = Stopwatch()
    if options.against is not None:
        return _verify_revision(options, options.against, clock)
    try:
        outcome = to_back_populates(options.selection.paths, options.selection.settings())
    except ValueError as error:
        say(f"error: {printable(str(error))}")
        return Exit.ERROR
    clock.lap("plan")
    for path in outcome.missing:
        say(f"error: {printable(str(path))}: no such file or folder")
    for report in outcome.problems:
        say(f"error: {printable(f'{shown(report.path)}:{report.line}: {report.detail}')}")
    wrong = bool(outcome.problems or outcome.missing)
    if not outcome.conversions:
        say("There is no backref that can be converted, so nothing to verify.")
        return _given(options, outcome, None, [], clock, wrong=wrong)
    proof = _prove(outcome, options.verifying)
    clock.lap("verify")
    failed = proof.verification.error is not None
    lines = [] if failed else [line for one in proof.aside for line in _lines(one)]
    if not (failed or options.quiet):
        _say_result(proof)
    return _given(options, outcome, proof, lines, clock, wrong=wrong or failed or bool(proof.aside))


def _given(
    options: Options,
    outcome: Outcome | None,
    result: Proof | Verification | None,
    lines: Sequence[str],
    clock: Stopwatch,
    *,
    wrong: bool,
) -> Exit:
    """Give the result in the format that was asked for, as text by its lines; returns the exit status."""
    if options.output.format is Format.TEXT:
        data = "".join(f"{line}\n" for line in lines).encode()
    else:
        from backpop.cli.formats.render import verification

        data = verification(options.output.format, outcome, result, clock.seconds)
    done = put(data, options.output.file)
    return exit_status(found=False, wrong=wrong or not done)


def proved(outcome: Outcome, verifying: Verifying, *, quiet: bool) -> Proof:
    """What of an outcome is proved, with the rest among its refusals; that is said."""
    proof = _prove(outcome, verifying)
    if proof.verification.error is None and not quiet:
        _say_result(proof)
    return proof


def is_path(argument: str) -> bool:
    """Whether an argument that may be a module or a path is a path: it ends in .py, or is no dotted name."""
    return argument.endswith(".py") or not all(part.isidentifier() for part in argument.split("."))


def _verify_revision(options: Options, revision: str, clock: Stopwatch) -> Exit:
    from backpop.codemods.revision import RevisionError, files_at
    from backpop.codemods.verify import verify as compare

    try:
        before = files_at(revision, options.selection.paths[0])
    except RevisionError as error:
        say(f"error: {printable(str(error))}")
        return Exit.ERROR
    subject = _subject(options.verifying, map(Path, before))
    _begin(subject)
    result = compare(subject, before, {})
    clock.lap("verify")
    lines: list[str] = []
    if result.error is not None:
        _say_failure(result.error, subject, where=f" at {revision}" if result.error.side == "before" else "")
    else:
        lines = [printable(" ".join(str(difference).split())) for difference in result.differences]
        if not options.quiet:
            _say_verification(result)
    return _given(options, None, result, lines, clock, wrong=not result.identical)


def _prove(outcome: Outcome, verifying: Verifying) -> Proof:
    """Prove an outcome; what keeps it from being proved is said."""
    subject = _subject(verifying, (change.path for change in outcome.changes))
    _begin(subject)
    proof = prove(subject, outcome)
    if proof.verification.error is not None:
        _say_failure(proof.verification.error, subject, where="")
        say("Nothing is proved, and nothing was written.")
    return proof


def _begin(subject: Subject) -> None:
    """Before the processes start: say so on a terminal, and let SIGTERM end them as Ctrl-C does."""
    if sys.stderr.isatty():
        say(f"verifying with {shlex.join(subject.python)} ...")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _subject(verifying: Verifying, files: Iterable[Path]) -> Subject:
    folder = Path.cwd()
    roots = source_roots(files, verifying.modules)
    return Subject(
        python=_interpreter(verifying.python),
        modules=verifying.modules,
        folder=folder,
        patterns=verifying.patterns,
        sys_path=tuple(dict.fromkeys((str(folder), *roots))),
        setup=_setup(verifying.setup),
        # Sets are printed in the same order by every process then.
        environment={"PYTHONHASHSEED": "0", **os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=verifying.timeout,
        alone=verifying.alone,
        jobs=verifying.jobs,
    )


def command(text: str) -> tuple[str, ...]:
    """The words of a command, or the path of a program. Raises ``ValueError`` if it is neither."""
    words = (text,) if Path(text).is_file() else tuple(shlex.split(text))
    if not words:
        raise ValueError("it is empty")
    return words


def _interpreter(given: tuple[str, ...] | None) -> tuple[str, ...]:
    if given is not None:
        return given
    active = os.environ.get("VIRTUAL_ENV")
    if active:
        place = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        python = Path(active, *place)
        if python.exists():
            return (str(python),)
    return (sys.executable,)


def _setup(given: str | None) -> str | None:
    if given is None:
        return None
    try:
        return Path(given).read_text("utf-8") if Path(given).is_file() else given
    except (OSError, ValueError):  # too long for the name of a file, say
        return given


def _lines(one: SetAside) -> Iterator[str]:
    """What is not proved, and why, as text."""
    report = Report.at(one.conversions[0].site, one.code, "")
    titles = ", ".join(conversion.title for conversion in one.conversions)
    yield printable(f"{shown(report.path)}:{report.line}:{report.column}: {one.code} {titles}")
    for text in [str(difference) for difference in one.differences] or [one.detail]:
        yield printable(f"    {' '.join(text.split())}")


def _say_result(proof: Proof) -> None:
    if not proof.outcome.conversions:
        say("No conversion is proved.")
        return
    _say_verification(proof.verification)


def _say_verification(verification: Verification) -> None:
    number = len(verification.differences)
    found = counted(number, "difference") if number else "identical"
    relationships = counted(verification.relationships, "relationship")
    say(f"{relationships}, {counted(verification.sides, 'side')}: {found}")
    for note in verification.notes:
        say(printable(f"note: {note}"))


def _say_failure(failure: Failure, subject: Subject, where: str) -> None:
    for line in _failure_lines(failure, subject, where):
        say(printable(line))


def _failure_lines(failure: Failure, subject: Subject, where: str) -> Iterator[str]:
    python = shlex.join(subject.python)
    what = {
        "start": "the interpreter does not start",
        "setup": "--verify-setup failed",
        "import": f"{failure.module} cannot be imported{where}",
        "configure": f"the mappers cannot be configured{where}",
        "process": f"the models cannot be imported{where}",
        "timeout": f"the models cannot be imported{where} in time (--verify-timeout)",
        "repeat": "the models cannot be compared",
    }[failure.stage]
    side = "" if failure.side == "before" else ", with the change"
    yield f"error: {what}{side}: {' '.join(failure.reason.split())}"
    yield from (f"    {line}" for line in failure.traceback)
    yield from (f"  {other}" for other in _listed(failure.others, "modules cannot be imported"))
    if failure.stage == "import" and failure.module not in subject.modules:
        yield f"  --verify-pattern '!{failure.module}' leaves a submodule out"
    if failure.output:
        yield "  the process printed:"
        yield from (f"    {line}" for line in failure.output)
    if failure.reason.startswith("ModuleNotFoundError"):
        yield f"  sys.path: {os.pathsep.join(failure.sys_path)}"
    yield f"  the interpreter: {python} (--python names another)"


def _listed(lines: Sequence[str], what: str, most: int = 10) -> Iterator[str]:
    yield from lines[:most]
    if len(lines) > most:
        yield f"and {len(lines) - most} more {what}"
