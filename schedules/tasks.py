"""Celery tasks: one line each into a service."""

from __future__ import annotations

from celery import shared_task

from schedules.services import outcomes, slots, starts


@shared_task
def claim_slots() -> None:
    """Claim the slots of schedules that are due."""
    slots.claim_due()


@shared_task
def start_slots() -> None:
    """Start runs for claimed slots, and for those that try again."""
    starts.start_claimed()


@shared_task
def settle_slots() -> None:
    """Let slots follow their runs; pause schedules that keep failing."""
    outcomes.settle_slots()
