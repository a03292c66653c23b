"""The Celery app: it only carries messages, the database rows are the truth."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import beat_init, worker_init, worker_shutting_down
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from amchelper.folder_queue import use_folder_queue
from amchelper.shutdown import request_stop
from amchelper.startup import refuse_bad_configuration

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amchelper.settings")

use_folder_queue()
app = Celery("amchelper", task_cls="amchelper.queue:QueuedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# One queue for each kind of work (settings.WORKER_THREADS); what is not named here goes to `other`.
app.conf.task_routes = {
    "*.tasks.tick_*": "dispatch",
    "executions.tasks.admit_executions": "dispatch",
    "schedules.tasks.run_due_slots": "slots",
    "executions.tasks.advance_execution": "steps",
    "instances.tasks.advance_health_batch": "checks",
    "*.tasks.make_exports": "exports",
}
# Nightly work may wait until workers are back; a tick that came too late would only repeat the next one.
_NIGHTLY = {"expires": 12 * 3600.0}
# Any number of beats may tick: the ticks are idempotent.
app.conf.beat_schedule = {
    "tick-health": {"task": "instances.tasks.tick_health", "schedule": 30.0},
    "prune-health": {
        "task": "instances.tasks.prune_health",
        "schedule": crontab(hour="3", minute="20"),
        "options": _NIGHTLY,
    },
    "run-due-slots": {"task": "schedules.tasks.run_due_slots", "schedule": 15.0},
    "sweep-mappings": {
        "task": "instances.tasks.sweep_mappings",
        "schedule": crontab(hour="3", minute="30"),
        "options": _NIGHTLY,
    },
    "clear-sessions": {
        "task": "amchelper.tasks.clear_sessions",
        "schedule": crontab(hour="3", minute="50"),
        "options": _NIGHTLY,
    },
    "prune-results": {
        "task": "executions.tasks.prune_results",
        "schedule": crontab(hour="3", minute="40"),
        "options": _NIGHTLY,
    },
    "tick-exports": {"task": "executions.tasks.tick_exports", "schedule": 30.0},
}


@app.on_after_configure.connect
def _add_frequent_ticks(sender: Celery, **kwargs: Any) -> None:
    # Settings can be read only now: they import this package themselves.
    sender.conf.beat_schedule["executions-tick"] = {
        "task": "executions.tasks.tick_executions",
        "schedule": settings.EXECUTION_TICK_SECONDS,
    }


@worker_init.connect
@beat_init.connect
def _check_configuration(**kwargs: Any) -> None:
    try:
        refuse_bad_configuration()
    except ImproperlyConfigured as error:
        # Celery logs what a signal handler raises and starts all the same; only this stops it.
        raise SystemExit(str(error)) from error


@worker_shutting_down.connect
def _let_long_work_give_way(**kwargs: Any) -> None:
    request_stop()
