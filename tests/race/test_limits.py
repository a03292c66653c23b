"""Two web processes count one user's minute together."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import SimpleTestCase

ROOT = Path(__file__).parents[2]
PROCESSES, TIMES, MOST = 2, 200, 100
HAS_REDIS = "redis" in str(settings.CACHES["default"]["BACKEND"]).lower()
# Both count in the minute that the first one begins with, whatever the clock says.
COUNT = """
import sys, types, django
django.setup()
from amchelper import limits
limits.time = types.SimpleNamespace(time=lambda: float(sys.argv[2]))
passed = 0
for _ in range(int(sys.argv[3])):
    try:
        limits.spend(types.SimpleNamespace(pk=sys.argv[1]), limits.RUNS)
        passed += 1
    except limits.TooManyError:
        pass
print(passed)
"""


@pytest.mark.services
@pytest.mark.skipif(not HAS_REDIS, reason="needs Redis: run it with make test-services")
class LimitRaceTests(SimpleTestCase):
    def test_they_let_through_as_many_as_one_would(self) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "RUNS_PER_MINUTE": str(MOST),
        }
        # The address of the cache is worked out already; the children must not do it again.
        environment.pop("PYTEST_XDIST_WORKER", None)
        command = [sys.executable, "-c", COUNT, str(uuid4()), str(time.time()), str(TIMES)]
        running = [
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        passed = [int(process.communicate(timeout=120)[0]) for process in running]
        self.assertEqual(sum(passed), MOST)
