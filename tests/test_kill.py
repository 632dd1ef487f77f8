"""A few of the disturbances that ``make kill`` makes by the hundred."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(
    ("arguments", "ended"),
    [
        (["--runs", "16"], "16 runs killed and completed"),
        (["--runs", "8", "--twice"], "8 runs raced"),
    ],
    ids=["killed", "twice"],
)
def test_no_disturbed_run_loses_anything(tmp_path: Path, arguments: list[str], ended: str) -> None:
    script = Path(__file__).with_name("kill.py")
    done = subprocess.run(
        [sys.executable, script, *arguments, "--pairs", "10"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ended in done.stdout
