"""The Celery app: it only carries messages, the database rows are the truth."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import beat_init, worker_init

from amchelper.startup import refuse_bad_configuration

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amchelper.settings")

app = Celery("amchelper")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Any number of beats may tick: the ticks are idempotent.
app.conf.beat_schedule = {
    "tick-health": {"task": "instances.tasks.tick_health", "schedule": 30.0},
    "prune-health": {"task": "instances.tasks.prune_health", "schedule": crontab(hour="3", minute="20")},
}


@worker_init.connect
@beat_init.connect
def _check_configuration(**kwargs: Any) -> None:
    refuse_bad_configuration()
