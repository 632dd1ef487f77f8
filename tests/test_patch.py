"""The patch gives exactly the bytes that are written, with git and with patch, whatever the bytes are."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unidiff.patch import PatchSet

from backpop.codemods.edits import Edit, FileChange
from backpop.codemods.patch import build_patch, count_lines

ROOT = Path("/project")
GIT_APPLY = ["git", "apply", "-"]
PATCH = ["patch", "-p1", "--silent", "--no-backup-if-mismatch"]
APPLIERS = [
    pytest.param(GIT_APPLY, id="git"),
    pytest.param(PATCH, id="patch", marks=pytest.mark.skipif(not shutil.which("patch"), reason="no patch")),
    pytest.param(
        [*PATCH, "--binary"],
        id="patch-binary",
        marks=pytest.mark.skipif(not shutil.which("patch"), reason="no patch"),
    ),
]
# The user's own configuration decides nothing here.
ISOLATED = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def change(before: bytes, *edits: Edit, name: str = "models.py") -> FileChange:
    return FileChange(ROOT / name, before, edits)


def replaced(before: bytes, old: bytes, new: bytes, name: str = "models.py") -> FileChange:
    """A change of the only place where ``old`` stands."""
    assert before.count(old) == 1
    start = before.index(old)
    return change(before, Edit(start, start + len(old), new), name=name)


def body(*changes: FileChange) -> str:
    """The patch without the names of the files."""
    lines = build_patch(changes, ROOT).decode().split("\n")
    return "\n".join(line for line in lines if not line.startswith(("--- ", "+++ ")))


def assert_applies(command: list[str], changes: list[FileChange]) -> None:
    patch = build_patch(changes, ROOT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {folder / change.path.relative_to(ROOT): change for change in changes}
        for path, item in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(item.before)
        env = {**ISOLATED, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
        if patch:
            done = subprocess.run(command, input=patch, cwd=folder, env=env, capture_output=True, check=False)
            assert done.returncode == 0, (done.stdout + done.stderr).decode()
        for path, item in files.items():
            assert path.read_bytes() == item.after
        assert {path for path in folder.rglob("*") if path.is_file()} == set(files)


TEN = b"".join(b"line %d\n" % number for number in range(1, 11))

CASES = {
    "insert at the top": change(TEN, Edit(0, 0, b"new\n")),
    "insert at the end": change(TEN, Edit(len(TEN), len(TEN), b"new\n")),
    "delete the first line": replaced(TEN, b"line 1\n", b""),
    "delete the last line": replaced(TEN, b"line 10\n", b""),
    "within a line": replaced(TEN, b"ne 5", b"NE five"),
    "join two lines": replaced(TEN, b"5\nline 6", b"5, line 6"),
    "two in a line": change(TEN, Edit(0, 1, b"L"), Edit(5, 6, b"one")),
    "two hunks": change(TEN, Edit(0, 0, b"first\n"), Edit(len(TEN), len(TEN), b"last\n")),
    "everything goes": change(TEN, Edit(0, len(TEN), b"")),
    "everything changes": change(TEN, Edit(0, len(TEN), b"other\n")),
    "empty file": change(b"", Edit(0, 0, b"new\n")),
    "empty file, no newline": change(b"", Edit(0, 0, b"new")),
    "newline at the end is lost": change(b"a\nb\n", Edit(3, 4, b"")),
    "newline at the end is added": change(b"a\nb", Edit(3, 3, b"\n")),
    "no newline before nor after": change(b"a\nb", Edit(2, 3, b"c")),
    "no newline in the context": change(b"a\nb\nc", Edit(0, 1, b"A")),
    "append to no newline": change(b"a", Edit(1, 1, b"\nb\n")),
    "CRLF": change(b"a\r\nb\r\nc\r\n", Edit(3, 4, b"B\r\nnew")),
    "CRLF to LF": change(b"a\r\nb\r\n", Edit(1, 3, b"\n")),
    "mixed line ends": change(b"a\nb\r\nc\rd\n", Edit(2, 3, b"B")),
    "lone CR": change(b"a\rb\rc", Edit(2, 3, b"B\rnew")),
    "byte order mark": change(b"\xef\xbb\xbfa\nb\n", Edit(3, 4, b"A")),
    "form feed": change(b"a\n\x0c\nb\n", Edit(4, 5, b"B\x0c\x0bnew")),
    "Unicode line ends": change("a\u2028b\x85c\n".encode(), Edit(0, 1, "\u2029".encode())),
    "latin-1": change("# é\nname = 'é'\n".encode("latin-1"), Edit(4, 8, b"nom\xe9")),
    "looks like a header": change(
        b"-- a\n++ b\n@@ -1 +1 @@\n", Edit(0, 4, b"-- c"), Edit(5, 9, b"++ d\n-- e")
    ),
    "looks like the end of a patch": change(b"a\n-- \n2.39\n", Edit(0, 1, b"b")),
    "empty lines": change(b"\n\n\n\n\n", Edit(2, 2, b"\n")),
    "white space at the end": change(b"a \n\t\nb\t\n", Edit(3, 3, b" ")),
}


@pytest.mark.parametrize("command", APPLIERS)
@pytest.mark.parametrize("case", CASES)
def test_hand_cases_apply(case: str, command: list[str]) -> None:
    assert_applies(command, [CASES[case]])


@pytest.mark.parametrize("case", CASES)
def test_unidiff_reads_what_it_wrote(case: str) -> None:
    text = build_patch([CASES[case]], ROOT).decode("utf-8", "surrogateescape")
    parsed = PatchSet(text)
    assert str(parsed) == text
    assert (parsed.added, parsed.removed) == count_lines(CASES[case])


@pytest.mark.parametrize("command", APPLIERS)
@pytest.mark.parametrize(
    "name",
    [
        "a/b/c.py",
        "with space.py",
        "pkg with space/models.py",
        " leading.py",
        "naïve.py",
        "数据.py",
        'quo"te.py',
        "back\\slash.py",
        "tab\there.py",
        "new\nline.py",
        "bell\x07 and space.py",
        "delete\x7f.py",
        "'single'.py",
        "a b/dev/null",
    ],
)
def test_names_apply(name: str, command: list[str]) -> None:
    assert_applies(command, [replaced(TEN, b"5", b"five", name=name)])


def test_a_name_that_is_not_unicode_applies() -> None:
    name = os.fsdecode(b"latin-\xe9.py")
    try:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).touch()
    except OSError:
        pytest.skip("the file system takes no such name")
    assert_applies(GIT_APPLY, [replaced(TEN, b"5", b"five", name=name)])


def test_nothing_to_change_is_an_empty_patch() -> None:
    assert build_patch([], ROOT) == b""
    assert build_patch([change(TEN), change(TEN, Edit(0, 4, b"line"))], ROOT) == b""
    assert count_lines(change(TEN, Edit(0, 4, b"line"))) == (0, 0)


def test_the_whole_patch() -> None:
    first = replaced(TEN, b"5", b"five", name="b.py")
    second = replaced(b"x = 1\n", b"1", b"2", name="a.py")
    expected = """\
--- a/a.py
+++ b/a.py
@@ -1,1 +1,1 @@
-x = 1
+x = 2
--- a/b.py
+++ b/b.py
@@ -2,7 +2,7 @@
 line 2
 line 3
 line 4
-line 5
+line five
 line 6
 line 7
 line 8
"""
    assert build_patch([first, second], ROOT).decode() == expected
    assert build_patch([second, first], ROOT).decode() == expected, (
        "the order of the files is not the caller's"
    )


def test_only_the_lines_of_an_edit_that_differ_are_shown() -> None:
    before = b"call(\n    one,\n    two,\n    three,\n)\n"
    after = b"call(\n    one,\n    2,\n    three,\n)\n"
    expected = "@@ -1,5 +1,5 @@\n call(\n     one,\n-    two,\n+    2,\n     three,\n )\n"
    assert body(change(before, Edit(0, len(before), after))) == expected


def test_a_line_between_two_that_go_is_unchanged() -> None:
    before = b"zero\none\ntwo\nthree\n"
    expected = "@@ -1,4 +1,3 @@\n-zero\n one\n-two\n+2\n three\n"
    assert body(change(before, Edit(0, 5, b""), Edit(9, 12, b"2"))) == expected


def test_hunks_whose_context_touches_are_one() -> None:
    lines = b"".join(b"%02d\n" % number for number in range(20))

    def hunks(gap: int) -> int:
        patch = body(change(lines, Edit(0, 2, b"AA"), Edit(3 * (gap + 1), 3 * (gap + 1) + 2, b"BB")))
        return patch.count("@@ -")

    assert hunks(6) == 1
    assert hunks(7) == 2


def test_later_hunks_count_the_lines_that_earlier_ones_added() -> None:
    lines = b"".join(b"%02d\n" % number for number in range(30))
    patch = body(change(lines, Edit(0, 0, b"new\nnew\n"), Edit(60, 63, b""), Edit(87, 87, b"x")))
    headers = [line for line in patch.split("\n") if line.startswith("@@")]
    assert headers == ["@@ -1,3 +1,5 @@", "@@ -18,7 +20,6 @@", "@@ -27,4 +28,4 @@"]


def test_a_file_elsewhere_is_an_error() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        build_patch([FileChange(Path("/elsewhere/a.py"), b"", (Edit(0, 0, b"x"),))], ROOT)


@pytest.mark.parametrize("edits", [(Edit(5, 9, b""), Edit(8, 12, b"")), (Edit(50, 51, b""), Edit(2, 3, b""))])
def test_edits_that_overlap_or_are_not_sorted_are_an_error(edits: tuple[Edit, ...]) -> None:
    with pytest.raises(ValueError, match="overlap or are out of order"):
        build_patch([change(TEN, *edits)], ROOT)


def test_the_patch_applies_from_a_folder_of_a_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True, env=ISOLATED)
    path = tmp_path / "app" / "models.py"
    path.parent.mkdir()
    path.write_bytes(TEN)
    item = FileChange(path, TEN, (Edit(0, 4, b"LINE"),))
    patch = build_patch([item], tmp_path)
    subprocess.run(GIT_APPLY, input=patch, cwd=path.parent, env=ISOLATED, check=True)
    assert path.read_bytes() == item.after


# fmt: off
PIECES = st.sampled_from([
    b"\n", b"\n", b"\r\n", b"\r", b"a", b"b", b"    ", b"\t", b" ", b"-", b"+", b"\\", b"\x0b", b"\x0c",
    b"\x1c", b"\xe9", "é\u2028\x85".encode(), b"\xef\xbb\xbf", b"@@ -1 +1 @@", b"--- a/x", b"+++ b/x",
])
# fmt: on
TEXTS = st.lists(PIECES, max_size=40).map(b"".join)


@st.composite
def file_changes(draw: st.DrawFn) -> list[FileChange]:
    changes = []
    for index in range(draw(st.integers(1, 4))):
        # Lines on both sides of something else make context, and room between two hunks.
        before = b"".join(draw(st.lists(st.one_of(TEXTS, st.just(b"x\n" * 5)), max_size=3)))
        cuts = draw(st.lists(st.integers(0, len(before)), max_size=6).filter(lambda cuts: len(cuts) % 2 == 0))
        ordered = sorted(cuts)
        edits = [
            Edit(start, end, draw(st.lists(PIECES, max_size=6).map(b"".join)))
            for start, end in zip(ordered[::2], ordered[1::2], strict=True)
        ]
        changes.append(change(before, *edits, name=f"pkg/file {index}.py"))
    return changes


@pytest.mark.parametrize("command", APPLIERS)
def test_any_change_applies(command: list[str]) -> None:
    @given(file_changes())
    def check(changes: list[FileChange]) -> None:
        assert_applies(command, changes)

    check()


@given(file_changes())
def test_any_patch_is_read_back_by_unidiff(changes: list[FileChange]) -> None:
    text = build_patch(changes, ROOT).decode("utf-8", "surrogateescape")
    parsed = PatchSet(text)
    # Unidiff drops the tab after a name with a space when it reads; everything else is equal.
    assert str(parsed) == text.replace(".py\t\n", ".py\n")
    counts = [count_lines(item) for item in changes]
    assert (parsed.added, parsed.removed) == (
        sum(added for added, _ in counts),
        sum(gone for _, gone in counts),
    )
