"""`make demo` shows rows on any day, and leaves nothing running behind a closed terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from instances.management.commands.seed_demo import EMAIL, PASSWORD
from templates_app.management.commands.seed_templates import TEMPLATES
from tests.serving import free_port, wait_for
from tests.shared_data import build_data

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 20


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def start_in_terminal(procfile: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the script as the only program of a terminal of its own; returns that terminal's other end too."""
    master, slave = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    started = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "run_processes.py"), "-f", str(procfile), "start"],
        stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(slave)
    return started, master


def read_pids(master: int, count: int) -> list[int]:
    """Read until so many processes have said their number and the script knows of them all."""
    said = ""
    while said.count("started (pid=") < count or said.count("mine is") < count:
        assert select.select([master], [], [], SECONDS)[0], f"it does not go on after: {said}"
        said += os.read(master, 1024).decode()
    return [int(pid) for pid in re.findall(r"mine is (\d+)", said)]


def test_closing_the_terminal_stops_every_process(tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    # They end by themselves when the test fails.
    procfile.write_text("".join(f"{name}: echo mine is $$; exec sleep 60\n" for name in ("one", "two")))
    script, master = start_in_terminal(procfile)
    pids = read_pids(master, 2)
    os.close(master)
    script.wait(timeout=SECONDS)
    end = time.monotonic() + SECONDS
    while any(map(is_running, pids)):
        assert time.monotonic() < end, "a process goes on without its terminal"
        time.sleep(0.05)


# What the run wizard does with its first suggestion.
START_EVERY_TEMPLATE = """
from django.utils import timezone
from templates_app.models import InstanceTemplate
from planning.windows import rolling_window, today_in
from executions.services.start import start_execution
for template in InstanceTemplate.objects.all():
    window = rolling_window(days=30, today=today_in("UTC", timezone.now()), zone="UTC")
    print("run", start_execution(actor=template.instance.user, template=template, window=window).get_absolute_url())
"""


@dataclass(frozen=True)
class Demo:
    """A demo in a folder and on ports of its own."""

    folder: Path
    port: int
    amc_port: int

    @property
    def url(self) -> str:
        """Return where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what `make demo` writes into .env, with the free ports."""
        return {
            **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DJANGO_SETTINGS_MODULE": "amchelper.settings",
            "READ_DOT_ENV": "false",
            "DEBUG": "true",
            "SECRET_KEY": "demo-tests-only-" + "x" * 40,
            "FERNET_KEYS": "ZGVtby10ZXN0cy1vbmx5LTMyLWJ5dGVzLWxvbmcuLi4=",
            "SITE_URL": self.url,
            "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.local",
            "AMAZON_CLIENT_SECRET": "local-secret",
            "LOCAL_AMC_URL": f"http://127.0.0.1:{self.amc_port}",
            "VAR_DIR": str(self.folder),
        }

    def manage(self, *arguments: str) -> str:
        """Run a management command; returns what it said."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def procfile(self) -> Path:
        """Return the Procfile with the free ports, and with runs that take no longer than they compute."""
        store = self.folder / "local_amc"
        store.mkdir()
        (store / "data").symlink_to(build_data())
        text = (ROOT / "Procfile").read_text()
        for old, new in (
            ("127.0.0.1:8000", f"127.0.0.1:{self.port}"),
            ("--port 8700", f"--port {self.amc_port} --store {store}"),
            ("--speed 1", "--speed 0"),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = self.folder / "Procfile"
        path.write_text(text)
        return path

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run its processes until the block ends."""
        command = [sys.executable, "scripts/run_processes.py", "-f", str(self.procfile()), "start"]
        with (self.folder / "log").open("wb") as log:
            processes = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        try:
            wait_for(f"{self.url}/accounts/login/", processes)
            yield
        finally:
            processes.send_signal(signal.SIGTERM)
            processes.wait(timeout=60)

    def sign_in(self) -> requests.Session:
        """Return a session of the demo's user."""
        session = requests.Session()
        session.trust_env = False
        address = f"{self.url}/accounts/login/"
        token = session.get(address, timeout=SECONDS).cookies["csrftoken"]
        form = {"login": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token}
        answer = session.post(address, data=form, headers={"Referer": address}, timeout=SECONDS)
        assert answer.url == f"{self.url}/"
        return session


def test_every_template_of_the_demo_shows_rows(tmp_path: Path) -> None:
    demo = Demo(tmp_path, free_port(), free_port())
    demo.manage("migrate", "--verbosity", "0")
    with demo.running():
        demo.manage("seed_demo")
        demo.manage("seed_templates")
        addresses = re.findall(r"run (/\S+)", demo.manage("shell", "-v", "0", "-c", START_EVERY_TEMPLATE))
        assert len(addresses) == len(TEMPLATES)
        session = demo.sign_in()
        for address in addresses:
            html = wait_for_result(session, demo.url + address)
            body = html.split('id="result-table"')[1].split("<tbody>")[1].split("</tbody>")[0]
            assert "<td" in body


def wait_for_result(session: requests.Session, address: str) -> str:
    """Return a run's page once it shows the result."""
    end = time.monotonic() + 3 * SECONDS
    while 'id="result-table"' not in (html := session.get(address, timeout=SECONDS).text):
        assert time.monotonic() < end, html
        time.sleep(0.2)
    return html
