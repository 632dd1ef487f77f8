"""The catalogue of codes, and what explains it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tool import run

from backpop.codemods.codes import CODES

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_used_by_some_rule(code: str) -> None:
    sources = [
        path.read_text("utf-8") for path in (ROOT / "codemods").rglob("*.py") if path.name != "codes.py"
    ]
    assert any(f'"{code}"' in source for source in sources)


def test_explain_lists_every_code(tmp_path: Path) -> None:
    listed = run("explain", cwd=tmp_path).stdout.splitlines()
    assert listed == [f"{code.code}  {code.title}" for _, code in sorted(CODES.items())]


def test_explain_says_all_of_a_code(tmp_path: Path) -> None:
    said = " ".join(run("explain", "bp501", "BP101", cwd=tmp_path).stdout.split())
    for code in (CODES["BP501"], CODES["BP101"]):
        for text in (code.code, code.title, code.why, code.advice, code.example):
            assert " ".join(text.split()) in said


def test_explain_suggests_the_near_code(tmp_path: Path) -> None:
    done = run("explain", "BP50l", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no code 'BP50L'; did you mean BP50" in done.stderr
