"""The tick: whatever is due or stuck is sent again. It is idempotent, so any number of beats may tick."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Q

from executions.models import FARTHEST, Execution, ExecutionStatus
from executions.services.messages import send_admission, send_steps
from executions.services.queue import accounts_with_waiting

logger = logging.getLogger(__name__)

# How long a message may be on its way before it counts as lost.
RESEND_AFTER = timedelta(seconds=30)
# What one tick sends at most; the next one follows in seconds.
MOST_STEPS, MOST_ACCOUNTS = 500, 100


def queue_due(now: datetime) -> int:
    """Send what is due and not on its way, the longest due first; returns the number of messages. Three statements."""
    on_the_way = Q(sent_at__gt=now - RESEND_AFTER, sent_at__lte=now + FARTHEST)
    due = (
        Execution.objects.due(now)
        .exclude(status=ExecutionStatus.QUEUED)
        .exclude(on_the_way)
        .order_by("next_step_at")
    )
    pks = list(due.values_list("pk", flat=True)[:MOST_STEPS])
    Execution.objects.filter(pk__in=pks).update(sent_at=now)
    send_steps(pks)
    accounts = accounts_with_waiting(now, most=MOST_ACCOUNTS)
    for account in accounts:
        send_admission(account)
    if pks or accounts:
        logger.info("executions due steps=%s accounts=%s", len(pks), len(accounts))
    return len(pks) + len(accounts)
