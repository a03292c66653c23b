"""Runs that were started while no worker ran: the first moves at once, and messages stay few.

The embedded default, as the Procfile starts it: SQLite, the queue in a folder, one worker, one beat, a local AMC. Runs
are started while beat ticks and no worker is there; then the worker comes back. Every run must be at AMC once and end
well, the first must move within five seconds, and messages must be few however many runs wait.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptography.fernet import Fernet

from tests.campaign.processes import LocalAmc, Process
from tests.shared_data import build_data

ROOT = Path(__file__).resolve().parents[2]
RUNS = 3000
INSTANCES = ("amclocalus1", "amclocalus2", "amclocalde1")
MAX_FIRST_SECONDS = 5.0
# No run may need longer than this, on a machine that does something else too.
SECONDS_PER_RUN, SECONDS_AT_LEAST = 0.5, 180.0
SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"


def run(runs: int = RUNS, *, max_first_seconds: float = MAX_FIRST_SECONDS) -> int:
    """Load the queue with so many runs, in a process of its own for its settings; returns 0 when everything held."""
    build_data()
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
            "VAR_DIR": f"{folder}/var",
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "tests.load.load_queue", folder, str(runs), str(max_first_seconds)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


class Load:
    """The processes, and what is found out about them."""

    def __init__(self, folder: Path, amc: LocalAmc, runs: int, max_first_seconds: float) -> None:
        self.amc, self.runs, self.max_first_seconds = amc, runs, max_first_seconds
        self.queue = folder / "var" / "broker" / "queue"
        commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
        self.worker, self.beat = (
            # Only so it says that it takes work.
            Process(
                name,
                tuple(shlex.split(commands[name].replace("WARNING", "INFO"))),
                folder / f"{name}.log",
                ready=ready,
            )
            for name, ready in (("worker", b" ready.\n"), ("beat", b" beat: Starting"))
        )
        self.problems: list[str] = []

    def go(self) -> list[str]:
        """Start runs without a worker, then with one; returns what did not hold."""
        from executions.models import Execution, ExecutionStatus

        self.beat.start()
        self.beat.wait_until_ready()
        began = time.monotonic()
        start_runs(self.runs)
        seconds = time.monotonic() - began
        waiting = self.messages()
        say(f"{self.runs} runs started in {seconds:.0f} s without a worker: {waiting} messages wait")
        # In each period until a message expires, one per tick of beat and one per account, however many runs.
        self.expect(waiting <= 8 * (seconds / 25 + 2), f"{waiting} messages wait for {self.runs} runs")

        self.worker.start()
        self.worker.wait_until_ready()
        began = time.monotonic()
        while not Execution.objects.exclude(status=ExecutionStatus.QUEUED).exists():
            time.sleep(0.02)
            if time.monotonic() > began + self.max_first_seconds:
                break
        first, most = time.monotonic() - began, self.max_first_seconds
        say(f"the first run moved {first:.1f} s after the worker was ready (target <= {most:.0f} s)")
        self.expect(first <= most, f"the first run moved after {first:.1f} s")
        self.wait(began)
        return self.problems

    def wait(self, began: float) -> None:
        """Wait until all runs have ended, and count messages meanwhile."""
        from amchelper.models import PendingMessage
        from executions.models import Execution, ExecutionStatus

        most, end = 0, began + max(SECONDS_AT_LEAST, self.runs * SECONDS_PER_RUN)
        while (left := Execution.objects.open().count()) and time.monotonic() < end:
            most = max(most, self.messages())
            time.sleep(0.25)
        seconds = time.monotonic() - began
        say(f"{self.runs - left} runs ended in {seconds:.0f} s ({(self.runs - left) / seconds:.1f}/s)")
        say(f"at most {most} messages waited meanwhile")
        done = Execution.objects.filter(status=ExecutionStatus.SUCCEEDED).count()
        at_amc = {row["workflowId"] for row in self.amc.control("GET", "executions")["executions"]}
        self.expect(done == self.runs, f"{done} of {self.runs} runs succeeded")
        self.expect(len(at_amc) == self.runs, f"{len(at_amc)} runs are at AMC")
        # Of runs that take AMC's capacity one each, of those that just left it as many again, and a few others.
        bound = 3 * 10 * len(INSTANCES) + 20
        self.expect(most <= bound, f"{most} messages waited, more than {bound}")
        marks = PendingMessage.objects.filter(key__contains=".admit_executions ")
        self.expect(marks.count() == 2, f"{marks.count()} accounts had runs admitted")
        # Each of them ended when its task began, not because it expired.
        left = marks.exclude(expires_at=None).count()
        self.expect(not left, f"{left} admissions are still waited for")

    def messages(self) -> int:
        """Count the messages that wait."""
        return sum(1 for _ in self.queue.glob("*/*.msg"))

    def expect(self, holds: bool, problem: str) -> None:
        """Remember what does not hold."""
        if not holds:
            self.problems.append(problem)


def start_runs(runs: int) -> None:
    """Start so many runs as a page does, each of a window of its own."""
    from datetime import UTC, datetime, timedelta

    from amchelper.models import User
    from executions.services.start import start_execution
    from instances.models import AmazonConnection, AMCAccount, AMCInstance, Status
    from planning.windows import Window
    from templates_app.services.templates import Content, create_template

    user = User.objects.create_user("alice@example.com", "not used")
    login = AmazonConnection.objects.create(user=user, label="Login", refresh_token="Atzr|local-healthy")
    accounts = [
        AMCAccount.objects.create(connection=login, account_id=entity, marketplace_id=place, country_code="US")
        for entity, place in (("ENTITYLOCALUS1", "ATVPDKIKX0DER"), ("ENTITYLOCALDE1", "A1PA6795UKMFR9"))
    ]
    templates = []
    for name in INSTANCES:
        account, region = (accounts[1], "EU") if "de" in name else (accounts[0], "NA")
        instance = AMCInstance.objects.create(
            user=user, account=account, instance_id=name, name=name, region=region, status=Status.ACTIVE
        )
        templates.append(
            create_template(actor=user, instance=instance, content=Content(name="Reach", source_sql=SQL))
        )
    last = datetime.now(UTC).date() - timedelta(days=40)
    for number in range(runs):
        day = last - timedelta(days=number % 200)
        start_execution(
            actor=user,
            template=templates[number % len(templates)],
            window=Window(day, day + timedelta(days=6), "UTC"),
        )


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"queue: {text}\n")
    sys.stdout.flush()


def main(folder: Path, runs: int, max_first_seconds: float) -> int:
    """Prepare, load and judge; returns the exit code."""
    amc = LocalAmc(folder)
    try:
        os.environ["LOCAL_AMC_URL"] = amc.url
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
        import django

        django.setup()
        load = Load(folder, amc, runs, max_first_seconds)
        try:
            problems = load.go()
        finally:
            for process in (load.worker, load.beat):
                process.stop()
    finally:
        amc.stop()
    for problem in problems:
        say(f"PROBLEM {problem}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
