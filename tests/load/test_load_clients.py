"""The load of many people, small, and whatever the machine has to do beside it."""

from __future__ import annotations

from tests.load.load_clients import run


def test_what_people_save_and_start_at_once_is_there() -> None:
    assert run(clients=4, posts=3, rows=1_200, runs=8, checked=10) == 0
