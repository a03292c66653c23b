"""Processes that import the same at the same time, on a database file they share."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from local_amc.server import LocalAmcServer

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 3
PREPARE = """
from amchelper.models import User
from instances.models import AmazonConnection
user = User.objects.create_user("alice@example.com")
AmazonConnection.objects.create(user=user, label="Login", refresh_token="Atzr|local-healthy")
"""
# They wait for a line, so that all begin together.
IMPORT = """
from instances.models import AmazonConnection
from instances.services.imports import import_instances
connection = AmazonConnection.objects.select_related("user").get()
print("ready", flush=True)
input()
print(len(import_instances(connection=connection, actor=connection.user).created), flush=True)
"""


def run(environment: dict[str, str], *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *args],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_processes_that_import_the_same_make_no_duplicates_and_none_fails(tmp_path: Path) -> None:
    with LocalAmcServer() as amc:
        environment = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "amchelper.settings",
            "READ_DOT_ENV": "false",
            "DEBUG": "true",
            "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.local",
            "AMAZON_CLIENT_SECRET": "local-secret",
            "LOCAL_AMC_URL": amc.url,
            "VAR_DIR": str(tmp_path),
            "LOG_LEVEL": "ERROR",
        }
        for args in (["migrate", "--verbosity", "0"], ["shell", "-v", "0", "-c", PREPARE]):
            assert run(environment, *args).wait(timeout=120) == 0
        importers = [run(environment, "shell", "-v", "0", "-c", IMPORT) for _ in range(PROCESSES)]
        assert [read_line(importer) for importer in importers] == ["ready"] * PROCESSES
        for importer in importers:
            assert importer.stdin
            importer.stdin.write("go\n")
            importer.stdin.flush()
        created = [int(read_line(importer)) for importer in importers]
        assert [importer.wait(timeout=60) for importer in importers] == [0] * PROCESSES
        world = amc.app.state.instances.values()
    assert sum(created) == len(world), created
    with sqlite3.connect(tmp_path / "amchelper.sqlite3") as db:
        (instances,) = db.execute("SELECT count(*) FROM amc_instances").fetchone()
        (accounts,) = db.execute("SELECT count(*) FROM amc_accounts").fetchone()
        (checks,) = db.execute("SELECT count(*) FROM health_checks").fetchone()
    places = {(instance.account_id, instance.marketplace_id) for instance in world}
    assert (instances, accounts, checks) == (len(world), len(places), len(world))
