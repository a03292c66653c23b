"""The one way to start a task: a message that only says it may be time to look at a row."""

from __future__ import annotations

import logging

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

# Rows that have been waiting longer were sent again meanwhile.
_EXPIRES_SECONDS = 120


def send_task(name: str, *arguments: str) -> None:
    """Send a message to the workers; `name` is the task's dotted name, because tasks are above services.

    A queue that cannot be reached is logged and no more: the row is the truth, and the next tick sends it again.
    """
    try:
        current_app.send_task(name, args=arguments, expires=_EXPIRES_SECONDS)
    except (OperationalError, OSError):
        logger.warning("message not sent task=%s", name, exc_info=True)
