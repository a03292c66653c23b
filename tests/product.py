"""A whole product on this machine: web, worker, beat and local AMC, all real processes, on free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import requests

from tests import clock
from tests.serving import free_port, wait_for
from tests.shared_data import build_data

ROOT = Path(__file__).resolve().parents[1]
EMAIL, PASSWORD = "alice@example.com", "correct horse battery"


@dataclass(frozen=True)
class Product:
    """Where the running product is, and its processes by name."""

    url: str
    amc_url: str
    environment: dict[str, str]
    clock: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def manage(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a management command beside the running product."""
        return subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def pass_time(self, time: timedelta) -> None:
        """Move all clocks on, ours and the local AMC's; never back, because leases and beats remember the time."""
        clock.move(self.clock, float(self.clock.read_text()) + time.total_seconds())

    def control(self, path: str, **body: str | int) -> None:
        """Call a control route of the local AMC."""
        requests.post(f"{self.amc_url}/__control/{path}", json=body, timeout=10).raise_for_status()

    def statuses_at_amc(self) -> list[str]:
        """Return where every run at the local AMC is."""
        found = requests.get(f"{self.amc_url}/__control/executions", timeout=10).json()
        return [run["status"] for run in found["executions"]]


@contextmanager
def running_product(
    var_dir: Path, *, days_passed: int = 0, settings: Mapping[str, str] | None = None
) -> Iterator[Product]:
    """Start everything with a database of its own in `var_dir` and one user, a superuser; ends it with the block.

    The clock may be moved on by `days_passed`. `settings` are variables of the environment.
    """
    port, amc_port = free_port(), free_port()
    url, amc_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{amc_port}"
    environment = {**_environment(var_dir, url, amc_url), **(settings or {})}
    product = Product(url, amc_url, clock.environment(var_dir / "clock", environment), var_dir / "clock")
    clock.move(product.clock, 0)
    _prepare(product)
    store = var_dir / "local_amc"
    store.mkdir()
    (store / "data").symlink_to(build_data(days=days_passed))
    log = (var_dir / "processes.log").open("wb")
    for name, command in _commands(var_dir, store, port, amc_port).items():
        product.processes[name] = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=product.environment, stdout=log, stderr=log
        )
    try:
        wait_for(f"{amc_url}/amc/accounts", product.processes["amc"])
        wait_for(f"{url}/accounts/login/", product.processes["web"])
        yield product
    finally:
        _stop(product)
        log.close()
        sys.stdout.write((var_dir / "processes.log").read_text()[-4000:])


def _environment(var_dir: Path, url: str, amc_url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "DATABASE"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DJANGO_SETTINGS_MODULE": "amchelper.settings",
        "READ_DOT_ENV": "false",
        "DEBUG": "true",
        "SECRET_KEY": "browser-tests-only-" + "x" * 40,
        "FERNET_KEYS": "YnJvd3Nlci10ZXN0cy1vbmx5LTMyLWJ5dGVzLWtleSE=",
        "SITE_URL": url,
        "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.local",
        "AMAZON_CLIENT_SECRET": "local-secret",
        "LOCAL_AMC_URL": amc_url,
        "VAR_DIR": str(var_dir),
    }


def _prepare(product: Product) -> None:
    create = (
        f"from amchelper.models import User;User.objects.create_superuser('{EMAIL}', '{PASSWORD}', name='Alice')"
    )
    for command in (("migrate", "--verbosity", "0"), ("shell", "-c", create)):
        done = product.manage(*command)
        if done.returncode:
            raise RuntimeError(done.stderr)


def _commands(var_dir: Path, store: Path, port: int, amc_port: int) -> dict[str, list[str]]:
    return {
        "amc": ["-m", "local_amc", "--port", str(amc_port), "--store", str(store), "--control", "--speed", "0.2"],
        "web": ["-m", "gunicorn", "amchelper.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1",
                "--threads", "8"],
        "worker": ["-m", "celery", "-A", "amchelper", "worker", "--pool", "threads", "--concurrency", "4",
                   "--without-gossip", "--without-mingle", "--without-heartbeat"],
        "beat": ["-m", "celery", "-A", "amchelper", "beat", "--schedule", str(var_dir / "beat")],
    }  # fmt: skip


def _stop(product: Product) -> None:
    for process in reversed(product.processes.values()):
        process.send_signal(signal.SIGTERM)
    for process in product.processes.values():
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
