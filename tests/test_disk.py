"""What the system itself refuses while files are written: no room, no right, no file of that size."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kill import make_tree, state_of

BACKPOP = Path(sys.executable).with_name("backpop")
UNSHARE = ("unshare", "--map-root-user", "--mount")


def test_a_full_and_a_read_only_disk(tmp_path: Path) -> None:
    if shutil.which(UNSHARE[0]) is None:
        pytest.skip("no unshare, which gives a test a disk of its own")
    mount = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    allowed = subprocess.run(mount, capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"no disk of its own for a test: {allowed.stderr.strip()}")
    script = Path(__file__).with_name("disk.py")
    done = subprocess.run(
        [*UNSHARE, sys.executable, str(script), "--pairs", "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to-back-populates: read-only, and completed" in done.stdout
    assert "to-backref: read-only, and completed" in done.stdout


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limits of a process")
    make_tree(tmp_path / "tree", 2)
    before = state_of(tmp_path)
    largest = max(len(data) for data, _, _ in before.values())

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    command = [str(BACKPOP), "to-back-populates", "--write"]
    done = subprocess.run(
        command, cwd=tmp_path, preexec_fn=limited, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert ".py: cannot be written: File too large; nothing was written\n" in done.stderr
    assert "backrefs converted" not in done.stderr
    assert state_of(tmp_path) == before
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    after = state_of(tmp_path)
    assert after.keys() == before.keys()
    assert not any(b"backref" in data for data, _, _ in after.values())
