"""Run a module with a clock that a file moves: `python -m tests.e2e.clock MODULE ARGUMENTS`.

The file that TEST_CLOCK names holds seconds to add to the real time. It is read again and again, so that the clock of
processes that are at work moves under them.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

CLOCK = Path(os.environ["TEST_CLOCK"])
_LOOK_EVERY = 0.1


def _follow() -> None:
    """Keep this process's clock where the file says."""
    traveller: time_machine.travel | None = None
    there = 0.0
    while True:
        wanted = float(CLOCK.read_text())
        if wanted != there:
            if traveller is not None:
                traveller.stop()
            traveller = time_machine.travel(datetime.now(UTC) + timedelta(seconds=wanted), tick=True)
            traveller.start()
            there = wanted
        time.sleep(_LOOK_EVERY)


def _start() -> None:
    threading.Thread(target=_follow, daemon=True).start()


if __name__ == "__main__":
    _start()
    # A thread does not live on in the child of a fork, and web workers are such children.
    os.register_at_fork(after_in_child=_start)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
