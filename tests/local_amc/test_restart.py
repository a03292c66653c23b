"""The local AMC as a process with a store on disk: killed, started again, stopped, asked by many, twice at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.local_amc.api import SQL, Api, read_csv, wait_until
from tests.serving import PATIENCE
from tests.shared_data import DATA

ROOT = Path(__file__).resolve().parents[2]
WINDOW = {"timeWindowType": "PREVIOUS_MONTH"}
CLOSED = ("SUCCEEDED", "FAILED", "CANCELLED", "REJECTED")


class Program:
    """A local AMC in a process of its own, on built data."""

    def __init__(self, store: Path, *options: str) -> None:
        store.mkdir(exist_ok=True)
        DATA.mkdir(parents=True, exist_ok=True)
        if not (store / "data").exists():
            (store / "data").symlink_to(DATA)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "local_amc", "--port", "0", "--store", str(store), "--control", *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self.child.stdout is not None
        self.url = self.child.stdout.readline().rsplit(" ", 1)[-1].strip()
        self.errors = ""

    def control(self, method: str, route: str, body: Any = None) -> Any:
        response = requests.request(method, f"{self.url}/__control/{route}", json=body, timeout=PATIENCE)
        assert response.status_code == 200, response.text
        return response.json()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and give the exit code."""
        self.child.send_signal(number)
        _, self.errors = self.child.communicate(timeout=PATIENCE)
        return self.child.returncode


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start programs on one store, or on the one that is named; all end with the test."""
    started: list[Program] = []

    def begin(*options: str, store: str = "store") -> Program:
        started.append(Program(tmp_path / store, "--log-level", "WARNING", *options))
        return started[-1]

    yield begin
    for program in started:
        if program.child.poll() is None:
            program.child.kill()
        program.child.communicate()


def rows_of(link: str) -> list[list[str]]:
    return read_csv(requests.get(link, timeout=PATIENCE))


def states(api: Api) -> dict[str, str]:
    listed = api.get("workflowExecutions", minCreationTime="2020-01-01T00:00:00", includeCancelled="true")
    return {found["workflowId"]: found["status"] for found in listed["executions"]}


def test_all_is_there_after_a_kill_and_open_runs_go_on(start: Start) -> None:
    first = start("--speed", "0.02")
    api = Api(first.url)
    upload = {"instance": "amclocalus1", "name": "crm", "columns": ["user_id", "tier"]}
    first.control("POST", "tables", upload)
    workflow = {"workflowId": "w", "sqlQuery": "SELECT COUNT(*) AS n FROM crm"}
    schedule = {"scheduleId": "s", "workflowId": "w", "aggregationPeriod": "Daily"}
    assert api.call("POST", "workflows", workflow).status_code == 200
    assert api.call("POST", "schedules", schedule).status_code == 200
    done = api.create(SQL, workflow={"workflowId": "done"}, **WINDOW)
    wait_until(lambda: states(api)["done"], "SUCCEEDED".__eq__)
    [link] = api.links(done)
    content = requests.get(link, timeout=PATIENCE).text
    first.control("POST", "faults", {"fault": "exec_stuck", "count": 2})
    for name in ("stopped", "stuck"):
        key = api.create(workflow={"workflowId": name})["workflowExecutionId"]
        if name == "stopped":
            api.call("PUT", f"workflowExecutions/{key}", {"status": "CANCELLED"})
    wait_until(lambda: states(api)["stuck"], "RUNNING".__eq__)
    before = {path: api.get(path) for path in ("workflows", "schedules", "dataSources", "schedules/s")}
    kept = api.read(done)
    # Killed with runs in all stages: just created, running, and stuck by a fault.
    for name in ("open-1", "open-2", "open-3"):
        api.create(SQL, workflow={"workflowId": name}, **WINDOW)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    second = start("--speed", "0.02")
    again = Api(second.url)
    # The old token still works, the old link too.
    again.session.headers["Authorization"] = api.session.headers["Authorization"]
    assert {path: again.get(path) for path in before} == before
    assert again.read(done) == kept
    moved = link.replace(first.url, second.url)
    assert requests.get(moved, timeout=PATIENCE).text == content
    ended = wait_until(lambda: states(again), lambda found: all(found[f"open-{n}"] in CLOSED for n in (1, 2, 3)))
    # A fault holds this one for ever, in whichever state.
    assert ended.pop("stuck") in ("PENDING", "RUNNING")
    runs = dict.fromkeys(("done", "open-1", "open-2", "open-3"), "SUCCEEDED")
    assert ended == {**runs, "stopped": "CANCELLED"}
    [open_run] = again.get("workflowExecutions", workflowId="open-2")["executions"]
    # The same query and window as the one that had ended before.
    assert sorted(rows_of(again.links(open_run)[0])) == sorted(rows_of(moved))
    assert second.end(signal.SIGTERM) == 0


def test_sigterm_in_the_middle_of_runs_ends_at_once_and_cleanly(start: Start) -> None:
    program = start("--speed", "0.01")
    api = Api(program.url)
    # Every row with every other: it would take far longer than the stop may.
    sql = (
        "SELECT COUNT(*) AS n FROM dsp_impressions AS a CROSS JOIN dsp_impressions AS b "
        "CROSS JOIN dsp_impressions AS c WHERE a.bid_price + b.bid_price < c.bid_price"
    )
    for number in range(3):
        api.create(sql, workflow={"workflowId": f"long-{number}"}, timeWindowType="ALL")
    wait_until(lambda: set(states(api).values()), {"RUNNING"}.__eq__)
    time.sleep(0.2)
    assert set(states(api).values()) == {"RUNNING"}
    assert program.end(signal.SIGTERM) == 0
    assert "Traceback" not in program.errors
    # What was stopped runs again.
    again = start("--speed", "0.01")
    found = wait_until(lambda: states(Api(again.url)), lambda found: "RUNNING" in found.values())
    assert set(found.values()) <= {"RUNNING", "PENDING"}
    assert again.end(signal.SIGTERM) == 0


def test_32_callers_at_once_get_their_own_results(start: Start) -> None:
    program = start("--speed", "0.01")

    def work(number: int) -> list[list[str]]:
        api = Api(program.url)
        key = f"caller-{number}"
        assert api.call("POST", "workflows", {"workflowId": key, "sqlQuery": SQL}).status_code == 200
        definition = {"name": "p", "dataType": "LONG"}
        sql = "SELECT CUSTOM_PARAMETER('p') AS v FROM (VALUES (1)) AS t(x)"
        mine = api.create(
            sql, workflow={"workflowId": key, "inputParameters": [definition]}, parameterValues={"p": number}
        )
        wait_until(lambda: api.read(mine)["status"], "SUCCEEDED".__eq__)
        assert api.get(f"workflows/{key}")["workflowId"] == key
        listed = api.get("workflowExecutions", workflowId=key)["executions"]
        assert [found["workflowExecutionId"] for found in listed] == [mine["workflowExecutionId"]]
        return read_csv(requests.get(api.links(mine)[0], timeout=PATIENCE))

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(work, range(32))) == [[["v"], [str(number)]] for number in range(32)]
    assert len(states(Api(program.url))) == 32
    assert program.end(signal.SIGTERM) == 0
    assert "Traceback" not in program.errors


def test_two_servers_on_the_same_data(start: Start) -> None:
    programs = [start("--speed", "0", store=name) for name in ("one", "two")]
    results = []
    for program in programs:
        api = Api(program.url)
        assert api.call("POST", "workflows", {"workflowId": "w", "sqlQuery": SQL}).status_code == 200
        results.append(sorted(api.rows(SQL, **WINDOW)))
    assert results[0] == results[1] != []
    # Records are each server's own.
    assert [len(states(Api(program.url))) for program in programs] == [1, 1]
    assert [program.end(signal.SIGTERM) for program in programs] == [0, 0]


def test_one_store_belongs_to_one_server(start: Start) -> None:
    first = start()
    second = start()
    _, errors = second.child.communicate(timeout=PATIENCE)
    assert (second.child.returncode, second.url) == (1, "")
    assert re.search(r"Another local AMC uses .*store\. Stop it, or choose another --store\.", errors)
    assert "Traceback" not in errors
    # A kill leaves nothing behind that would have to be cleared away.
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    third = start()
    assert requests.get(f"{third.url}/amc/accounts", timeout=PATIENCE).status_code == 401


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--port", "70000"), 2, "70000 is not between 0 and 65535"), (("--port", "x"), 2, "invalid whole number"),
        (("--speed", "-1"), 2, "-1 is not between 0 and"), (("--speed", "nan"), 2, "nan is not between 0 and"),
        (("--rows-per-part", "0"), 2, "0 is not between 1 and"),
        (("--store", "/dev/null/x"), 1, "Cannot use /dev/null/x"),
        (("--store", __file__), 1, "as --store"), (("--host", "256.1.1.1"), 1, "Choose another --port"),
    ],
)  # fmt: skip
def test_wrong_options_are_explained(options: tuple[str, ...], code: int, words: str, tmp_path: Path) -> None:
    store = () if "--store" in options else ("--store", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "local_amc", "--port", "0", *store, *options],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
