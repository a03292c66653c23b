"""Results of thousands of columns, and a worker that is asked to stop while it makes a table of a large one.

The local AMC, a worker and a beat, as the Procfile starts them. What AMC stored is replaced by a result of another
shape before the worker fetches it: no query of ours would bring so many columns in so short a time.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.product import Product, running_product
from tests.serving import PATIENCE

MAX_STOP_SECONDS = 15.0
_SETUP = """
from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance, Status
from templates_app.services.templates import Content, create_template
user = User.objects.create_superuser("alice@example.com", "only for this load")
login = AmazonConnection.objects.create(user=user, label="Login", refresh_token="Atzr|local-healthy")
account = AMCAccount.objects.create(
    connection=login, account_id="ENTITYLOCALJP1", marketplace_id="A1VC38T7YXB528", country_code="JP"
)
instance = AMCInstance.objects.create(
    user=user, account=account, instance_id="amclocaljp001", name="Wide", region="FE", status=Status.ACTIVE
)
sql = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"
create_template(actor=user, instance=instance, content=Content(name="Wide", source_sql=sql))
"""
_START = """
from datetime import date, timedelta
from executions.services.start import start_execution
from executions.models import Trigger
from planning.windows import Window
from templates_app.models import InstanceTemplate
template = InstanceTemplate.objects.get()
first = date.today() - timedelta(days=40)
window = Window(first, first + timedelta(days=6), "UTC")
print("run", start_execution(actor=template.user, template=template, window=window, trigger=Trigger.MANUAL).pk)
"""


@dataclass(frozen=True)
class Shape:
    """A result to be fetched: so many columns and rows."""

    columns: int
    rows: int

    @property
    def name(self) -> str:
        """Return what it is called in a line of the report."""
        return f"{self.columns:,} columns x {self.rows:,} rows"

    def write(self, path: Path) -> None:
        """Write it: whole numbers, and a text in the last row of each second column."""
        row = ",".join(["1"] * self.columns) + "\n"
        last = ",".join("n/a" if number % 2 else "1" for number in range(self.columns)) + "\n"
        with path.open("w") as file:
            file.write(",".join(f"c{number}" for number in range(self.columns)) + "\n")
            for _ in range(self.rows - 1):
                file.write(row)
            file.write(last)


WIDE = (Shape(1_000, 1_000), Shape(5_000, 100))
# Its types are known only after every row was looked at, in many parts.
LONG = Shape(400, 60_000)


def run(wide: tuple[Shape, ...] = WIDE, long: Shape = LONG) -> int:
    """Fetch the wide ones, and stop a worker while it converts the long one; returns 1 when something did not hold."""
    with (
        tempfile.TemporaryDirectory(prefix="amc-load-") as folder,
        running_product(Path(folder), "amc", "worker", "beat", setup=_SETUP) as product,
    ):
        load = Load(product)
        for shape in wide:
            seconds = load.fetch(shape)
            say(f"{shape.name} stored {seconds:.1f} s after AMC let go of them")
        load.stop_while_converting(long)
        for problem in load.problems:
            say(f"NOT HELD: {problem}")
        return int(bool(load.problems))


class Load:
    """Runs of the product, and what did not hold."""

    def __init__(self, product: Product) -> None:
        self._product, self.problems = product, list[str]()
        self._size = 0

    def fetch(self, shape: Shape) -> float:
        """Run a query whose result has this shape; returns the seconds from its release until it is stored."""
        pk = self._begin(shape)
        began = time.monotonic()
        self._release()
        self._expect_stored(pk, shape)
        return time.monotonic() - began

    def stop_while_converting(self, shape: Shape) -> None:
        """Ask the worker to stop while it makes the table; another one must make it after that."""
        pk = self._begin(shape)
        self._release()
        # The table grows beside the CSV, which is there as a whole by then.
        self._wait(self._is_downloaded, "the result was not fetched")
        worker = self._product.processes["worker"]
        began = time.monotonic()
        worker.terminate()
        self._wait(lambda: worker.exit_code is not None, "the worker did not stop")
        seconds = time.monotonic() - began
        say(f"asked to stop while it converted {shape.name}, the worker ended in {seconds:.1f} s")
        self._expect(seconds <= MAX_STOP_SECONDS, f"the worker took {seconds:.1f} s to stop")
        self._expect(self._value(pk, "leased_by") == "", "the run was still held when the worker had stopped")
        self._expect(self._value(pk, "step_attempts") == 0, "the stop counted as a failure")
        worker.start()
        worker.wait_until_ready()
        self._expect_stored(pk, shape)
        left = list(self._incoming.iterdir())
        self._expect(not left, f"{len(left)} files were left behind")

    def _begin(self, shape: Shape) -> str:
        """Start a run and let AMC hold back its result, which is one of this shape; returns the run's key."""
        known = set(self._stored())
        self._product.control("faults", fault="download_not_ready")
        pk = self._product.manage("shell", "--verbosity", "0", "-c", _START).stdout.partition("run ")[2].strip()
        self._wait(lambda: self._value(pk, "status") == "fetching", "AMC did not finish the run")
        self._wait(lambda: len(set(self._stored()) - known) == 1, "AMC stored nothing")
        [path] = set(self._stored()) - known
        shape.write(path)
        self._size = path.stat().st_size
        return pk

    def _release(self) -> None:
        self._product.control("faults", method="DELETE")

    def _stored(self) -> list[Path]:
        return [
            path for path in (self._product.folder / "local_amc").glob("*/*/1.csv") if "data" not in path.parts
        ]

    @property
    def _incoming(self) -> Path:
        return self._product.var / "results" / "incoming"

    def _is_downloaded(self) -> bool:
        """Return whether the whole CSV is there, or even the beginning of the table."""
        for path in self._incoming.glob("*.csv"):
            with suppress(FileNotFoundError):
                return path.stat().st_size == self._size
        return False

    def _expect_stored(self, pk: str, shape: Shape) -> None:
        self._wait(lambda: self._value(pk, "status") in ("succeeded", "failed"), "the run did not end")
        status, rows = self._value(pk, "status"), self._value(pk, "row_count")
        said = self._value(pk, "error")
        self._expect(status == "succeeded", f"the run of {shape.name} is {status}: {said}")
        self._expect(rows == shape.rows, f"{rows} of {shape.rows} rows were stored")

    def _value(self, pk: str, column: str) -> object:
        file = self._product.var / "amchelper.sqlite3"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=PATIENCE)) as database:
            found = database.execute(
                f"SELECT {column} FROM workflow_executions WHERE id = ?",  # noqa: S608  a name of ours
                [pk.replace("-", "")],
            ).fetchone()
        value = found[0]
        return value.lower() if column == "status" else value

    def _wait(self, is_so: Callable[[], bool], problem: str) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, problem
            time.sleep(0.05)

    def _expect(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"wide: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run())
