"""Shapes that once took much longer than their size asks for: twice as much of them is twice the work.

Work is counted, as lines of the library that run: each turn of a loop is one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import backpop.codemods.api
from backpop.codemods.audit import audit
from backpop.codemods.run import Settings, to_back_populates

IMPORTS = """\
from sqlalchemy import Column, ForeignKey, Integer, Table
from sqlalchemy.orm import declarative_base, registry, relationship

"""
BASE = "Base = declarative_base()\n"
PARENT = """

class {0}(Base):
    __tablename__ = "{0}"
    id = Column(Integer, primary_key=True)
"""
CHILD = """

class {0}({2}):
    __tablename__ = "{0}"
    id = Column({3}, primary_key=True)
    {0}_id = Column(ForeignKey("{1}.id"))
    {0}_of = relationship("{1}", backref="{4}")
"""
Files = dict[str, str]


def _child(name: str, parent: str, reverse: str, base: str = "Base") -> str:
    key = "Integer" if base == "Base" else f'ForeignKey("{base}.id")'
    return CHILD.format(name, parent, base, key, reverse)


def _pair(number: int) -> str:
    return PARENT.format(f"P{number}") + _child(f"C{number}", f"P{number}", "children")


def pairs(count: int) -> Files:
    return {"m.py": IMPORTS + BASE + "".join(map(_pair, range(count)))}


def children_of_one_parent(count: int) -> Files:
    children = (_child(f"C{n}", "P", f"c{n}s") for n in range(count))
    return {"m.py": IMPORTS + BASE + PARENT.format("P") + "".join(children)}


def a_chain_of_classes(count: int) -> Files:
    """Each derives from the one before; all are sources, and their tables are joined."""
    chain = (_child(f"C{n}", "P", f"c{n}s", f"C{n - 1}" if n else "Base") for n in range(count))
    return {"m.py": IMPORTS + BASE + PARENT.format("P") + "".join(chain)}


def a_chain_of_targets(count: int) -> Files:
    """The same, where each is a target: its heirs must not have the name of the reverse."""
    head = PARENT.format("P0")
    chain = (PARENT.format(f"P{n}").replace("(Base)", f"(P{n - 1})") for n in range(1, count))
    children = (_child(f"C{n}", f"P{n}", f"c{n}s") for n in range(count))
    return {"m.py": IMPORTS + BASE + head + "".join(chain) + "".join(children)}


def assigned_after_the_classes(count: int) -> Files:
    text = pairs(count)["m.py"]
    for n in range(count):
        body = f'    C{n}_of = relationship("P{n}", backref="children")\n'
        text = text.replace(body, "") + body.replace("    ", f"C{n}.")
    return {"m.py": text}


def imperative(count: int) -> Files:
    text = "mapper = registry()\nmetadata = mapper.metadata\n"
    for n in range(count):
        text += f"""

class P{n}:
    pass


class C{n}:
    pass


p{n} = Table("p{n}", metadata, Column("id", Integer, primary_key=True))
c{n} = Table("c{n}", metadata, Column("id", ForeignKey("p{n}.id"), primary_key=True))
mapper.map_imperatively(P{n}, p{n})
mapper.map_imperatively(C{n}, c{n}, properties={{"p": relationship(P{n}, backref="cs")}})
"""
    return {"m.py": IMPORTS + text}


def classes_of_the_same_names_in_functions(count: int) -> Files:
    body = (BASE + _pair(0)).replace("\n", "\n    ")
    return {"test_m.py": IMPORTS + "".join(f"\n\ndef test_{n}():\n    {body}" for n in range(count))}


def classes_of_the_same_names_in_modules(count: int) -> Files:
    return {f"m{n}.py": IMPORTS + BASE + _pair(0) for n in range(count)}


def functions_beside_a_backref(count: int) -> Files:
    text = "\n\ndef f{}(items):\n    for item in items:\n        print(item)\n    return len(items)\n"
    return {"m.py": pairs(1)["m.py"] + "".join(text.format(n) for n in range(10 * count))}


def classes_beside_a_backref(count: int) -> Files:
    text = "\n\nclass Other{}(Base):\n    def f(self):\n        return self.id\n"
    return {"m.py": pairs(1)["m.py"] + "".join(text.format(n) for n in range(10 * count))}


def star_imports_of_a_name_that_nobody_binds(count: int) -> Files:
    files = {}
    for n in range(count):
        stars = "".join(
            f"from m{(n * step + add) % count} import *\n" for step, add in [(7, 1), (1, 1), (3, 5)]
        )
        files[f"m{n}.py"] = stars + (_pair(n).replace(f'"P{n}"', "Nobody") if n % 8 == 0 else "")
    return files


def imports_in_circles(count: int) -> Files:
    """Each name is taken from one of two modules, which have it from others."""
    files = {}
    for n in range(count):
        one, other = (f"from m{(n * step + 1) % count} import Base" for step in (1, 3))
        text = f"try:\n    {one}\nexcept ImportError:\n    {other}\n"
        files[f"m{n}.py"] = IMPORTS + text + _pair(n)
    return files


# A class deep down in a chain has as many ancestors, and heirs, as there are; a name that is bound in circles
# is followed around once for each that asks.
SQUARE: list[Callable[[int], Files]] = [a_chain_of_classes, a_chain_of_targets, imports_in_circles]
SHAPES: list[Callable[[int], Files]] = [
    pairs,
    children_of_one_parent,
    assigned_after_the_classes,
    imperative,
    classes_of_the_same_names_in_functions,
    classes_of_the_same_names_in_modules,
    functions_beside_a_backref,
    classes_beside_a_backref,
    star_imports_of_a_name_that_nobody_binds,
]
LIBRARY = str(Path(backpop.codemods.api.__file__).parent)


def lines_run(command: Callable[[Path], None], folder: Path) -> int:
    """How many lines of the library a command runs: each turn of a loop counts."""
    count = 0

    def in_library(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return in_library

    def tracer(frame: FrameType, _: str, __: Any) -> Any:
        return in_library if frame.f_code.co_filename.startswith(LIBRARY) else None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        command(folder)
    finally:
        sys.settrace(before)
    return count


def _convert(folder: Path) -> None:
    outcome = to_back_populates([folder])
    assert outcome.conversions or outcome.refusals


def _audit(folder: Path) -> None:
    assert audit([folder], Settings()).entries


@pytest.mark.parametrize("shape", SHAPES + SQUARE, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("command", [_convert, _audit], ids=["convert", "audit"])
def test_twice_as_much_is_twice_the_work(
    tmp_path: Path, shape: Callable[[int], Files], command: Callable[[Path], None]
) -> None:
    work = []
    for count in (16, 32, 64):
        folder = tmp_path / str(count)
        folder.mkdir()
        for name, text in shape(count).items():
            (folder / name).write_text(text, "utf-8")
        work.append(lines_run(command, folder))
    first, second, third = work
    assert third - second < (4.4 if shape in SQUARE else 2.4) * (second - first), work
