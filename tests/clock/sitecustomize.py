"""Move this process's clock to where the file that TEST_CLOCK names says, and keep it there.

Python imports a module of this name by itself when it starts and finds one in PYTHONPATH.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import time_machine

_LOOK_EVERY = 0.1


class Follower:
    """This process's clock."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seconds = 0.0
        self.clock: time_machine.Traveller | None = None

    def look(self) -> None:
        """Move the clock if the file says something new."""
        seconds = float(self.file.read_text())
        if seconds == self.seconds:
            return
        if self.clock is None:
            self.clock = time_machine.travel(time.time() + seconds, tick=True).start()
        else:
            # Not stopped and started: for a moment the clock would show the real time.
            self.clock.move_to(time_machine.escape_hatch.time.time() + seconds)
        self.seconds = seconds

    def follow(self) -> None:
        """Look for ever, or until the folder of the test run is gone."""
        pause = threading.Event()
        while self.file.exists():
            self.look()
            # Not time.sleep: tests replace it, and would note these waits or leave none.
            pause.wait(_LOOK_EVERY)

    def start(self) -> None:
        """Look from a thread of its own."""
        threading.Thread(target=self.follow, daemon=True).start()


if "TEST_CLOCK" in os.environ:
    _follower = Follower(Path(os.environ["TEST_CLOCK"]))
    # The first line of the program sees the moved clock already.
    _follower.look()
    _follower.start()
    # A thread does not live on in the child of a fork, and web workers are such children.
    os.register_at_fork(after_in_child=_follower.start)
