"""A whole product for browser tests: web, worker, local AMC and Chromium, all real processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import clock
from tests.serving import free_port, wait_for
from tests.shared_data import build_data

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "alice@example.com", "correct horse battery"
# Milliseconds: enough for a machine that does much else, and no success waits for it.
PATIENCE = 45_000
# How far stories move the clock on.
MOST_DAYS_PASSED = 8
expect.set_options(timeout=PATIENCE)
# The background-networking flags keep Chromium from looking for its maker's servers.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Product:
    """Where the running product is."""

    url: str
    amc_url: str
    environment: dict[str, str]
    clock: Path

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


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Start everything on free ports with a database of its own."""
    var_dir = tmp_path_factory.mktemp("var")
    port, amc_port = free_port(), free_port()
    url, amc_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{amc_port}"
    environment = {
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
    running = Product(url, amc_url, clock.environment(var_dir / "clock", environment), var_dir / "clock")
    clock.move(running.clock, 0)
    done = running.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    create = (
        f"from amchelper.models import User;User.objects.create_superuser('{EMAIL}', '{PASSWORD}', name='Alice')"
    )
    done = running.manage("shell", "-c", create)
    assert done.returncode == 0, done.stderr
    store = var_dir / "local_amc"
    store.mkdir()
    (store / "data").symlink_to(build_data(days=MOST_DAYS_PASSED))
    log = (var_dir / "processes.log").open("wb")
    commands = {
        "amc": ["-m", "local_amc", "--port", str(amc_port), "--store", str(store), "--control", "--speed", "0.2"],
        "web": ["-m", "gunicorn", "amchelper.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1",
                "--threads", "8"],
        "worker": ["-m", "celery", "-A", "amchelper", "worker", "--pool", "threads", "--concurrency", "4",
                   "--without-gossip", "--without-mingle", "--without-heartbeat"],
        "beat": ["-m", "celery", "-A", "amchelper", "beat", "--schedule", str(var_dir / "beat")],
    }  # fmt: skip
    processes = {
        name: subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=running.environment, stdout=log, stderr=log
        )
        for name, command in commands.items()
    }
    try:
        wait_for(f"{amc_url}/amc/accounts", processes["amc"])
        wait_for(f"{url}/accounts/login/", processes["web"])
        yield running
    finally:
        for process in reversed(processes.values()):
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
        log.close()
        print((var_dir / "processes.log").read_text()[-4000:])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start Chromium once."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.fail("The browser tests need Chromium: install it, or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, product: Product) -> Iterator[Page]:
    """Open a fresh, signed-out page that fails the test on script errors and policy violations."""
    context = browser.new_context(
        viewport={"width": 1500, "height": 900}, base_url=product.url, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            problems.append(f"{opened.url} {message.location} {message.text}")
            if re.search("Content Security|Refused", message.text)
            else None
        ),
    )
    yield opened
    context.close()
    assert not problems, problems


@pytest.fixture
def alice(page: Page) -> Page:
    """Sign Alice in through the form."""
    page.goto("/accounts/login/")
    page.locator("[name=login]").fill(EMAIL)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Home").wait_for()
    return page
