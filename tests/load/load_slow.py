"""An Amazon that drips, a byte per second: pages end in time, and one slow instance holds up no other.

The embedded default as the Procfile starts it, with two workers: SQLite, the queue in a folder, a local AMC. First one
instance of many drips, while a check of all runs and somebody tests a connection. Then all of them do, for longer than
a lease lasts: nobody may begin the check again.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import requests
from cryptography.fernet import Fernet

from tests.campaign.processes import LocalAmc, Process
from tests.serving import free_port

ROOT = Path(__file__).resolve().parents[2]
INSTANCES = [f"amclocaljp{number:03}" for number in range(1, 13)]
SLOW = INSTANCES[0]
# One that is not here yet.
SLOW_AND_NEW = "amclocaljp100"
# Few at a time, so that those who drip are many times as many.
CONCURRENCY = 3
MAX_SHOWN_SECONDS = 2.0
# What a page may need beyond the limit it gives Amazon.
MAX_PAGE_EXTRA_SECONDS = 2.0
EMAIL, PASSWORD = "alice@example.com", "only for this load"


def run(*, whole: bool = True, max_shown_seconds: float = MAX_SHOWN_SECONDS) -> int:
    """Run it in a process of its own for its settings, without the minutes unless `whole`; returns 0 when all held."""
    with tempfile.TemporaryDirectory(prefix="amc-load-") as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "READ_DOT_ENV": "false",
            "DEBUG": "true",
            "SECRET_KEY": "only-for-this-load-and-nothing-else",
            "FERNET_KEYS": Fernet.generate_key().decode(),
            "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.local",
            "AMAZON_CLIENT_SECRET": "local-secret",
            "DJANGO_SETTINGS_MODULE": "amchelper.settings",
            "HEALTH_CHECK_CONCURRENCY": str(CONCURRENCY),
            # None that is due by itself comes between.
            "HEALTH_CHECK_INTERVAL_MINUTES": "525600",
            "VAR_DIR": f"{folder}/var",
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "tests.load.load_slow", folder, str(int(whole)), str(max_shown_seconds)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


class Load:
    """The processes, a browser, and what did not hold."""

    def __init__(self, folder: Path, amc: LocalAmc) -> None:
        self.amc, self.problems = amc, list[str]()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
        # Only so they say that they are ready.
        web = commands["web"].replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("warning", "info")
        worker = commands["worker"].replace("WARNING", "INFO")
        self.processes = [
            Process("web", tuple(shlex.split(web)), folder / "web.log", ready=b"Booting worker"),
            *(
                Process(f"worker {n}", (*shlex.split(worker), "-n", f"w{n}@%h"), folder / f"worker{n}.log")
                for n in (1, 2)
            ),
            Process("beat", tuple(shlex.split(commands["beat"])), folder / "beat.log", ready=b""),
        ]
        self.browser = requests.Session()
        self.browser.trust_env = False

    def start(self) -> None:
        """Start all, and sign in."""
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.wait_until_ready()
        self.browser.get(f"{self.url}/accounts/login/", timeout=60).raise_for_status()
        self.post("/accounts/login/", login=EMAIL, password=PASSWORD)

    def stop(self) -> None:
        """Stop all."""
        for process in self.processes:
            process.stop()

    def post(self, path: str, **form: str) -> requests.Response:
        """Post a form as its page does, and follow to where it leads."""
        address = self.url + path
        form["csrfmiddlewaretoken"] = str(self.browser.cookies["csrftoken"])
        answer = self.browser.post(address, data=form, headers={"Referer": address}, timeout=120)
        answer.raise_for_status()
        return answer

    def expect(self, holds: bool, problem: str) -> None:
        """Remember what does not hold."""
        if not holds:
            self.problems.append(problem)

    def one_drips(self, max_shown_seconds: float) -> None:
        """Check all while one drips; the others must be shown."""
        self.amc.control("POST", "faults", {"fault": "drip", "instance": SLOW})
        began = time.monotonic()
        page = self.post("/instances/checks/", all="1")
        shown = 0
        while shown < len(INSTANCES) - 1 and time.monotonic() < began + 60:
            page = self.browser.get(page.url, timeout=60)
            shown = sum(name in page.text for name in INSTANCES)
            time.sleep(0.05)
        seconds = time.monotonic() - began
        say(
            f"{shown} of {len(INSTANCES)} shown {seconds:.1f} s after the click (target <= {max_shown_seconds:.0f} s)"
        )
        self.expect(shown == len(INSTANCES) - 1, f"{shown} instances were shown while one dripped")
        self.expect(seconds <= max_shown_seconds, f"the others were shown after {seconds:.1f} s")
        self.expect("Finished" not in page.text, "the check was finished while one still dripped")

    def connection_test(self) -> None:
        """Test the connection of another one that drips; the page must end with the sentence."""
        from instances.amc.time_limits import PAGE_SECONDS

        account = re.search(
            r'<option value="([0-9a-f-]{36})"', self.browser.get(f"{self.url}/instances/add/").text
        )
        assert account is not None
        self.amc.control("POST", "faults", {"fault": "drip", "instance": SLOW_AND_NEW})
        form = {
            "account": account[1],
            "instance_id": SLOW_AND_NEW,
            "name": "Slow",
            "lag_days": "14",
            "action": "test",
        }
        began = time.monotonic()
        page = self.post("/instances/add/", **form).text
        seconds, most = time.monotonic() - began, PAGE_SECONDS + MAX_PAGE_EXTRA_SECONDS
        say(f"the connection test ended after {seconds:.1f} s (target <= {most:.0f} s)")
        self.expect(seconds <= most, f"the connection test ended after {seconds:.1f} s")
        self.expect("did not finish its answer in 20 s" in page, "the connection test did not say why it ended")

    def all_drip(self) -> None:
        """Check all while all drip, for longer than a lease lasts; each must be asked about once."""
        from instances.models import HealthCheck, HealthCheckBatch
        from instances.models.health import HealthCheckBatchQuerySet

        self.wait_for_checks()
        self.amc.control("DELETE", "faults")
        self.amc.control("DELETE", "requests")
        self.amc.control("POST", "faults", {"fault": "drip", "route": "instance"})
        began = time.monotonic()
        self.post("/instances/checks/", all="1")
        self.wait_for_checks()
        seconds, lease = time.monotonic() - began, HealthCheckBatchQuerySet.lease.total_seconds()
        asked = Counter(request["path"] for request in self.amc.control("GET", "requests")["requests"])
        asked_of = {name: asked[f"/amc/instances/{name}"] for name in INSTANCES}
        batch = HealthCheckBatch.objects.filter(trigger="list").latest("started_at")
        checks = HealthCheck.objects.filter(batch=batch)
        say(f"{len(INSTANCES)} dripping instances were checked in {seconds:.0f} s (a lease lasts {lease:.0f} s)")
        self.expect(seconds > lease, "the check was over before its lease could have run out")
        self.expect(set(asked_of.values()) == {1}, f"an instance was asked about again: {asked_of}")
        reasons = Counter(checks.values_list("reason", flat=True))
        self.expect(reasons == {"too_slow": len(INSTANCES)}, f"the check found {dict(reasons)}")

    def wait_for_checks(self) -> None:
        """Wait until no check is under way; raises AssertionError when one does not end."""
        from instances.models import HealthCheckBatch

        end = time.monotonic() + 600
        while HealthCheckBatch.objects.unfinished().exists():
            assert time.monotonic() < end, "a check does not end"
            time.sleep(0.2)


def build() -> None:
    """Make a user with instances, and no check of theirs that is due by itself."""
    from amchelper.models import User
    from instances.models import AmazonConnection, AMCAccount, AMCInstance, Status
    from instances.services.health import batches

    user = User.objects.create_superuser(EMAIL, PASSWORD)
    login = AmazonConnection.objects.create(user=user, label="Login", refresh_token="Atzr|local-healthy")
    account = AMCAccount.objects.create(
        connection=login, account_id="ENTITYLOCALJP1", marketplace_id="A1VC38T7YXB528", country_code="JP"
    )
    # Before there are any, the scheduled check of this interval has nothing to do.
    batches.tick()
    AMCInstance.objects.bulk_create(
        AMCInstance(
            user=user,
            account=account,
            instance_id=name,
            name=f"Instance {name}",
            region="FE",
            status=Status.ACTIVE,
        )
        for name in INSTANCES
    )


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"slow: {text}\n")
    sys.stdout.flush()


def main(folder: Path, whole: bool, max_shown_seconds: float) -> int:
    """Prepare, load and judge; returns the exit code."""
    amc = LocalAmc(folder)
    try:
        os.environ["LOCAL_AMC_URL"] = amc.url
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
        import django

        django.setup()
        build()
        load = Load(folder, amc)
        try:
            load.start()
            load.one_drips(max_shown_seconds)
            if whole:
                load.connection_test()
                load.all_drip()
        finally:
            # Nothing that drips may hold up stopping.
            amc.control("DELETE", "faults")
            load.stop()
    finally:
        amc.stop()
    for problem in load.problems:
        say(f"PROBLEM {problem}")
    return int(bool(load.problems))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] == "1", float(sys.argv[3])))
