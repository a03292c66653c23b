"""A clock for a test run and all its processes, read from a file.

Processes started with `environment(file)` show the real time plus the seconds that stand in the file, from their first
line of Python to their last child. `python -m tests.dates` moves a whole session this way, the browser tests move the
product while it runs.

What cannot follow: the kernel's times of files, certificates, and the clocks of databases. Tests that need those give
them their times explicitly.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import time_machine

_FOLDER = Path(__file__).resolve().parent


def environment(file: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of `base` with the ones under which a Python process follows the file."""
    found = [part for part in base.get("PYTHONPATH", "").split(os.pathsep) if part]
    path = [str(_FOLDER), *(part for part in found if part != str(_FOLDER))]
    return {**base, "TEST_CLOCK": str(file), "PYTHONPATH": os.pathsep.join(path)}


def real_time() -> float:
    """Return the seconds since 1970 that no test moves."""
    hatch = time_machine.escape_hatch
    return hatch.time.time() if hatch.is_travelling() else time.time()


def move(file: Path, seconds: float) -> None:
    """Set all clocks that follow the file so far from the real time."""
    # In one step: processes read the file at any moment.
    new = file.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(file)
