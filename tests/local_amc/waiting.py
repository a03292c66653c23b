"""Wait for what another thread or process does, as briefly as possible."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(read: Callable[[], T], is_enough: Callable[[T], bool], seconds: float = 60) -> T:
    """Read again and again until it is enough, and give that; fails after a while with what was read last."""
    deadline = time.monotonic() + seconds
    while not is_enough(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found
