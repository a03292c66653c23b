"""The load of a dripping Amazon, small, and whatever the machine has to do beside it."""

from __future__ import annotations

from tests.load.load_slow import run


def test_others_are_shown_while_one_instance_drips() -> None:
    assert run(whole=False, max_shown_seconds=60.0) == 0
