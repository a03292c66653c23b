"""The Celery app: it only carries messages, the database rows are the truth."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import beat_init, worker_init
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from amchelper.folder_queue import use_folder_queue
from amchelper.startup import refuse_bad_configuration

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amchelper.settings")

use_folder_queue()
app = Celery("amchelper")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Any number of beats may tick: the ticks are idempotent.
# Frequent ticks that wait while no worker runs would only repeat each other, so they expire.
app.conf.beat_schedule = {
    "tick-health": {"task": "instances.tasks.tick_health", "schedule": 30.0},
    "prune-health": {"task": "instances.tasks.prune_health", "schedule": crontab(hour="3", minute="20")},
    "run-due-slots": {"task": "schedules.tasks.run_due_slots", "schedule": 15.0, "options": {"expires": 30}},
    "clear-sessions": {"task": "amchelper.tasks.clear_sessions", "schedule": crontab(hour="3", minute="50")},
    "prune-results": {"task": "executions.tasks.prune_results", "schedule": crontab(hour="3", minute="40")},
}


@app.on_after_configure.connect
def _add_frequent_ticks(sender: Celery, **kwargs: Any) -> None:
    # Settings can be read only now: they import this package themselves.
    seconds = settings.EXECUTION_TICK_SECONDS
    sender.conf.beat_schedule["executions-tick"] = {
        "task": "executions.tasks.tick_executions",
        "schedule": seconds,
        # Ticks that wait while no worker runs would only repeat each other.
        "options": {"expires": 2 * seconds},
    }


@worker_init.connect
@beat_init.connect
def _check_configuration(**kwargs: Any) -> None:
    try:
        refuse_bad_configuration()
    except ImproperlyConfigured as error:
        # Celery logs what a signal handler raises and starts all the same; only this stops it.
        raise SystemExit(str(error)) from error
