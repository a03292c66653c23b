"""Celery tasks: one line each into a service."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from executions.services import export_steps, queue, retention, steps
from instances.amc.types import AccountRef


@shared_task
def advance_execution(pk: str) -> None:
    """Do the steps of an execution that are due."""
    steps.run_steps(UUID(pk))


@shared_task
def admit_executions(account_id: str, marketplace_id: str) -> None:
    """Let runs out of the queue of an account."""
    queue.admit_and_send(AccountRef(account_id, marketplace_id))


@shared_task
def tick_executions() -> None:
    """Send again whatever is due or stuck."""
    steps.send_due(timezone.now())


@shared_task
def prune_results() -> None:
    """Remove results that are too old or too many."""
    retention.remove_old_results(timezone.now())


@shared_task
def make_exports() -> None:
    """Make the files that were asked for."""
    export_steps.make_exports()


@shared_task
def tick_exports() -> None:
    """Send again what got stuck, and remove what expired."""
    export_steps.tick(timezone.now())
