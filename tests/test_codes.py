"""The catalogue of codes, and that what the README says of it is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backpop.codemods.codes import CODES

ROOT = Path(__file__).parent.parent


def test_readme_lists_every_refusal() -> None:
    rows = dict(
        re.findall(r"^\| (BP\d{3}) \| (.+) \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    )
    assert rows == {code.code: code.title for code in CODES.values() if not code.code.startswith("BP9")}


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_used_by_some_rule(code: str) -> None:
    sources = [
        path.read_text("utf-8") for path in (ROOT / "codemods").rglob("*.py") if path.name != "codes.py"
    ]
    assert any(f'"{code}"' in source for source in sources)
