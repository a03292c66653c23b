"""The one way to start a task: a message that only says it may be time to look at a row.

While a message waits for a worker no equal one is sent, however often somebody asks for it. Rows with steps note in
`sent_at` that a message about them is on its way (amchelper/leases.py); for everything else a mark does
(`PendingMessage`), which ends when the task begins: before it reads a row, so that nothing asked for later is missed.
A message or a mark that got lost holds its task back until the mark expires, and the ticks send it again. While no
worker runs each message waits twice as long as the one before, so that a long outage leaves few.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from celery import Task, current_app
from django.db import DatabaseError
from kombu.exceptions import OperationalError

from amchelper.busy import is_busy
from amchelper.models import PendingMessage

logger = logging.getLogger(__name__)

# Shorter than leases.RESEND_AFTER: what is sent again finds the message before it gone, not waiting.
EXPIRES_SECONDS = 25.0
_HEADER = "pending_key"


def send_task(name: str, *arguments: str, expires: float = EXPIRES_SECONDS) -> None:
    """Send a message to the workers, unless an equal one waits for them; it expires after that many seconds or more.

    `name` is the task's dotted name, because tasks are above services. Call it when everything is committed that the
    task is to see. A queue that cannot be reached, or a database that has no time to note the message down, is logged
    and no more: the rows are the truth.
    """
    key = " ".join((name, *arguments))
    try:
        seconds = PendingMessage.objects.keep_waiting(key, seconds=expires)
        if seconds is None:
            return
        if not _publish(name, arguments, expires=seconds, headers={_HEADER: key}):
            PendingMessage.objects.forget(key)
    except DatabaseError as error:
        if not is_busy(error):
            raise
        logger.warning("database busy, message left to the next tick task=%s error=%s", name, error)


def send_for_rows(name: str, pks: Iterable[object]) -> None:
    """Send a message about each of these rows, whose `sent_at` was just set; else as `send_task`."""
    for pk in pks:
        if not _publish(name, (str(pk),), expires=EXPIRES_SECONDS):
            # The others would have to wait for the same queue, one after the other.
            return


class QueuedTask(Task):
    """A task whose message waits no more once it begins, and which a busy database puts off instead of ending it."""

    # Of messages that do not expire before; what they ask for is in the rows, and the ticks send it again.
    max_retries = 10

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            if not is_busy(error):
                raise
            seconds = min(2 ** (self.request.retries + 1), 60)
            logger.warning("database busy task=%s error=%s seconds=%s", self.name, error, seconds)
            raise self.retry(exc=error, countdown=seconds) from error

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        key = (self.request.headers or {}).get(_HEADER)
        if key is None:
            return
        try:
            PendingMessage.objects.forget(key)
        except DatabaseError as error:
            # It expires by itself; the task may still be able to do its work.
            logger.warning(
                "mark of a message not removed key=%s error=%s", key, error, exc_info=not is_busy(error)
            )


def _publish(name: str, arguments: tuple[str, ...], **options: Any) -> bool:
    """Hand a message to the queue; returns whether that could be done."""
    try:
        current_app.send_task(name, args=arguments, **options)
    except (OperationalError, OSError):
        logger.warning("message not sent task=%s", name, exc_info=True)
        return False
    return True
