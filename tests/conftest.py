"""Fixtures of the whole suite."""

from __future__ import annotations

import os

import pytest
import time_machine
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_sessionstart() -> None:
    """Run nothing under a clock that should have moved and did not."""
    if "TEST_CLOCK" in os.environ and not time_machine.escape_hatch.is_travelling():
        pytest.exit("TEST_CLOCK is set, but the clock has not moved: is tests/clock in PYTHONPATH?", returncode=2)
