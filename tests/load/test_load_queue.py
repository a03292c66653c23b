"""The load of the queue, small, and whatever the machine has to do beside it."""

from __future__ import annotations

from tests.load.load_queue import run


def test_runs_started_without_a_worker_are_few_messages_and_all_end() -> None:
    assert run(60, max_first_seconds=60.0) == 0
