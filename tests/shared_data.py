"""Where tests keep the synthetic data of the local AMC, so that each instance's is built once per checkout."""

from __future__ import annotations

from pathlib import Path

STORE = str(Path(__file__).resolve().parents[1] / "var" / "test-data")
DATA = f"{STORE}/data"
