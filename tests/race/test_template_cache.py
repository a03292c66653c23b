"""Readers of the template cache never see less than what was committed before they began."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.cache import caches
from django.db import connection
from django.test import TransactionTestCase

from templates_app.services.templates import Content, create_template
from tests.factories import InstanceFactory, UserFactory

ROOT = Path(__file__).parents[2]
WRITERS, WRITES = 2, 1_000
READERS, READS = 4, 2_000
HAS_SERVICES = connection.vendor == "postgresql" and "redis" in str(settings.CACHES["default"]["BACKEND"]).lower()


@pytest.mark.services
@pytest.mark.skipif(not HAS_SERVICES, reason="needs PostgreSQL and Redis: run it with make test-services")
class TemplateCacheRaceTests(TransactionTestCase):
    def test_no_read_is_older_than_the_last_commit_before_it(self) -> None:
        caches["default"].clear()
        user = UserFactory.create()
        instance = InstanceFactory.create(account__connection__user=user)
        content = Content(name="v1", source_sql="SELECT 1 AS x")
        ids = [create_template(actor=user, instance=instance, content=content).template_id for _ in range(3)]
        roles = [("writer", WRITES)] * WRITERS + [("reader", READS)] * READERS
        running = [self.start(role, count, str(instance.pk), ids) for role, count in roles]
        results = [self.result(process) for process in running]
        commits = [commit for result in results[:WRITERS] for commit in result]
        reads = [one for result in results[WRITERS:] for one in result]
        self.assertGreater(len(commits), WRITES / 2)
        self.assertEqual(len(reads), READERS * READS)
        self.assert_fresh(commits, reads)

    def assert_fresh(self, commits: list[Any], reads: list[Any]) -> None:
        """Walk through both in the order of time, keeping the newest committed version of each template."""
        newest: dict[str, int] = {}
        events = sorted([(commit[0], 0, commit) for commit in commits] + [(one[0], 1, one) for one in reads])
        stale = []
        for _, is_read, event in events:
            template, version = event[1], event[2]
            if not is_read:
                newest[template] = max(newest.get(template, 1), version)
            elif min(version, event[3]) < newest.get(template, 1):
                stale.append((event, newest[template]))
        self.assertEqual(stale, [])

    def start(self, role: str, count: int, instance: str, ids: list[str]) -> subprocess.Popen[str]:
        database = connection.settings_dict
        login = f"{quote(database['USER'])}:{quote(database['PASSWORD'] or '')}"
        address = f"{database['HOST'] or '127.0.0.1'}:{database['PORT'] or 5432}"
        environment = {
            **os.environ,
            "DATABASE_URL": f"postgres://{login}@{address}/{database['NAME']}",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        # Its cache address is worked out already; the child must not do it again.
        environment.pop("PYTEST_XDIST_WORKER", None)
        command = [sys.executable, "-m", "tests.race.cache_worker", role, str(count), instance, *ids]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    def result(self, process: subprocess.Popen[str]) -> list[Any]:
        output, _ = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0)
        return list(json.loads(output))
