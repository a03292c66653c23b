"""Whether this worker was asked to stop: long work gives way then, and the next worker goes on from the row."""

from __future__ import annotations

import threading

_requested = threading.Event()


class StopRequestedError(Exception):
    """The worker was asked to stop: the row is let go as it is, which is nobody's failure."""


def request_stop() -> None:
    """Let long work give way as soon as it looks."""
    _requested.set()


def is_stopping() -> bool:
    """Return whether the worker was asked to stop."""
    return _requested.is_set()


def ensure_running() -> None:
    """Raise StopRequestedError once the worker was asked to stop."""
    if is_stopping():
        raise StopRequestedError
