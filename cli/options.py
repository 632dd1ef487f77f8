"""The options that commands share, each declared once.

The name of a parameter in :mod:`backpop.cli.main` is also its key in ``[tool.backpop]``, with dashes:
``line_length`` is ``line-length``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backpop.cli.config import configure
from backpop.cli.console import When
from backpop.cli.formats import Format

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Files and folders, the current folder if none; - is one file from stdin.",
        metavar="PATH",
        show_default=False,
        is_eager=True,
        callback=configure,
    ),
]
Write = Annotated[bool, typer.Option("--write", "-w", help="Change the files instead of printing the diff.")]
Check = Annotated[
    bool, typer.Option("--check", help="Only list the files that would change; exit 1 if there are any.")
]
LineLength = Annotated[
    int | None,
    typer.Option(
        min=20,
        max=1000,
        show_default=False,
        help="Columns of a line; from the project's formatter settings if not given.",
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option(help="Leave out what matches this gitignore pattern; repeatable.")
]


def _file_rules(values: list[str] | None) -> list[str] | None:
    if values:
        from backpop.cli.selection import file_rule

        for value in values:
            try:
                file_rule(value)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from error
    return values


PerFileIgnores = Annotated[
    list[str] | None,
    typer.Option(
        help="Keep what these codes say, or ALL, in the files that match; repeatable.",
        metavar="PATTERN:CODES",
        callback=_file_rules,
    ),
]
StdinFilename = Annotated[
    Path | None, typer.Option(help="The file that - stands for.", metavar="PATH", show_default=False)
]
Color = Annotated[When, typer.Option(help="Colour the diff; auto is on a terminal, unless NO_COLOR is set.")]
Gitignore = Annotated[bool, typer.Option(help="Leave out what git ignores.")]
Factories = Annotated[
    list[str] | None,
    typer.Option(
        "--factory",
        help="A function of yours that makes a relationship as relationship() does, as in "
        "package.module.name; repeatable.",
        metavar="NAME",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        show_default=False,
        help="Processes at a time, where several are faster: to read thousands of files, and to verify "
        "modules alone. As many as there are processors, up to 8, if not given.",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also print every note.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No summary, no notes.")]
Verify = Annotated[
    list[str] | None,
    typer.Option(
        help="Import this module, or package with all its submodules, with and without the conversion, "
        "and convert only what SQLAlchemy maps the same. Repeatable.",
        metavar="MODULE",
    ),
]
VerifyPattern = Annotated[
    list[str] | None,
    typer.Option(
        help="Of the submodules of a package, import those that match; with a leading !, those that do not. "
        "Repeatable.",
        metavar="PATTERN",
    ),
]
VerifySetup = Annotated[
    str | None,
    typer.Option(help="Python to run before the imports, or a file with it.", metavar="CODE_OR_FILE"),
]
VerifyTimeout = Annotated[
    float, typer.Option(min=0.1, help="Seconds that the imports of one process may take.")
]
VerifyAlone = Annotated[
    bool, typer.Option(help="Also verify that each module can still be used when it is imported by itself.")
]
Python = Annotated[
    str | None,
    typer.Option(
        help="The command that runs your project's Python, to verify: as in --python 'uv run python'. If not "
        "given, that of the active virtual environment.",
        metavar="COMMAND",
    ),
]
OutputFormat = Annotated[
    Format, typer.Option(help="What stdout, or --output, gets: text for people, or a format for machines.")
]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", dir_okay=False, show_default=False, help="Write that to this file, not to stdout."
    ),
]
Interactive = Annotated[
    bool,
    typer.Option("--interactive", "-i", help="Ask for each pair, and write those that were said yes to."),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        dir_okay=False,
        show_default=False,
        help="Also write a page to review the conversion with, which any browser shows.",
    ),
]
