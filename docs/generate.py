"""Pages that are made from the program itself when the documentation is built, so that the two agree.

A hook of MkDocs: ``hooks`` in ``mkdocs.yml`` names this file.
"""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from backpop.cli.config import configurable, key_of
from backpop.cli.main import app
from backpop.codemods import api
from backpop.codemods.codes import CODES

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_GROUPS = {
    "BP0": "Files, findings, and what is kept on purpose",
    "BP1": "The value of `backref`",
    "BP2": "The class at the other end",
    "BP3": "Where the relationship stands",
    "BP4": "The attribute at the other end",
    "BP5": "What the other end would have to say",
    "BP6": "Writing",
    "BP7": "Verification",
    "BP8": "Pairs that do not become a backref",
    "BP9": "Notes",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages (called by MkDocs)."""
    from mkdocs.structure.files import File

    for name, lines in {"codes": codes(), "command-line": command_line(), "api": library()}.items():
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(lines) + "\n"))
    return files


def codes() -> Iterator[str]:
    """The catalogue of codes."""
    yield "# Codes\n"
    yield "What backpop says of code that it leaves as it is: `path:line:column: CODE title: detail`."
    yield "`backpop explain BP501` prints the same. A code never changes its meaning."
    for prefix, title in _GROUPS.items():
        yield f"\n## {title}"
        for _, code in sorted(CODES.items()):
            if code.code.startswith(prefix):
                yield f"\n### {code.code}: {code.title}\n\n{code.why}\n"
                if code.example:
                    yield f"```python\n{code.example}\n```\n"
                yield code.advice


def command_line() -> Iterator[str]:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(app)
    yield "# Command line\n"
    yield "An option with a key can also be set in `[tool.backpop]`: see [configuration](configuration.md).\n"
    keys = {key_of(name) for name in configurable(typer.Context(root))}
    for name, command in root.commands.items():
        context = typer.Context(command, info_name=f"backpop {name}")
        yield f"## backpop {name}\n"
        yield f"{inspect.cleandoc(command.help)}\n"
        yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
        yield "| | | Key |\n|---|---|---|"
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record is not None:
                # in a table, Markdown would take a bar for the end of a cell
                flags, text = (html.escape(part).replace("|", "&#124;") for part in record)
                key = key_of(parameter.name)
                yield f"| <code>{flags}</code> | {text} | {f'`{key}`' if key in keys else ''} |"
        yield ""


def library() -> Iterator[str]:
    """What :mod:`backpop.codemods.api` promises."""
    yield "# Library\n"
    head, *code, last = inspect.cleandoc(api.__doc__ or "").split("\n\n")
    example = inspect.cleandoc("\n\n".join(code))
    yield _plain(f"{head}\n\n```python\n{example}\n```\n\n{last}\n")
    for name in sorted(api.__all__, key=lambda name: (inspect.isclass(getattr(api, name)), name)):
        found = getattr(api, name)
        if inspect.isfunction(found):
            yield f"## {name}\n\n```python\n{name}{inspect.signature(found)}\n```\n"
        elif inspect.isclass(found):
            yield f"## {name}\n"
            fields = getattr(found, "__dataclass_fields__", {})
            if fields:
                yield "```python"
                yield from (f"{field.name}: {field.type}" for field in fields.values())
                yield "```\n"
        else:
            continue
        yield f"{_plain(inspect.cleandoc(found.__doc__ or ''))}\n"
        if inspect.isclass(found):
            for method, value in vars(found).items():
                function = value.fget if isinstance(value, property) else value
                if method.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
                    continue
                call = "" if isinstance(value, property) else str(inspect.signature(function))
                yield f"`{name}.{method}{call.replace('(self, ', '(').replace('(self)', '()')}`\n"
                yield f":   {_plain(inspect.cleandoc(function.__doc__)).replace(chr(10), chr(10) + '    ')}\n"


def _plain(text: str) -> str:
    """A docstring as Markdown."""
    return re.sub(r"(?<!`)``(?!`)", "`", re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text))
