"""Settings that hold for all tests."""

from __future__ import annotations

from hypothesis import settings

# Most examples start processes, and how long those take is the machine's affair.
settings.register_profile("backpop", deadline=None)
settings.load_profile("backpop")
