"""Celery tasks: one line each into a service."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from schedules.services import failures, steps


@shared_task
def run_due_slots() -> None:
    """Claim due slots, start them, and let started ones follow their runs."""
    steps.run_due_slots()


@shared_task
def tell_owner(owner: str) -> None:
    """Write to an owner which schedules stopped."""
    failures.tell_owner(UUID(owner))
