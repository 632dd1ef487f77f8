"""The library as others use it: the names that are promised, and the example that uses them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tool import files_of

from backpop.codemods import api

ROOT = Path(__file__).parent.parent


def test_every_promised_name_is_there() -> None:
    assert len(api.__all__) == len(set(api.__all__))
    for name in api.__all__:
        assert hasattr(api, name)
        assert getattr(api, name).__doc__


def test_the_example_of_the_documentation_works(tree: Path) -> None:
    code = "\n".join(re.findall(r"^    (.*)$", api.__doc__ or "", re.MULTILINE))
    done = subprocess.run(
        [sys.executable, "-c", code.replace('"src"', '"."').replace('"User"', '"Author"')],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("--- a/library/author.py")
    after = files_of(ROOT / "tests" / "fixtures" / "across-modules" / "after")
    assert files_of(tree) == after


def test_the_example_script_converts_what_is_in_one_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "bookshop", tmp_path / "bookshop")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "models.py").write_text("backref = (", "utf-8")
    before = files_of(tmp_path)
    command = [sys.executable, str(ROOT / "examples" / "bulk.py"), "bookshop", "broken"]
    dry = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert files_of(tmp_path) == before
    done = subprocess.run([*command, "--write"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == dry
    first, second = dry.splitlines()
    numbers = [int(word) for word in re.findall(r"(\d+) (?:converted|later)", first)]
    changed = [name for name, data in files_of(tmp_path).items() if data != before[name]]
    assert all(numbers)
    assert changed == ["bookshop/catalogue.py", "bookshop/customers.py", "bookshop/orders.py"]
    assert second == "broken\tcannot be read"
    left = api.to_back_populates([tmp_path / "bookshop"])
    assert len(left.conversions) == numbers[1]
    assert all(one.home is not one.target.module for one in left.conversions)
