"""Places for answers that take long: how many of a kind a web process gives at a time, so that pages find threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from amchelper.exceptions import AmcHelperError


class NoPlaceError(AmcHelperError):
    """As many answers of a kind are being given as this process gives at a time."""

    code = "no_place"
    http_status = 503


class Places:
    """The places of one kind of answer; `setting` names how many there are, `told` says that they are taken."""

    def __init__(self, setting: str, told: str, *, wait_seconds: float = 0.0) -> None:
        self._setting, self._told, self._wait_seconds = setting, told, wait_seconds
        self._condition, self._taken = threading.Condition(), 0

    @property
    def taken(self) -> int:
        """Return how many are taken."""
        return self._taken

    def take(self) -> None:
        """Take a place, waiting a moment for one; raises NoPlaceError."""
        limit = getattr(settings, self._setting)
        end = time.monotonic() + self._wait_seconds
        with self._condition:
            while self._taken >= limit:
                if not self._condition.wait(end - time.monotonic()):
                    raise NoPlaceError(f"{self._told} ({limit}). Try again in a minute.")
            self._taken += 1

    def give_back(self) -> None:
        """Let the next one in."""
        with self._condition:
            self._taken -= 1
            self._condition.notify()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a place for a piece of work; raises NoPlaceError."""
        self.take()
        try:
            yield
        finally:
            self.give_back()
