"""The Celery app: it only carries messages, the database rows are the truth."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

from amchelper.startup import refuse_bad_configuration

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "amchelper.settings")

app = Celery("amchelper")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def _check_configuration(**kwargs: Any) -> None:
    refuse_bad_configuration()
