"""Classes and the pairs between them, drawn: a column for each distance from the best connected class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Node = tuple[str, str]  # the name of a class, and the path of its file

_WIDTH, _GAP, _ROW, _HEIGHT, _CHAR = 60, 8, 30, 22, 7.3


class Edge(NamedTuple):
    """A pair: the classes at its ends, its title, and the id of its card."""

    one: Node
    other: Node
    title: str
    card: str


@dataclass(frozen=True)
class Box:
    """A class: its name, the corner and the width of its box, and the card to look at."""

    name: str
    x: float
    y: float
    width: float
    card: str


@dataclass(frozen=True)
class Line:
    """The pairs between two classes: the path to draw, and their titles."""

    path: str
    title: str


@dataclass(frozen=True)
class Drawing:
    """Classes that are connected, drawn; sizes are in pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def drawings(edges: Iterable[Edge]) -> list[Drawing]:
    """A drawing of each set of classes that are connected, the largest first."""
    between: dict[tuple[Node, Node], list[str]] = defaultdict(list)
    cards: dict[Node, str] = {}
    near: dict[Node, set[Node]] = defaultdict(set)
    for one, other, title, card in edges:
        between[min(one, other), max(one, other)].append(title)
        for node, neighbour in ((one, other), (other, one)):
            cards.setdefault(node, card)
            near[node].add(neighbour)
    found = []
    left = dict.fromkeys(sorted(near, key=lambda node: (-len(near[node]), node)))
    while left:
        columns = _columns(next(iter(left)), near)
        nodes = {node for column in columns for node in column}
        inside = {ends: titles for ends, titles in between.items() if ends[0] in nodes}
        found.append(_drawn(columns, inside, cards))
        for node in nodes:
            del left[node]
    return sorted(found, key=lambda one: -len(one.boxes))


def _columns(first: Node, near: dict[Node, set[Node]]) -> list[list[Node]]:
    """The classes by their distance from the first, each column in the order of what it hangs on."""
    columns = [[first]]
    seen = {first}
    while columns[-1]:
        rank = {node: index for index, node in enumerate(columns[-1])}
        following: dict[Node, float] = {}
        for node in columns[-1]:
            for other in near[node] - seen:
                ranks = [rank[one] for one in near[other] if one in rank]
                following[other] = sum(ranks) / len(ranks)
        seen |= following.keys()
        columns.append(sorted(following, key=lambda node: (following[node], node)))
    return columns[:-1]


def _drawn(
    columns: Sequence[Sequence[Node]], between: dict[tuple[Node, Node], list[str]], cards: dict[Node, str]
) -> Drawing:
    height = max(map(len, columns)) * _ROW + 2 * _GAP
    boxes: dict[Node, Box] = {}
    place: dict[Node, int] = {}
    x = float(_GAP)
    for index, column in enumerate(columns):
        width = max(len(name) for name, _ in column) * _CHAR + 16
        top = (height - len(column) * _ROW) / 2
        for row, node in enumerate(column):
            boxes[node] = Box(node[0], x, top + row * _ROW + (_ROW - _HEIGHT) / 2, width, cards[node])
            place[node] = index
        x += width + _WIDTH
    lines = []
    for (one, other), titles in between.items():
        start, end = sorted((one, other), key=lambda node: place[node])
        path = _curve(boxes[start], boxes[end], same=place[start] == place[end])
        lines.append(Line(path, "\n".join(titles)))
    return Drawing(x - _WIDTH + (_WIDTH / 2) + _GAP, height, tuple(boxes.values()), tuple(lines))


def _curve(start: Box, end: Box, *, same: bool) -> str:
    """A curve from the right of one box to the left of the other, or to the right in the same column."""
    x, y, y2 = start.x + start.width, start.y + _HEIGHT / 2, end.y + _HEIGHT / 2
    if start is end:
        y, y2 = y - 6, y2 + 6
    x2, bend = (end.x + end.width, _WIDTH / 2) if same else (end.x, -_WIDTH / 2)
    return f"M{x:.1f} {y:.1f}C{x + _WIDTH / 2:.1f} {y:.1f} {x2 + bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
