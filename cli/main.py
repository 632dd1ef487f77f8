"""The ``backpop`` command: options in, exit status out.

Heavy modules are imported by the commands that need them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from backpop.cli.exits import Exit

app = typer.Typer(
    name="backpop",
    help="Rewrite SQLAlchemy backref= into explicit back_populates= pairs.",
    no_args_is_help=True,
    add_completion=True,
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
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders to convert, the current folder if none.", show_default=False),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", "-w", help="Change the files instead of printing the diff.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only list the files that would change; exit 1 if there are any.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a backref was refused.")] = False,
    line_length: Annotated[
        int | None,
        typer.Option(
            min=20,
            max=1000,
            show_default=False,
            help="Columns of a line; from the project's formatter settings if not given.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out what matches this gitignore pattern; repeatable.")
    ] = None,
    gitignore: Annotated[bool, typer.Option(help="Leave out what git ignores.")] = True,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also print every note.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary, no notes.")] = False,
) -> None:
    """Give every backref an explicit, paired back_populates.

    Prints a unified diff that git apply takes. With --write the files are changed instead. What cannot be
    converted safely is left as it is, and reported with a code, a place and a reason.
    """
    from backpop.cli.convert import Options, convert

    if write and check:
        raise typer.BadParameter("--write and --check exclude each other")
    status = convert(
        Options(
            paths=tuple(paths or [Path()]),
            write=write,
            check=check,
            strict=strict,
            line_length=line_length,
            exclude=tuple(exclude or ()),
            gitignore=gitignore,
            verbose=verbose,
            quiet=quiet,
        )
    )
    raise typer.Exit(int(status))


def main() -> NoReturn:
    """Run the command line; never a traceback for what a user can cause."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output went away, as ``| head`` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)
    sys.exit(Exit.OK)


if __name__ == "__main__":
    main()
