"""Run the Procfile with honcho; closing the terminal stops everything, as Ctrl-C does."""

from __future__ import annotations

import os
import signal
from types import FrameType

from honcho.command import main


def hang_up(signum: int, frame: FrameType | None) -> None:
    """End as for SIGTERM, which honcho passes on; of SIGHUP it knows nothing and would die alone."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    # Writing to a terminal that is gone fails, before the processes would have been told.
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, hang_up)
    main()
