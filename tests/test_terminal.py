"""On a terminal: colour and progress; and what is said when a stream or the current folder goes away."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tool import run

from backpop.cli import progress

COMMAND = [sys.executable, "-m", "backpop.cli"]


def on_terminal(*arguments: str, cwd: Path, command: Sequence[str] = COMMAND, **environment: str) -> str:
    """What a command shows on a terminal that is both its stdout and its stderr."""
    parent, child = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment}
    if "NO_COLOR" not in environment:
        variables.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*command, *arguments], cwd=cwd, env=variables, stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    shown = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([parent], [], [], 0.2)[0]:
            try:
                data = os.read(parent, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not data:
                break
            shown += data
    process.wait(10)
    os.close(parent)
    return shown.decode().replace("\r\n", "\n")


def test_the_diff_is_coloured_on_a_terminal(tree: Path) -> None:
    shown = on_terminal("to-back-populates", cwd=tree)
    assert "\x1b[1m--- a/library/author.py\x1b[0m\n" in shown
    assert '\x1b[32m+    author = relationship("Author", back_populates="books")\x1b[0m\n' in shown
    assert "\x1b[31m-" in shown
    assert "\x1b[36m@@" in shown


def test_no_color_is_respected(tree: Path) -> None:
    assert "\x1b" not in on_terminal("to-back-populates", cwd=tree, NO_COLOR="1")
    assert "\x1b" not in on_terminal("to-back-populates", "--color", "never", cwd=tree)
    assert "\x1b[32m" in on_terminal("to-back-populates", "--color", "always", cwd=tree, NO_COLOR="1")


def test_a_pipe_gets_colour_only_if_asked(tree: Path) -> None:
    plain = run("to-back-populates", cwd=tree)
    assert "\x1b" not in plain.stdout + plain.stderr
    assert "\x1b[32m" in run("to-back-populates", "--color", "always", cwd=tree).stdout


def test_progress_shows_on_a_terminal_when_it_takes_long(tree: Path) -> None:
    program = (
        "from backpop.cli import progress; progress.DELAY = -1;from backpop.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program]
    assert "Reading files" in on_terminal("check", cwd=tree, command=command)
    assert "Reading files" not in on_terminal("check", "-q", cwd=tree, command=command)


def test_progress_passes_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(progress.tracked(range(100), "Counting")) == list(range(100))
    monkeypatch.setattr(progress, "DELAY", -1)
    assert list(progress.tracked(range(100), "Counting")) == list(range(100))


def _shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = command.replace("backpop", f"{sys.executable} -m backpop.cli")
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("backpop to-back-populates -q >&-", 0, ""),
        ("backpop to-back-populates -q 2>&- | cat > /dev/null; exit ${PIPESTATUS[0]}", 0, ""),
        ("backpop check - --stdin-filename x.py <&-", 0, "0 found. 1 file read.\n"),
        ("backpop to-back-populates -q > /dev/full", 2, "error: the output: No space left on device\n"),
        ("backpop to-back-populates -q | head -n 1; exit ${PIPESTATUS[0]}", 0, ""),
        (
            "mkdir x; cd x; rmdir ../x; backpop check",
            2,
            "error: the current folder: No such file or directory\n",
        ),
    ],
)
def test_streams_that_go_away(tree: Path, command: str, status: int, said: str) -> None:
    done = _shell(command, tree)
    assert (done.returncode, done.stderr) == (status, said)


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["to-back-populate"], "Did you mean 'to-back-populates'"),
        (["check", "--require-pair"], "--require-pairs"),
        (["to-backref", "--keep", "colection"], "collection"),
    ],
)
def test_what_is_mistyped_brings_a_suggestion(tmp_path: Path, arguments: list[str], suggestion: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert suggestion in done.stderr


def test_nothing_at_all_shows_the_help(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert "to-back-populates" in done.stdout + done.stderr


def test_shells_can_complete(tmp_path: Path) -> None:
    variables = {
        **os.environ,
        "_BACKPOP_COMPLETE": "complete_bash",
        "COMP_WORDS": "backpop to-",
        "COMP_CWORD": "1",
    }
    program = (
        "import sys; sys.argv[0] = 'backpop'; from backpop.cli.main import app; app(prog_name='backpop')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["to-back-populates", "to-backref"]
