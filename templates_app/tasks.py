"""Celery tasks: one line each into a service."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from instances.amc.types import AccountRef
from templates_app.services import (
    execution_queue,
    execution_steps,
    execution_tick,
    result_retention,
    schedule_slots,
    slot_outcomes,
    slot_starts,
)


@shared_task
def advance_execution(pk: str) -> None:
    """Do the steps of an execution that are due."""
    execution_steps.run_steps(UUID(pk))


@shared_task
def admit_executions(account_id: str, marketplace_id: str) -> None:
    """Let runs out of the queue of an account."""
    execution_queue.fill_places(AccountRef(account_id, marketplace_id))


@shared_task
def tick_executions() -> None:
    """Send again whatever is due or stuck."""
    execution_tick.queue_due(timezone.now())


@shared_task
def prune_results() -> None:
    """Remove results that are too old or too many."""
    result_retention.remove_old_results(timezone.now())


@shared_task
def claim_slots() -> None:
    """Claim the slots of schedules that are due."""
    schedule_slots.claim_due()


@shared_task
def start_slots() -> None:
    """Start runs for claimed slots, and for those that try again."""
    slot_starts.start_claimed()


@shared_task
def settle_slots() -> None:
    """Let slots follow their runs; pause schedules that keep failing."""
    slot_outcomes.settle_slots()
