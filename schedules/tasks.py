"""Celery tasks: one line each into a service."""

from __future__ import annotations

from celery import shared_task

from schedules.services import steps


@shared_task
def run_due_slots() -> None:
    """Claim due slots, start them, and let started ones follow their runs."""
    steps.run_due_slots()
