"""``backpop explain``: the catalogue of codes, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from backpop.cli.config import nearest
from backpop.cli.console import say
from backpop.cli.exits import Exit
from backpop.codemods.codes import CODES, Code


def run(codes: Sequence[str]) -> Exit:
    """Print what some codes mean, or the list of all; returns the exit status."""
    names = [code.upper() for code in codes]
    unknown = [name for name in names if name not in CODES]
    for name in unknown:
        say(f"error: there is no code {name!r}{nearest(name, CODES)}; `backpop explain` lists them")
    if unknown:
        return Exit.ERROR
    if not names:
        for _, one in sorted(CODES.items()):
            print(f"{one.code}  {one.title}")
    print("\n\n".join("\n".join(_lines(CODES[name])) for name in names), end="\n" if names else "")
    return Exit.OK


def _lines(code: Code) -> Iterator[str]:
    yield f"{code.code}: {code.title}"
    yield ""
    yield from textwrap.wrap(code.why, 88)
    if code.example:
        yield ""
        yield textwrap.indent(code.example, "    ")
    yield ""
    yield from textwrap.wrap(code.advice, 88)
