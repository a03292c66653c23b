"""Twenty people save large mappings, start runs and have everything checked at once, on SQLite.

Web, worker and beat as the Procfile starts them, and a local AMC. Nobody gets an error of ours; what was accepted is
in the database, what was answered with "busy" is kept by the answer and sent again; and no transaction holds the lock
for long, which the database itself notes (tests/load/watched_sqlite).
"""

from __future__ import annotations

import html
import json
import re
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from tests.product import Product, running_product

CLIENTS, POSTS, ROWS, RUNS, CHECKED = 20, 20, 2_000, 150, 200
# CPU time of the thread that holds the lock: by the clock it also waits for a core on a busy machine.
MAX_HOLD_SECONDS = 0.5
_MINUTES_TO_END = 20.0
_BUSY, _ATTEMPTS = 503, 60
# How many tracebacks of a log, and how many transactions, are shown when something did not hold.
_SHOWN = 10
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n)*.*$", re.MULTILINE)
# Seconds by the clock and of CPU time, and the statement it began with.
Hold = tuple[float, float, str]
_PLACES = ("amclocalus1", "amclocalus2", "amclocalde1")


@dataclass
class Person:
    """One who is signed in: what to save to, what to run, and what came of it."""

    session: str
    instance: str
    brand: int
    schedule: str
    number: int
    saved: int = 0
    started: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def run(
    clients: int = CLIENTS, posts: int = POSTS, rows: int = ROWS, runs: int = RUNS, checked: int = CHECKED
) -> int:
    """Let so many people act at once; returns 0 when nothing was lost and nobody saw an error."""
    with tempfile.TemporaryDirectory(prefix="amc-load-") as name:
        holds = Path(name) / "holds"
        holds.mkdir()
        setup = f"from tests.load.load_clients import prepare; prepare({clients}, {checked})"
        settings = {
            "DJANGO_SETTINGS_MODULE": "tests.load.settings",
            "HOLDS_DIR": str(holds),
            "HEALTH_CHECK_INTERVAL_MINUTES": "1440",
            # Nobody saves that fast; what is measured is the database.
            "UPLOADS_PER_MINUTE": "0",
        }
        with running_product(Path(name), setup=setup, settings=settings) as site:
            people = [Person(**row) for row in json.loads(site.said.splitlines()[-1])]
            for file in holds.iterdir():
                file.unlink()
            began = time.monotonic()
            with ThreadPoolExecutor(clients) as pool:
                shares = [(runs + n) // clients for n in range(clients)]
                list(pool.map(lambda person: _act(site, person, posts, rows, shares[person.number]), people))
            say(
                f"clients: {clients} x {posts} posts in {time.monotonic() - began:.0f} s, answers {_answers(people)}"
            )
            problems = [problem for person in people for problem in person.problems]
            problems += _wait_until_all_ended(site, runs, checked)
            problems += _lost(site, people)
            tracebacks = _tracebacks(site)
            problems += [f"{name} holds {len(found)} tracebacks" for name, found in tracebacks.items()]
        noted = _noted_holds(holds)
        problems += _too_long(noted)
    if problems:
        _explain(problems, tracebacks, noted)
    return int(bool(problems))


def prepare(clients: int, checked: int) -> None:
    """Make people with an instance, a brand and a schedule each, the first one with many more instances."""
    from datetime import time as clock_time

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from instances.models import InstanceBrand
    from instances.services.brands import replace_brands
    from planning.recurrence import Recurrence
    from schedules.services.schedules import ScheduleValues, create_schedule
    from templates_app.services.templates import Content, create_template
    from tests.factories import AccountFactory, InstanceFactory, UserFactory

    people = []
    content = Content(
        name="Reach", source_sql="SELECT campaign, SUM(impressions) AS n FROM dsp_impressions GROUP BY 1"
    )
    recurrence = Recurrence(kind="daily", time=clock_time(3), zone="UTC")
    for number in range(clients):
        user = UserFactory.create()
        account = AccountFactory.create(connection__user=user)
        instance = InstanceFactory.create(account=account, instance_id=_PLACES[number % 2])
        replace_brands(instance, ["Norda"], actor=None)
        template = create_template(actor=user, instance=instance, content=content)
        values = ScheduleValues(name="Daily", recurrence=recurrence, window_days=7)
        schedule = create_schedule(actor=user, template=template, values=values)
        for _ in range(checked if number == 0 else 0):
            InstanceFactory.create(account=account)
        session = SessionStore()
        session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        people.append(
            {
                "session": session.session_key,
                "instance": str(instance.pk),
                "brand": InstanceBrand.objects.get(instance=instance).pk,
                "schedule": schedule.schedule_id,
                "number": number,
            }
        )
    sys.stdout.write(f"{json.dumps(people)}\n")


def asins_of(person: Person, post: int, rows: int) -> list[str]:
    """Return what a person saves with a post: nobody else, and no other post, has the same."""
    return [f"B{person.number:02d}{post:03d}{row:04d}" for row in range(rows)]


def _act(site: Product, person: Person, posts: int, rows: int, runs: int) -> None:
    """Save, start runs in between, and ask for checks once."""
    with requests.Session() as browser:
        browser.cookies.set("sessionid", person.session)
        mappings = f"/instances/{person.instance}/mappings/add/"
        token = _token(browser.get(site.url + mappings, timeout=120).text)
        for post in range(posts):
            text = "\r\n".join(asins_of(person, post, rows))
            form = {"brand": str(person.brand), "kinds": "asins", "action": "add", "text": text}
            # Every other one as htmx does it.
            if _send(site, browser, person, mappings, {**form, "csrfmiddlewaretoken": token}, htmx=bool(post % 2)):
                person.saved += rows
            for _ in range(runs * (post + 1) // posts - runs * post // posts):
                form = {"key": str(uuid4()), "csrfmiddlewaretoken": token}
                person.started += _send(site, browser, person, f"/schedules/{person.schedule}/run/", form)
            if post == posts // 2:
                form = {"all": "1", "csrfmiddlewaretoken": token}
                _send(site, browser, person, "/instances/checks/", form)


def _send(
    site: Product,
    browser: requests.Session,
    person: Person,
    path: str,
    form: dict[str, str],
    *,
    htmx: bool = False,
) -> bool:
    """Post until it is accepted, each time what the answer kept; returns whether it was."""
    headers = {"HX-Request": "true"} if htmx else {}
    for _ in range(_ATTEMPTS):
        response = browser.post(site.url + path, form, headers=headers, timeout=180, allow_redirects=False)
        person.answers[f"{path.rsplit('/', 2)[-2]} {response.status_code}"] += 1
        if response.status_code == 302 or "HX-Redirect" in response.headers:
            return True
        if response.status_code != _BUSY or not response.headers.get("Retry-After"):
            break
        if not htmx:
            kept = _kept(response.text)
            if {name: kept.get(name) for name in form if "csrf" not in name} != {
                name: value for name, value in form.items() if "csrf" not in name
            }:
                person.problems.append(f"{path}: the page of a busy database lost what was sent")
                return False
            form = kept
        time.sleep(float(response.headers["Retry-After"]) / 5)
    person.problems.append(f"{path}: {response.status_code} {response.text[:200]!r}")
    return False


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None, page[:500]
    return found[1]


def _kept(page: str) -> dict[str, str]:
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {html.unescape(name): html.unescape(value) for name, value in fields}


def _answers(people: list[Person]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for person in people:
        total += person.answers
    return dict(sorted(total.items()))


def _rows(site: Product, statement: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{site.var}/amchelper.sqlite3?mode=ro", uri=True)) as database:
        return database.execute(statement).fetchall()


def _wait_until_all_ended(site: Product, runs: int, checked: int) -> Iterator[str]:
    """Wait for the workers; yields what did not end as it should."""
    end = time.monotonic() + _MINUTES_TO_END * 60
    while time.monotonic() < end:
        statuses = Counter(status for (status,) in _rows(site, "SELECT status FROM workflow_executions"))
        checks = _rows(site, "SELECT COUNT(*) FROM health_check_batches WHERE finished_at IS NULL")[0][0]
        if statuses.total() == statuses["SUCCEEDED"] + statuses["FAILED"] and not checks:
            break
        time.sleep(1)
    say(f"clients: runs {dict(statuses)}")
    if statuses != {"SUCCEEDED": runs}:
        yield f"of {runs} runs the statuses are {dict(statuses)}"
    probes = _rows(site, "SELECT COUNT(*) FROM health_checks")[0][0]
    if checks or probes < checked:
        yield f"{checks} batches of checks did not end; {probes} probes of {checked} were stored"


def _lost(site: Product, people: list[Person]) -> Iterator[str]:
    """Yield what was accepted and is not there, or there and was not sent."""
    rows = _rows(site, "SELECT brand_id, COUNT(DISTINCT asin), COUNT(*) FROM brand_asins GROUP BY brand_id")
    stored = {brand: (distinct, total) for brand, distinct, total in rows}
    for person in people:
        found = stored.get(person.brand, (0, 0))
        if found != (person.saved, person.saved):
            yield f"person {person.number} saved {person.saved} rows, {found} are there"
    if left := _rows(site, "SELECT COUNT(*) FROM mapping_changes")[0][0]:
        yield f"{left} changes of mappings were left behind"
    started = sum(person.started for person in people)
    if (there := _rows(site, "SELECT COUNT(*) FROM workflow_executions")[0][0]) != started:
        yield f"{started} runs were started, {there} are there"


def _tracebacks(site: Product) -> dict[str, list[str]]:
    """Return the tracebacks in the servers' logs, by log."""
    logs = {path.name: path.read_text(errors="replace") for path in sorted(site.folder.glob("*.log"))}
    return {name: found for name, text in logs.items() if (found := _TRACEBACK.findall(text))}


def _explain(problems: list[str], tracebacks: dict[str, list[str]], holds: list[Hold]) -> None:
    """Print what did not hold, and what helps to find out why."""
    for problem in problems[:30]:
        say(f"clients: {problem}")
    for name, found in tracebacks.items():
        for text, count in Counter(found).most_common(_SHOWN):
            say(f"clients: {name}, {count} times:\n{text}")
    for wall, cpu, what in holds[:_SHOWN]:
        say(f"clients: lock held for {wall:.2f} s by the clock, {cpu:.3f} s of CPU, from {what}")


def _noted_holds(folder: Path) -> list[Hold]:
    """Return how long the lock was held, the longest first."""
    lines = [line.split("\t", 2) for path in folder.iterdir() for line in path.read_text().splitlines()]
    return sorted(((float(wall), float(cpu), what) for wall, cpu, what in lines), reverse=True)


def _too_long(holds: list[Hold]) -> Iterator[str]:
    """Print how long the lock was held; yields what was too long."""
    if not holds:
        yield "no transaction was noted"
        return
    walls = [wall for wall, _, _ in holds]
    longest = max(cpu for _, cpu, _ in holds)
    median, slowest = walls[len(walls) // 2] * 1000, walls[len(walls) // 100] * 1000
    say(
        f"clients: {len(holds)} write transactions, median {median:.1f} ms, one in a hundred over {slowest:.0f} ms"
    )
    say(f"clients: longest {walls[0]:.2f} s by the clock, {longest:.3f} s of CPU (target < {MAX_HOLD_SECONDS} s)")
    for wall, cpu, what in holds:
        if cpu >= MAX_HOLD_SECONDS:
            yield f"the lock was held for {cpu:.2f} s of CPU time ({wall:.2f} s) from {what}"


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run())
