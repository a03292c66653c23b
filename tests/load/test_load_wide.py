"""The load of wide results, small, and whatever the machine has to do beside it."""

from __future__ import annotations

import pytest

from tests.load import load_wide
from tests.load.load_wide import Shape, run


def test_wide_results_are_stored_and_a_stopped_worker_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_wide, "MAX_STOP_SECONDS", 120.0)
    assert run((Shape(300, 20),), Shape(150, 20_000)) == 0
