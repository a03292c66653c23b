"""Where tests keep the synthetic data of the local AMC, so that each instance's is built once per checkout."""

from __future__ import annotations

import os
from pathlib import Path

# Files name themselves by instance, seed and month, and lock themselves: several runs of the tests may share them.
STORE = Path(os.environ.get("TEST_STORE") or Path(__file__).resolve().parents[1] / "var" / "test-data")
DATA = STORE / "data"
