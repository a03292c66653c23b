"""The product as the Procfile starts it, in a folder and on ports of its own: web, worker, beat and a local AMC."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import requests

from tests import clock
from tests.campaign.processes import Process
from tests.serving import PATIENCE, free_port
from tests.shared_data import build_data

ROOT = Path(__file__).resolve().parents[1]
EMAIL, PASSWORD = "alice@example.com", "correct horse battery"
EVERYTHING = ("amc", "web", "worker", "beat")
# One user, a superuser.
CREATE_ALICE = (
    f"from amchelper.models import User;User.objects.create_superuser('{EMAIL}', '{PASSWORD}', name='Alice')"
)
# What a process says when it takes work.
_READY = {"web": b"Booting worker", "worker": b" ready.\n", "beat": b"beat: Starting", "amc": b"listens on http"}


@dataclass
class Product:
    """Where the running product is; everything it writes is below `folder`, and `said` is what the set-up printed."""

    folder: Path
    port: int
    amc_port: int
    environment: dict[str, str]
    processes: dict[str, Process] = field(default_factory=dict)
    said: str = ""

    @property
    def url(self) -> str:
        """Return where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def amc_url(self) -> str:
        """Return where the local AMC is."""
        return f"http://127.0.0.1:{self.amc_port}"

    @property
    def var(self) -> Path:
        """Return the folder of its database, queue and files."""
        return self.folder / "var"

    @property
    def system_temporary(self) -> Path:
        """Return the folder that stands for the system's temporary files."""
        return self.folder / "system-tmp"

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command beside the running product."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def pass_time(self, time: timedelta) -> None:
        """Move all clocks on, ours and the local AMC's; never back, because leases and beats remember the time."""
        file = Path(self.environment["TEST_CLOCK"])
        clock.move(file, float(file.read_text()) + time.total_seconds())

    def control(self, path: str, *, method: str = "POST", **body: str | int) -> None:
        """Call a control route of the local AMC."""
        address = f"{self.amc_url}/__control/{path}"
        requests.request(method, address, json=body, timeout=PATIENCE).raise_for_status()

    def statuses_at_amc(self) -> list[str]:
        """Return where every run at the local AMC is."""
        found = requests.get(f"{self.amc_url}/__control/executions", timeout=PATIENCE).json()
        return [run["status"] for run in found["executions"]]


@contextmanager
def running_product(
    folder: Path,
    *names: str,
    setup: str = CREATE_ALICE,
    days_passed: int = 0,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Product]:
    """Start the named processes of the Procfile, or all, on a database of their own in which `setup` (Python) ran.

    The clock may be moved on by `days_passed`. `settings` are variables of the environment. What the processes logged
    is in `<name>.log` of the folder, and its end is shown when something goes wrong.
    """
    product = Product(folder, free_port(), free_port(), {})
    product.environment = _environment(product, days_passed) | dict(settings or {})
    product.system_temporary.mkdir()
    product.said = _prepare(product, setup)
    with ExitStack() as stack:
        for name in names or EVERYTHING:
            if name == "amc":
                _make_store(product, days_passed)
            log = folder / f"{name}.log"
            environment = product.environment
            process = Process(name, _command(name, product), log, ready=_READY[name], environment=environment)
            stack.callback(process.stop)
            process.start()
            product.processes[name] = process
        for process in product.processes.values():
            process.wait_until_ready()
        try:
            yield product
        except BaseException:
            for process in product.processes.values():
                sys.stdout.write(f"--- {process.name}\n{process.tail(40)}\n")
            raise


def _environment(product: Product, days_passed: int) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_URL") and not name.startswith(("DJANGO_", "DATABASE"))
    }
    own = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DJANGO_SETTINGS_MODULE": "amchelper.settings",
        "READ_DOT_ENV": "false",
        "DEBUG": "true",
        "SECRET_KEY": "whole-product-tests-only-" + "x" * 40,
        "FERNET_KEYS": "YnJvd3Nlci10ZXN0cy1vbmx5LTMyLWJ5dGVzLWtleSE=",
        "SITE_URL": product.url,
        "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.local",
        "AMAZON_CLIENT_SECRET": "local-secret",
        "LOCAL_AMC_URL": product.amc_url,
        "VAR_DIR": str(product.var),
        "TMPDIR": str(product.system_temporary),
        "PYTHONUNBUFFERED": "1",
    }
    if not days_passed:
        return {**kept, **own}
    file = product.folder / "clock"
    clock.move(file, 0)
    return clock.environment(file, {**kept, **own})


def _prepare(product: Product, setup: str) -> str:
    """Make the database; returns what the set-up printed."""
    said = ""
    for command in (("migrate", "--verbosity", "0"), ("shell", "--verbosity", "0", "-c", setup)):
        done = product.manage(*command)
        if done.returncode:
            raise RuntimeError(done.stderr)
        said = done.stdout
    return said


def _make_store(product: Product, days_passed: int) -> None:
    store = product.folder / "local_amc"
    store.mkdir()
    (store / "data").symlink_to(build_data(days=max(days_passed, 1)))


def _command(name: str, product: Product) -> tuple[str, ...]:
    """Return the Procfile's command on another port, and talkative enough to say when it is ready."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    line = next(line.partition(": ")[2] for line in lines if line.startswith(f"{name}:"))
    changed = {
        "127.0.0.1:8000": f"127.0.0.1:{product.port}",
        "--port 8700": f"--port {product.amc_port} --store {product.folder / 'local_amc'}",
        "--speed 1": "--speed 0.2",
    }
    if name != "amc":
        changed |= {"warning": "info", "WARNING": "INFO"}
    for old, new in changed.items():
        line = line.replace(old, new)
    if name == "beat":
        line += f" --schedule {product.folder / 'beat'}"
    return tuple(shlex.split(line))
