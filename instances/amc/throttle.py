"""A throttle that all calls of one login to one host share: when Amazon throttles one, all slow down."""

from __future__ import annotations

import threading
import time

_FIRST_SPACING_SECONDS = 0.05
_MAX_SPACING_SECONDS = 2.0
_RECOVERY = 0.9
_NEGLIGIBLE_SECONDS = 0.01


class Throttle:
    """Pause and space calls after a throttling answer; speed up again with every call that went through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self._next_slot = 0.0
        self._spacing = 0.0

    def wait(self, limit_seconds: float) -> float:
        """Wait for a place; returns the seconds waited, -1 at once when it would exceed the limit."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._paused_until, self._next_slot)
            if start - now > limit_seconds:
                return -1.0
            if self._spacing:
                self._next_slot = start + self._spacing
        if start > now:
            time.sleep(start - now)
        return start - now

    def throttled(self, pause_seconds: float) -> None:
        """Note that Amazon asked to slow down: no call goes out for this long, and then further apart."""
        with self._lock:
            now = time.monotonic()
            already_paused = now < self._paused_until
            self._paused_until = max(self._paused_until, now + pause_seconds)
            if already_paused:
                return  # calls that were under way together are one event, not many
            self._spacing = min(max(self._spacing * 2, _FIRST_SPACING_SECONDS), _MAX_SPACING_SECONDS)

    def passed(self) -> None:
        """Note that a call went through."""
        if self._spacing:  # the common case costs no lock
            with self._lock:
                self._spacing *= _RECOVERY
                if self._spacing < _NEGLIGIBLE_SECONDS:
                    self._spacing = 0.0

    @property
    def pause_left(self) -> float:
        """Return the seconds until calls go out again."""
        return max(0.0, self._paused_until - time.monotonic())


_throttles: dict[tuple[str, str], Throttle] = {}
_throttles_lock = threading.Lock()


def get_throttle(host: str, login_key: str) -> Throttle:
    """Return the throttle this process keeps for a login at a host."""
    with _throttles_lock:
        return _throttles.setdefault((host, login_key), Throttle())
