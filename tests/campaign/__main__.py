"""Run the campaign on both shapes of the product: `python -m tests.campaign [--only services|embedded]`.

The grown shape needs TEST_DATABASE_URL and TEST_REDIS_URL; it makes a database of its own and drops it, and uses
the numbers 12 and 13 of Redis, so that only one campaign at a time may run on a server. Exits with 1 when
anything was lost, doubled or changed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from cryptography.fernet import Fernet
from psycopg.sql import SQL, Identifier

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the chosen shapes one after the other."""
    options = _parse()
    failed = False
    if options.only != "embedded":
        with _database(os.environ["TEST_DATABASE_URL"]) as database:
            redis = os.environ["TEST_REDIS_URL"].rstrip("/")
            urls = {"DATABASE_URL": database, "CACHE_URL": f"{redis}/12", "CELERY_BROKER_URL": f"{redis}/13"}
            failed |= _run("PostgreSQL and Redis", options.runs, urls, options)
    if options.only != "services":
        failed |= _run("SQLite and a folder as queue", options.embedded_runs, {}, options)
    return int(failed)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.campaign", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="executions on PostgreSQL and Redis")
    parser.add_argument("--embedded-runs", type=int, default=200, help="executions on SQLite")
    parser.add_argument("--only", choices=["services", "embedded"])
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds between two killed workers")
    parser.add_argument("--keep", type=Path, help="a new folder for logs and files, which stays")
    parser.add_argument("--minutes", type=float, default=30.0, help="after which it counts as failed")
    return parser.parse_args()


def _run(title: str, runs: int, urls: dict[str, str], options: argparse.Namespace) -> bool:
    """Run one shape in a process of its own, because settings are read once; returns whether it failed."""
    sys.stdout.write(f"== {title}: {runs} executions\n")
    sys.stdout.flush()
    with _folder(options.keep, "services" if urls else "embedded") as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},
            "READ_DOT_ENV": "false",
            "DEBUG": "true",
            "SECRET_KEY": "only-for-this-campaign-and-nothing-else",
            "FERNET_KEYS": Fernet.generate_key().decode(),
            "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.local",
            "AMAZON_CLIENT_SECRET": "local-secret",
            "VAR_DIR": f"{folder}/var",
            "LOG_LEVEL": "INFO",
            "EXECUTION_TICK_SECONDS": "1",
            "HEALTH_CHECK_INTERVAL_MINUTES": "1440",
            "PYTHONUNBUFFERED": "1",
            **urls,
        }
        command = [sys.executable, "-m", "tests.campaign.shape", str(folder)]
        numbers = [str(runs), str(options.kill_every), str(options.minutes)]
        return bool(subprocess.run([*command, *numbers], cwd=ROOT, env=environment, check=False).returncode)


@contextmanager
def _folder(keep: Path | None, name: str) -> Iterator[Path]:
    """Lend a folder for everything a shape writes; it goes unless it is to be looked at."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="amc-campaign-") as lent:
            yield Path(lent)
        return
    folder = keep.resolve() / name
    folder.mkdir(parents=True)
    yield folder


@contextmanager
def _database(server: str) -> Iterator[str]:
    """Create a database of our own, and drop it afterwards."""
    name = f"amc_campaign_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


if __name__ == "__main__":
    sys.exit(main())
