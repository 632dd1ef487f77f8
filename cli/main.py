"""The ``backpop`` command: options in, exit status out.

Heavy modules are imported by the commands that need them.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backpop.cli.config import configure, is_given
from backpop.cli.console import When
from backpop.cli.formats import Format, Output
from backpop.cli.guard import Guarded
from backpop.cli.options import (
    Check,
    Color,
    Exclude,
    Factories,
    Gitignore,
    Interactive,
    Jobs,
    LineLength,
    OutputFile,
    OutputFormat,
    Paths,
    PerFileIgnores,
    Python,
    Quiet,
    ReportFile,
    StdinFilename,
    Verbose,
    Verify,
    VerifyAlone,
    VerifyPattern,
    VerifySetup,
    VerifyTimeout,
    Write,
)
from backpop.codemods.plan.policy import Annotate, Keep, Placement, Style

if TYPE_CHECKING:
    from backpop.cli.verify import Verifying

app = typer.Typer(
    name="backpop",
    cls=Guarded,
    help="Rewrite SQLAlchemy backref= into explicit back_populates= pairs.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"backpop {version('backpop')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command("to-back-populates")
def to_back_populates(
    ctx: typer.Context,
    paths: Paths = None,
    write: Write = False,
    interactive: Interactive = False,
    check: Check = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a backref was refused.")] = False,
    annotate: Annotated[
        Annotate,
        typer.Option(
            help="Whether a reverse is annotated where the foreign keys prove how: in typed classes and "
            "files, never, or in every class that SQLAlchemy 2 maps."
        ),
    ] = Annotate.AUTO,
    placement: Annotated[
        Placement,
        typer.Option(
            help="Where reverses are written: in the class body (after the source, where the body will not "
            "do), only in the class body, or after the source."
        ),
    ] = Placement.AUTO,
    line_length: LineLength = None,
    exclude: Exclude = None,
    per_file_ignores: PerFileIgnores = None,
    gitignore: Gitignore = True,
    stdin_filename: StdinFilename = None,
    factories: Factories = None,
    jobs: Jobs = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    output_format: OutputFormat = Format.TEXT,
    output: OutputFile = None,
    color: Color = When.AUTO,
    report: ReportFile = None,
    verify: Verify = None,
    verify_pattern: VerifyPattern = None,
    verify_setup: VerifySetup = None,
    verify_timeout: VerifyTimeout = 300,
    verify_alone: VerifyAlone = True,
    python: Python = None,
) -> None:
    """Give every backref an explicit, paired back_populates.

    Prints a unified diff that git apply takes. With --write the files are changed instead. What cannot be
    converted safely is left as it is, and reported with a code, a place and a reason.
    """
    from backpop.cli.convert import Options, convert
    from backpop.cli.selection import selection

    _check_modes(output_format, paths, write=write, interactive=interactive, check=check)
    status = convert(
        Options(
            selection=selection(paths, exclude, per_file_ignores, gitignore, factories, jobs, stdin_filename),
            write=write or interactive,
            interactive=interactive,
            report=report,
            check=check,
            strict=strict,
            placement=placement,
            line_length=line_length,
            verbose=verbose,
            quiet=quiet,
            color=color,
            verifying=_verifying(
                ctx,
                _asked(ctx, verify),
                verify_pattern,
                python,
                verify_setup,
                verify_timeout,
                verify_alone,
                jobs,
            ),
            output=_output(output_format, output, write=write or interactive),
            annotate=annotate,
        )
    )
    raise typer.Exit(int(status))


@app.command("to-backref")
def to_backref(
    ctx: typer.Context,
    paths: Paths = None,
    keep: Annotated[
        Keep,
        typer.Option(
            help="The side that stays: the one with arguments (the collection, if neither or both have "
            "some), the collection, or the scalar."
        ),
    ] = Keep.CONFIGURED,
    options: Annotated[
        bool, typer.Option("--options", help="Also collapse pairs whose removed side has arguments.")
    ] = False,
    many_to_many: Annotated[
        bool, typer.Option("--many-to-many", help="Also collapse many-to-many pairs.")
    ] = False,
    drop_annotations: Annotated[
        bool, typer.Option("--drop-annotations", help="Also collapse pairs whose removed side is annotated.")
    ] = False,
    write: Write = False,
    interactive: Interactive = False,
    check: Check = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a pair was refused.")] = False,
    line_length: LineLength = None,
    exclude: Exclude = None,
    per_file_ignores: PerFileIgnores = None,
    gitignore: Gitignore = True,
    stdin_filename: StdinFilename = None,
    factories: Factories = None,
    jobs: Jobs = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    output_format: OutputFormat = Format.TEXT,
    output: OutputFile = None,
    color: Color = When.AUTO,
    report: ReportFile = None,
    verify: Verify = None,
    verify_pattern: VerifyPattern = None,
    verify_setup: VerifySetup = None,
    verify_timeout: VerifyTimeout = 300,
    verify_alone: VerifyAlone = True,
    python: Python = None,
) -> None:
    """Collapse simple pairs of back_populates to a backref.

    A pair is simple when the side that goes carries nothing but its target and back_populates. Prints a
    unified diff that git apply takes. With --write the files are changed instead. What cannot be collapsed
    safely is left as it is, and reported with a code, a place and a reason.
    """
    from backpop.cli.convert import Options, convert
    from backpop.cli.selection import selection
    from backpop.codemods.plan.policy import Policy

    _check_modes(output_format, paths, write=write, interactive=interactive, check=check)
    status = convert(
        Options(
            selection=selection(paths, exclude, per_file_ignores, gitignore, factories, jobs, stdin_filename),
            write=write or interactive,
            interactive=interactive,
            report=report,
            check=check,
            strict=strict,
            line_length=line_length,
            verbose=verbose,
            quiet=quiet,
            color=color,
            verifying=_verifying(
                ctx,
                _asked(ctx, verify),
                verify_pattern,
                python,
                verify_setup,
                verify_timeout,
                verify_alone,
                jobs,
            ),
            policy=Policy(keep, options, many_to_many, drop_annotations),
            output=_output(output_format, output, write=write or interactive),
        )
    )
    raise typer.Exit(int(status))


@app.command("check")
def check(
    paths: Paths = None,
    require_pairs: Annotated[
        bool,
        typer.Option("--require-pairs", help="Also find back_populates that is not returned."),
    ] = False,
    exclude: Exclude = None,
    per_file_ignores: PerFileIgnores = None,
    gitignore: Gitignore = True,
    stdin_filename: StdinFilename = None,
    factories: Factories = None,
    jobs: Jobs = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    output_format: OutputFormat = Format.TEXT,
    output: OutputFile = None,
) -> None:
    """List every backref; exit 1 if there are any.

    For continuous integration and pre-commit, so that no new one comes in. A comment `# backpop: ignore` on a
    statement keeps it.
    """
    from backpop.cli.check import Options, run
    from backpop.cli.selection import selection

    files = selection(paths, exclude, per_file_ignores, gitignore, factories, jobs, stdin_filename)
    status = run(Options(files, require_pairs, verbose, quiet, Output(output_format, output)))
    raise typer.Exit(int(status))


@app.command("audit")
def audit(
    paths: Paths = None,
    style: Annotated[
        list[Style] | None, typer.Option(help="Only show this style; repeatable.", show_default=False)
    ] = None,
    exclude: Exclude = None,
    per_file_ignores: PerFileIgnores = None,
    gitignore: Gitignore = True,
    stdin_filename: StdinFilename = None,
    output_format: OutputFormat = Format.TEXT,
    output: OutputFile = None,
    factories: Factories = None,
    jobs: Jobs = None,
) -> None:
    """List the relationships: how they are paired, and how the guidance would have them.

    The guidance is backref where both sides of a pair are plain, and back_populates for what is complex:
    many-to-many, arguments of their own on each side, typed models. Likely mistakes are pointed out.
    """
    from backpop.cli.audit import Options, run
    from backpop.cli.selection import selection

    chosen = selection(paths, exclude, per_file_ignores, gitignore, factories, jobs, stdin_filename)
    status = run(Options(chosen, tuple(style or ()), Output(output_format, output)))
    raise typer.Exit(int(status))


@app.command("explain")
def explain(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="CODE", show_default=False, help="As in BP501; all if none."),
    ] = None,
) -> None:
    """Say what a code means, with an example, and what to do about it."""
    from backpop.cli.explain import run

    raise typer.Exit(int(run(codes or [])))


@app.command("config")
def config(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="Where to look from.", show_default=False)] = Path(),
) -> None:
    """Show the settings that are in force, and where each comes from."""
    from backpop.cli.config import show

    raise typer.Exit(int(show(ctx, path)))


@app.command("verify")
def verify(
    ctx: typer.Context,
    modules: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODULE|PATH",
            help="Modules to import, and packages with all their submodules; those of the configuration if "
            "none. What is no dotted name, or ends "
            "in .py, is a path (write ./src): a file or folder to convert, the current folder if none.",
            show_default=False,
            is_eager=True,
            callback=configure,
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Compare with this git revision, not with the conversion.", metavar="REVISION"),
    ] = None,
    exclude: Exclude = None,
    per_file_ignores: PerFileIgnores = None,
    gitignore: Gitignore = True,
    factories: Factories = None,
    jobs: Jobs = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only print differences and errors.")] = False,
    output_format: OutputFormat = Format.TEXT,
    output: OutputFile = None,
    verify_pattern: VerifyPattern = None,
    verify_setup: VerifySetup = None,
    verify_timeout: VerifyTimeout = 300,
    verify_alone: VerifyAlone = True,
    python: Python = None,
) -> None:
    """Prove that the mappers stay the same: SQLAlchemy is asked before and after.

    Imports the models in a process of your project's Python, once as they are and once with every backref
    made explicit, and compares all mappers. With --against, compares the files as they are with those of a
    git revision: that proves a conversion made by hand. Nothing is written. Exits with 2 if anything differs
    or cannot be imported.
    """
    from backpop.cli.selection import selection
    from backpop.cli.verify import Options, is_path
    from backpop.cli.verify import verify as run

    given = modules or []
    names = [argument for argument in given if not is_path(argument)]
    names = names or (ctx.default_map or {}).get("verify", [])
    if not names:
        raise typer.BadParameter("name at least one module to import")
    verifying = _verifying(
        ctx, names, verify_pattern, python, verify_setup, verify_timeout, verify_alone, jobs
    )
    assert verifying is not None
    paths = tuple(Path(argument) for argument in given if is_path(argument))
    status = run(
        Options(
            verifying=verifying,
            selection=selection(paths, exclude, per_file_ignores, gitignore, factories, jobs),
            against=against,
            quiet=quiet,
            output=Output(output_format, output),
        )
    )
    raise typer.Exit(int(status))


def _asked(ctx: typer.Context, modules: list[str] | None) -> list[str] | None:
    """The modules of ``--verify``: no project gets its code run because its own configuration says so."""
    return modules if is_given(ctx, "verify") else None


def _check_modes(
    form: Format, paths: list[Path] | None, *, write: bool, interactive: bool, check: bool
) -> None:
    """Raise for what cannot be asked for at once, or not without a terminal."""
    if write and Path("-") in (given := paths or []) and len(given) > 1:
        raise typer.BadParameter("--write changes files or prints the one from stdin: give no paths beside -")
    if write and check:
        raise typer.BadParameter("--write and --check exclude each other")
    if interactive and check:
        raise typer.BadParameter("--interactive and --check exclude each other")
    if interactive and form is not Format.TEXT:
        raise typer.BadParameter("--interactive asks people, --output-format is for machines")
    if interactive and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise typer.BadParameter("--interactive needs a terminal to ask on")


def _output(form: Format, file: Path | None, *, write: bool) -> Output:
    """Where the result of a conversion goes; raises for what makes no sense."""
    if write and form in {Format.SARIF, Format.GITHUB}:
        raise typer.BadParameter(
            f"--output-format {form.value} tells of places in the files as they are, and --write changes "
            "them; json can tell what was written"
        )
    if write and form is Format.TEXT and file is not None:
        raise typer.BadParameter("--output has nothing to hold: --write prints no diff")
    return Output(form, file)


def _verifying(
    ctx: typer.Context,
    modules: list[str] | None,
    patterns: list[str] | None,
    python: str | None,
    setup: str | None,
    timeout: float,
    alone: bool,
    jobs: int | None,
) -> Verifying | None:
    if not modules:
        if any(is_given(ctx, name) for name in ("verify_pattern", "verify_setup", "python")):
            raise typer.BadParameter("there is nothing to verify without --verify MODULE")
        return None
    from backpop.cli.selection import processes
    from backpop.cli.verify import Verifying, command

    try:
        words = None if python is None else command(python)
    except ValueError as error:
        raise typer.BadParameter(f"--python {python!r} is no command: {error}") from error
    return Verifying(
        modules=tuple(modules),
        patterns=tuple(patterns or ()),
        python=words,
        setup=setup,
        timeout=timeout,
        alone=alone,
        jobs=processes(jobs),
    )


def main() -> None:
    """Run the command line."""
    # What a run allocates is the syntax of a project, which is needed to the end: half of the time of a large
    # one would go into looking for garbage in it.
    gc.disable()
    try:
        app()
    finally:
        gc.freeze()  # nor does it have to be taken apart at the end


if __name__ == "__main__":
    main()
