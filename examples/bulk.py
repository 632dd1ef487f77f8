"""A bulk refactoring of one's own: ``python examples/bulk.py [--write] REPOSITORY...``.

In a first wave it makes only those pairs explicit whose two classes live in one file, so that every change
can be reviewed by one owner, and none if the repository has a file that cannot be read. Prints one line for
each repository: what is converted, what is left for the second wave, and why the rest is refused.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from backpop.codemods.api import Outcome, Settings, to_back_populates


def first_wave(repository: Path, *, write: bool) -> str:
    """Plan and, if told so, write the first wave of one repository; returns the line to print."""
    outcome = to_back_populates([repository], Settings(writing=write))
    if outcome.problems or outcome.missing:
        return f"{repository}\tcannot be read"
    wave = within_one_file(outcome)
    if write:
        wave.write()
    codes = Counter(report.code for report in outcome.refusals)
    refused = " ".join(f"{code}:{count}" for code, count in sorted(codes.items()))
    later = len(outcome.conversions) - len(wave.conversions)
    return f"{repository}\t{len(wave.conversions)} converted\t{later} later\t{refused or 'none refused'}"


def within_one_file(outcome: Outcome) -> Outcome:
    """The conversions of an outcome that change a single file each."""
    return outcome.only({one.site for one in outcome.conversions if one.home is one.target.module})


if __name__ == "__main__":
    arguments = sys.argv[1:]
    for name in arguments:
        if name != "--write":
            print(first_wave(Path(name), write="--write" in arguments))
