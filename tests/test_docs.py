"""What README and documentation tell people to type exists."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from backpop.cli.main import app
from backpop.codemods import api
from backpop.codemods.codes import CODES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES}
ROOT_COMMAND: Any = typer.main.get_command(app)


def _commands() -> Iterator[tuple[str, str]]:
    """Every line of a page that runs backpop."""
    for name, text in TEXTS.items():
        lines = re.sub(r"\\\n\s*", " ", text).splitlines()
        for line in lines:
            match = re.search(r"(?:^\$ |^ {4}|^uvx |&& |^\s+)(?:uvx )?(backpop .*)$", line)
            if match and not re.match(r"backpop [a-z-]+ \[", match[1]):
                yield name, match[1]


def _options(command: Any) -> set[str]:
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize(("page", "line"), list(_commands()))
def test_commands_and_options_exist(page: str, line: str) -> None:
    words = shlex.split(re.split(r" (?:[|>]|&&) ", line)[0], comments=True)
    known = _options(ROOT_COMMAND.commands[words[1]])
    given = {word.partition("=")[0] for word in words[2:] if word.startswith("-") and word != "-"}
    assert given <= {*known, "--help", "-h"}


@pytest.mark.parametrize("page", TEXTS)
def test_options_named_in_the_text_exist(page: str) -> None:
    known = set().union(*map(_options, ROOT_COMMAND.commands.values()))
    for span in re.findall(r"(?<!`)`(-[^`]+)`", TEXTS[page]):
        assert span.split()[0] in {*known, "--dry-run", "--version", "--help"}, span


@pytest.mark.parametrize("page", TEXTS)
def test_codes_that_are_named_exist(page: str) -> None:
    assert set(re.findall(r"\bBP\d{3}\b", TEXTS[page])) <= CODES.keys()


@pytest.mark.parametrize("page", TEXTS)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    made = {ROOT / "docs" / "reference" / f"{name}.md" for name in ("codes", "command-line", "api")}
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", TEXTS[page]):
        path = (folder / target).resolve()
        assert path.exists() or path in made, target


def test_pages_are_made_from_the_program() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    codes = "\n".join(generate.codes())
    assert re.findall(r"^### (BP\d{3}): ", codes, re.MULTILINE) == sorted(CODES)
    assert all(code.example and code.example in codes for code in CODES.values())
    commands = "\n".join(generate.command_line())
    assert re.findall(r"^## backpop (.*)$", commands, re.MULTILINE) == list(ROOT_COMMAND.commands)
    library = "\n".join(generate.library())
    names = [name for name in api.__all__ if not isinstance(getattr(api, name), dict | str)]
    assert sorted(re.findall(r"^## (.*)$", library, re.MULTILINE)) == sorted(names)
