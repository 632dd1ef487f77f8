"""Mutations of models as people write them: no traceback, no hang, and whatever comes out is sound.

    python tests/fuzz.py --runs 200000 [--corpus FOLDER ...]

Each input is a small project: the files of a fixture, or some of those below ``--corpus``, with a few
mutations, mostly such as leave it Python. One process converts them all. What must hold:

* nothing is raised, within ten seconds of processor time; what cannot be read is reported as BP001 or BP002;
* every file that changes, and every halfway state, can be parsed if it could before;
* the patch, applied by a reader of patches that shares no code with its writer, gives the new bytes;
  of every hundredth, ``git apply`` and ``write_changes`` do as well;
* a second run changes nothing.

The number of a failing input is its seed: ``--only NUMBER`` repeats it and keeps its files.
"""

from __future__ import annotations

import argparse
import ast
import io
import itertools
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from backpop.codemods.audit import audit
from backpop.codemods.patch import build_patch
from backpop.codemods.plan.policy import Keep, Policy
from backpop.codemods.run import Outcome, Settings, to_back_populates, to_backref
from backpop.codemods.write import write_changes

FIXTURES = Path(__file__).with_name("fixtures")
SECONDS = 10
_LARGEST = 8_000  # bytes of a file of the corpus

Project = dict[str, bytes]
Mutation = Callable[["Corpus", random.Random, bytes], bytes]


@dataclass
class Corpus:
    """Projects to start from, most often those of ``cases``, and pieces of them to put elsewhere."""

    cases: list[Project]
    projects: list[Project]
    expressions: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)

    def project(self, rng: random.Random) -> Project:
        """The files of any project."""
        return rng.choice(self.cases if rng.random() < 0.7 else self.projects)

    def file(self, rng: random.Random) -> bytes:
        """The bytes of any file."""
        return rng.choice([*rng.choice(self.projects).values()])


def load(folders: Sequence[Path]) -> Corpus:
    """The fixtures, and the files below some folders that mention a relationship."""
    cases: list[Project] = []
    projects: list[Project] = []
    for case in sorted(FIXTURES.iterdir()):
        for tree in ("before", "after"):
            files = {
                str(path.relative_to(case / tree)): path.read_bytes()
                for path in sorted((case / tree).rglob("*.py"))
            }
            if files:
                (cases if tree == "before" else projects).append(files)
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if path.is_file() and path.stat().st_size < _LARGEST:
                data = path.read_bytes()
                if b"backref" in data or b"back_populates" in data:
                    projects.append({path.name: data})
    projects += cases
    corpus = Corpus(cases, projects)
    for data in itertools.chain.from_iterable(project.values() for project in projects):
        corpus.lines += data.splitlines(keepends=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tree_of_file = ast.parse(data)
            except (SyntaxError, ValueError):
                continue
        text = {ast.unparse(node) for node in ast.walk(tree_of_file) if isinstance(node, ast.expr)}
        corpus.expressions += sorted(one for one in text if len(one) < 200)
    return corpus


# ---------------------------------------------------------------------------------------------------------
# Mutations. Those that are more likely to leave Python that says something else stand in the list more often.

_ODD = [b"\0", b"\r", b"\f", b"\v", b"\x1c", b"\xff", b"\xef\xbb\xbf", b"\x85", b"\t", b"\\\n", b";", b"\x1a"]
_ODD += [
    "\u2028".encode(),
    "é".encode(),
    "\U0001d4b3".encode(),
    "\ufb01".encode(),
    "\u202e".encode(),
    b"\xed\xa0\x80",
]
_COOKIES = ["utf-8", "latin-1", "ascii", "utf-16", "utf-7", "cp1252", "shift_jis", "rot13", "idna", "hex"]
_COOKIES += ["unicode_escape", "raw_unicode_escape", "punycode", "undefined", "utf-8-sig", "nonsense", "mbcs"]
_COOKIES += ["iso2022_jp", "hz", "big5", "euc_jp", "gb18030", "utf-32", "cp037", "quopri"]


def _names(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """One name of the file for another, here or everywhere."""
    names: list[bytes] = re.findall(rb"[A-Za-z_]\w*", data)
    if not names:
        return data
    old, new = rng.choice(names), rng.choice(names)
    if rng.random() < 0.3:
        return re.sub(rb"\b%s\b" % old, new, data)
    spots = list(re.finditer(rb"\b%s\b" % old, data))
    if not spots:
        return data
    spot = rng.choice(spots)
    return data[: spot.start()] + new + data[spot.end() :]


def _expression(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """One expression of the file for another of anywhere."""
    try:
        nodes = [node for node in ast.walk(ast.parse(data)) if isinstance(node, ast.expr)]
        text = data.decode("utf-8")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return data
    if not nodes:
        return data
    node = rng.choice(nodes)
    lines = [len(line.encode()) for line in io.StringIO(text, newline="").readlines()]
    if node.end_lineno is None or node.end_col_offset is None or node.end_lineno > len(lines):
        return data
    start = sum(lines[: node.lineno - 1]) + node.col_offset
    end = sum(lines[: node.end_lineno - 1]) + node.end_col_offset
    new = rng.choice(corpus.expressions)
    shape = rng.random()
    if shape < 0.1:
        new = f"({new}\n)"
    elif shape < 0.15:
        new = f"lambda: {new}"
    elif shape < 0.2:
        new = f"[{new} for x in y]"
    elif shape < 0.25:
        new = repr(new)
    elif shape < 0.28:
        new = "(" * (deep := rng.choice([5, 60, 150])) + new + ")" * deep
    elif shape < 0.3:
        new = " + ".join([new] * rng.choice([5, 300, 3000]))
    return data[:start] + new.encode("utf-8", "surrogatepass") + data[end:]


def _tokens(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """A token less, more, or elsewhere."""
    parts = re.findall(rb"\w+|\s+|'[^'\n]*'|\"[^\"\n]*\"|[^\w\s]", data)
    if len(parts) < 3:
        return data
    here, there = rng.randrange(len(parts)), rng.randrange(len(parts))
    match rng.randrange(4):
        case 0:
            del parts[here]
        case 1:
            parts.insert(there, parts[here])
        case 2:
            parts[here], parts[there] = parts[there], parts[here]
        case _:
            parts[here] = rng.choice(re.findall(rb"\w+|[^\w\s]", corpus.file(rng)) or [b"x"])
    return b"".join(parts)


def _lines(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """A line less, more, elsewhere, or with another indentation."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return rng.choice(corpus.lines)
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            del lines[here]
        case 1:
            lines.insert(there, lines[here])
        case 2:
            lines[here], lines[there] = lines[there], lines[here]
        case 3:
            lines.insert(here, rng.choice(corpus.lines))
        case 4:
            lines[here] = rng.choice([b" ", b"    ", b"\t", b""]) + lines[here]
        case _:
            lines[here] = lines[here].lstrip() if rng.random() < 0.5 else lines[here].rstrip(b"\r\n") + b"\r"
    return b"".join(lines)


def _blocks(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """Top-level statements in another order, twice, or under a condition or in a function."""
    blocks = re.split(rb"(?m)^(?=[^\s#)\]}'\"])", data)
    here, there = rng.randrange(len(blocks)), rng.randrange(len(blocks))
    match rng.randrange(4):
        case 0:
            blocks[here], blocks[there] = blocks[there], blocks[here]
        case 1:
            blocks.insert(there, blocks[here])
        case 2:
            blocks.insert(here, b"if x:\n")
            blocks[here + 1] = re.sub(rb"(?m)^", b"    ", blocks[here + 1])
        case _:
            head = rng.choice(
                [b"def f():\n", b"class Outer:\n", b"try:\n    pass\nfinally:\n", b"async def f(x):\n"]
            )
            blocks[here] = head + re.sub(rb"(?m)^(?=.)", rng.choice([b"    ", b"\t", b" "]), blocks[here])
    return b"".join(blocks)


def _bytes(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """Some bytes flipped, or odd ones put in."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 30])):
        at = rng.randrange(len(changed) + 1)
        if rng.random() < 0.5 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        else:
            changed[at:at] = rng.choice(_ODD)
    return bytes(changed)


def _splice(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """The beginning of one file, and the end of another."""
    other = corpus.file(rng)
    head, tail = data.splitlines(keepends=True), other.splitlines(keepends=True)
    return b"".join(head[: rng.randrange(len(head) + 1)] + tail[rng.randrange(len(tail) + 1) :])


def _truncated(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _ends(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """Other line ends, or none at the end."""
    plain = data.replace(b"\r\n", b"\n")
    match rng.randrange(4):
        case 0:
            return plain.replace(b"\n", b"\r\n")
        case 1:
            return plain.replace(b"\n", b"\r")
        case 2:
            return re.sub(rb"\n", lambda _: rng.choice([b"\n", b"\r\n", b"\r"]), plain)
        case _:
            return plain.rstrip(b"\n")


def _encoding(corpus: Corpus, rng: random.Random, data: bytes) -> bytes:
    """A cookie, true or lying."""
    name = rng.choice(_COOKIES)
    cookie = f"# -*- coding: {name} -*-\n".encode()
    if rng.random() < 0.5:
        try:
            return (cookie + data).decode("utf-8").encode(name)
        except (LookupError, ValueError):
            pass
    return cookie + data


MUTATIONS: list[Mutation] = [
    *([_names] * 5),
    *([_expression] * 8),
    *([_tokens] * 2),
    *([_lines] * 3),
    *([_blocks] * 3),
    *(_bytes, _splice, _truncated, _ends, _encoding),
]


def make(corpus: Corpus, seed: int) -> Project:
    """The input of a number."""
    rng = random.Random(seed)
    project = dict(corpus.project(rng))
    if rng.random() < 0.15:
        project |= {
            f"other_{name}" if rng.random() < 0.5 else name: data
            for name, data in rng.choice(corpus.projects).items()
        }
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        name = rng.choice(list(project))
        project[name] = rng.choice(MUTATIONS)(corpus, rng, project[name])
    return project


# ---------------------------------------------------------------------------------------------------------
# What must hold


class Broken(Exception):
    """Something that must hold does not."""


def _parses(data: bytes) -> bool:
    try:
        ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _applied(patch: bytes, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What a patch makes of files with plain names."""
    found: dict[str, bytes] = {}
    for part in re.split(rb"(?m)^--- (?=a/)", patch)[1:]:
        head, _, *body = _lines_of(part)
        name = head.removeprefix(b"a/").rstrip(b"\t\n").decode()
        old, new, position = _lines_of(files[name]), list[bytes](), 0
        for line, following in itertools.pairwise([*body, b""]):
            if match := re.match(rb"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@\n", line):
                begin = int(match[1]) - (match[2] != b"0")
                new += old[position:begin]
                position = begin
                continue
            kind, text = line[:1], line[1:-1] if following.startswith(b"\\") else line[1:]
            if kind in b" -":
                if old[position] != text:
                    raise Broken(f"the patch says {text!r} where {old[position]!r} stands")
                position += 1
            if kind in b" +":
                new.append(text)
        found[name] = b"".join([*new, *old[position:]])
    return found


def _lines_of(data: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def check(project: Project, folder: Path, seed: int) -> Counter[str]:
    """Convert a project, and see that what must hold does. Returns what happened; raises what went wrong."""
    rng = random.Random(seed)
    for name, data in project.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    convert = _conversion(rng, project, folder)
    if rng.random() < 0.05:
        audit([folder], Settings())
    outcome = convert()
    codes = {one.code for one in outcome.problems}
    if codes - {"BP001", "BP002"}:
        raise Broken(f"problems are {codes}")
    if not outcome.changes:
        return Counter(unchanged=1, refused=bool(outcome.refusals), unreadable=bool(outcome.problems))
    for change in outcome.changes:
        for state in (change.after, change.halfway):
            if not _parses(state) and _parses(change.before):
                raise Broken(f"{change.path.name} cannot be parsed")
    patch = build_patch(outcome.changes, folder)
    after = {str(change.path.relative_to(folder)): change.after for change in outcome.changes}
    if not any(b"\n--- a/" in data for data in project.values()) and _applied(patch, project) != after:
        raise Broken("the patch gives other bytes")
    if seed % 100 == 0:
        subprocess.run(
            ["git", "apply", "--check", "-"], input=patch, cwd=folder, check=True, capture_output=True
        )
        write_changes(outcome.changes)
    for change in outcome.changes:
        if seed % 100 == 0 and change.path.read_bytes() != change.after:
            raise Broken(f"{change.path.name} was written otherwise")
        change.path.write_bytes(change.after)
    again = convert()
    if again.changes:
        raise Broken(f"a second run changes {[change.path.name for change in again.changes]}")
    return Counter(changed=1, refused=bool(outcome.refusals), unreadable=bool(outcome.problems))


def _conversion(rng: random.Random, project: Project, folder: Path) -> Callable[[], Outcome]:
    settings = Settings(line_length=rng.choice([20, 79, 88, 120]))
    if rng.random() < (0.9 if any(b"backref" in data for data in project.values()) else 0.1):
        return lambda: to_back_populates([folder], settings)
    keep = rng.choice(list(Keep))
    flags = [rng.random() < 0.7 for _ in range(3)]
    return lambda: to_backref([folder], settings, Policy(keep, *flags))


class Hang(BaseException):
    """It takes too long. No ``Exception``, so that nothing takes it for something else."""


def _alarm(*_: object) -> None:
    raise Hang


def attempt(corpus: Corpus, seed: int, folder: Path) -> tuple[Counter[str], str]:
    """One input: what happened, and the traceback of what went wrong."""
    signal.signal(signal.SIGPROF, _alarm)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            project = make(corpus, seed)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            return check(project, folder, seed), ""
    except (Exception, Hang):
        return Counter(failed=1), traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _main() -> int:
    parser = argparse.ArgumentParser(description="Convert mutated projects.")
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first input")
    parser.add_argument("--corpus", type=Path, nargs="*", default=[], help="folders with real models")
    parser.add_argument("--only", type=int, help="repeat one input, and keep its files")
    options = parser.parse_args()
    corpus = load(options.corpus)
    if options.only is not None:
        folder = Path(tempfile.mkdtemp(prefix="backpop-fuzz-")).resolve() / "project"
        happened, trouble = attempt(corpus, options.only, folder)
        print(trouble or happened, folder, sep="\n")
        return bool(trouble)
    print(f"{len(corpus.projects)} projects, inputs {options.seed} to {options.seed + options.runs - 1}")
    began = time.monotonic()
    happened = Counter[str]()
    troubles: dict[str, list[int]] = {}
    slowest = (0.0, 0)
    with tempfile.TemporaryDirectory(prefix="backpop-fuzz-") as home:
        folder = Path(home).resolve() / "project"
        for seed in range(options.seed, options.seed + options.runs):
            start = time.process_time()
            counted, trouble = attempt(corpus, seed, folder)
            slowest = max(slowest, (time.process_time() - start, seed))
            happened += counted
            if trouble:
                kind = "\n".join(trouble.splitlines()[-4:])
                print(f"input {seed}:", trouble if kind not in troubles else kind, sep="\n", flush=True)
                troubles.setdefault(kind, []).append(seed)
            if (seed + 1 - options.seed) % 10_000 == 0:
                print(
                    f"{seed + 1 - options.seed} {dict(happened)} {time.monotonic() - began:.0f} s", flush=True
                )
    print(f"{options.runs} inputs in {time.monotonic() - began:.0f} s: {dict(happened)}")
    print(f"the slowest took {slowest[0]:.2f} s: input {slowest[1]}")
    for kind, seeds in troubles.items():
        print(f"{len(seeds)} inputs, such as {seeds[:5]}: {kind}")
    return bool(troubles)


if __name__ == "__main__":
    sys.exit(_main())
