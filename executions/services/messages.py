"""Messages to the workers: each only says that it may be time for a step. One that is lost is sent again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from uuid import UUID

from celery import current_app
from kombu.exceptions import OperationalError

from instances.amc.types import AccountRef

logger = logging.getLogger(__name__)

# By name: tasks are above services and import them.
_ADVANCE = "executions.tasks.advance_execution"
_ADMIT = "executions.tasks.admit_executions"
# Whoever has been waiting longer was sent again meanwhile.
_EXPIRES_SECONDS = 120


def send_steps(pks: Iterable[UUID]) -> None:
    """Tell the workers that steps of these executions may be due."""
    for pk in pks:
        _send(_ADVANCE, str(pk))


def send_admission(account: AccountRef) -> None:
    """Tell the workers that runs wait in our queue for this account."""
    _send(_ADMIT, account.account_id, account.marketplace_id)


def _send(task: str, *arguments: str) -> None:
    try:
        current_app.send_task(task, args=arguments, expires=_EXPIRES_SECONDS)
    except (OperationalError, OSError):
        # The row is the truth; the tick sends it again when the queue can be reached.
        logger.warning("message not sent task=%s", task, exc_info=True)
