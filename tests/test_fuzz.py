"""A few of the inputs that ``make fuzz`` tries by the hundred thousand, the same ones in each run."""

from __future__ import annotations

import signal
from pathlib import Path

import fuzz
import pytest

NUMBER = 400


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer to end a hang with")
def test_mutated_models(tmp_path: Path) -> None:
    corpus = fuzz.load([])
    for seed in range(NUMBER):
        _, trouble = fuzz.attempt(corpus, seed, tmp_path / "project")
        assert not trouble, f"python tests/fuzz.py --only {seed}\n{trouble}"
