"""Beat: it sends what is in `beat_schedule` (amchelper/celery.py) as everybody else sends."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler
from django.db import close_old_connections

from amchelper.queue import EXPIRES_SECONDS, send_task


class BeatScheduler(PersistentScheduler):
    """While a tick waits for a worker no second one joins it, however long no worker runs."""

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> None:
        if advance:
            entry = self.reserve(entry)
        # Nobody else looks after the connections of a process without requests.
        close_old_connections()
        try:
            send_task(entry.task, expires=entry.options.get("expires", EXPIRES_SECONDS))
        finally:
            self._tasks_since_sync += 1  # type: ignore[attr-defined]  # the stubs leave both out
            if self.should_sync():
                self._do_sync()  # type: ignore[attr-defined]
