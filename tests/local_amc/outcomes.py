"""Run published queries over HTTP against a local AMC and print a table of outcomes.

`AMC_CORPUS=… python -m tests.local_amc.outcomes [--class runs] [name …]` wants a folder that holds `amc-queries/*.sql`
and its `MANIFEST.md`, a table of file, class and flags.
"""

from __future__ import annotations

import argparse
import collections
import csv
import io
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from amc_facts.tables import TABLES
from local_amc.server import LocalAmcServer
from tests.serving import PATIENCE

CLIENT_ID = "amzn1.application-oa2-client.local"
JUDGED_TIERS = ("usecase", "apidoc")
JUDGED_CLASSES = ("runs", "retired-name", "needs-upload")
# A report never returns user_id; published queries that do make audiences, and are refused rightly.
_RETURNS_USERS = re.compile(r"Column 'user_id' has the aggregation threshold \w+ and cannot be in the output")
_ROW = re.compile(r"\| (\S+\.sql) \| (\S+) \| ?([^|]*?) ?\|")
_PARAMETER = re.compile(r"CUSTOM_PARAMETER\(\s*'([^']+)'\s*\)")
_MISSING = re.compile(r"Object '([^']+)' not found")
_NAME = re.compile(r"\b[a-z_][a-z0-9_]*\b")
_KEYWORDS = "select from where group by as on and or join inner left count sum distinct source"


@dataclass(frozen=True, slots=True)
class Published:
    """A query of the corpus and what is known of it."""

    name: str
    kind: str
    flags: str
    sql: str

    @property
    def is_judged(self) -> bool:
        """Return whether it has to run."""
        return self.name.split("-")[0] in JUDGED_TIERS and self.kind in JUDGED_CLASSES


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a query ended: `state` of the execution, or the HTTP status that refused it."""

    query: Published
    state: str
    reason: str
    rows: int

    @property
    def is_right(self) -> bool:
        """Return whether a query that has to run ran, or was refused because it returns user_id."""
        return self.state == "SUCCEEDED" or returns_users(self.reason)


def returns_users(reason: str) -> bool:
    """Return whether a query was refused because it returns user_id."""
    return _RETURNS_USERS.search(reason) is not None


def missing_table(query: Published, reason: str) -> str:
    """Return the uploaded table that a refused query lacks; empty when it lacks none."""
    missing = _MISSING.search(reason) if query.kind == "needs-upload" else None
    return missing[1] if missing else ""


def wants_rows(query: Published, reason: str) -> bool:
    """Return whether a refused query is documented for the sandbox, with aggregation controls off."""
    return "sandbox" in query.name and "no aggregate" in reason


def columns_to_upload(table: str, sql: str) -> list[str]:
    """Return every name of a query that no column of another table can mean, and the users."""
    known = {name for other in TABLES.values() if other.name in sql.lower() for name in other.columns}
    words = set(_NAME.findall(sql.lower())) - known - set(_KEYWORDS.split()) - {table.lower(), *TABLES}
    return sorted(words | {"user_id"})


def corpus() -> list[Published]:
    """Return the queries; raises KeyError without AMC_CORPUS."""
    folder = Path(os.environ["AMC_CORPUS"]) / "amc-queries"
    rows = [_ROW.match(line) for line in (folder / "MANIFEST.md").read_text().splitlines()]
    return [
        Published(row[1], row[2], row[3], (folder / row[1]).read_text())
        for row in rows
        if row and (folder / row[1]).exists()
    ]


class Shell:
    """An AMC user with an HTTP client, on a server at speed 0."""

    def __init__(self, amc: LocalAmcServer) -> None:
        self.amc = amc
        self.session = requests.Session()
        self.session.trust_env = False
        form = {
            "grant_type": "refresh_token",
            "refresh_token": "Atzr|local-healthy",
            "client_id": CLIENT_ID,
            "client_secret": "local-secret",
        }
        token = self.session.post(f"{amc.url}/auth/o2/token", data=form, timeout=PATIENCE).json()["access_token"]
        self.session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "Amazon-Advertising-API-ClientId": CLIENT_ID,
                "Amazon-Advertising-API-AdvertiserId": "ENTITYLOCALUS1",
                "Amazon-Advertising-API-MarketplaceId": "ATVPDKIKX0DER",
            }
        )

    def run(self, sql: str, *, instance: str = "amclocalus1", **body: Any) -> tuple[str, str, list[list[str]]]:
        """Post, poll and download; returns state, reason and the CSV's rows with the header first."""
        parameters = body.pop("inputParameters", None) or declared(sql)
        workflow = {"sqlQuery": sql, "inputParameters": parameters, **body.pop("workflow", {})}
        base = f"{self.amc.url}/amc/reporting/{instance}/workflowExecutions"
        response = self.session.post(
            base, json={"workflow": workflow, **_window(self.amc), **body}, timeout=PATIENCE
        )
        if response.status_code != 200:
            return str(response.status_code), response.json()["details"], []
        address = f"{base}/{response.json()['workflowExecutionId']}"
        execution = self.session.get(address, timeout=PATIENCE).json()
        while execution["status"] in ("PENDING", "RUNNING"):
            time.sleep(0.05)
            execution = self.session.get(address, timeout=PATIENCE).json()
        rows = self.download(address) if execution["status"] == "SUCCEEDED" else []
        return execution["status"], execution.get("statusReason", ""), rows

    def download(self, address: str) -> list[list[str]]:
        """Return all parts of a result, header once."""
        rows: list[list[str]] = []
        for url in self.session.get(f"{address}/downloadUrls", timeout=PATIENCE).json()["downloadUrls"]:
            part = requests.get(url, timeout=PATIENCE)
            part.raise_for_status()
            lines = list(csv.reader(io.StringIO(part.content.decode())))
            rows += lines if not rows else lines[1:]
        return rows


def declared(sql: str) -> list[dict[str, Any]]:
    """Declare the parameters a published query uses, with the types and values its text suggests."""
    return [
        {"name": name, **dict(zip(("dataType", "defaultValue"), _guess(sql, name), strict=True))}
        for name in dict.fromkeys(_PARAMETER.findall(sql))
    ]


def _guess(sql: str, name: str) -> tuple[Any, Any]:
    call = rf"CUSTOM_PARAMETER\(\s*'{re.escape(name)}'\s*\)"
    if re.search(rf"(?i)(ARRAY_CONTAINS|CARDINALITY)\(\s*{call}", sql):
        # No value: these queries then take all campaigns or ASINs.
        return {"type": "ARRAY", "elementDataType": "STRING"}, None
    if name.endswith("date"):
        today = datetime.now(UTC).date()
        month = 1 if "two" in name or "end" in name else 2
        return "DATE", (today - timedelta(days=30 * month)).isoformat()
    numeric = rf"(?i)(\*\s*{call}|{call}\s*(\*|[<>=]+\s*\d)|[<>]=?\s*{call})"
    if re.search(numeric, sql) or re.search("days|cap|max|min|count", name):
        return "INTEGER", 0 if name.startswith("include") else 14
    return "STRING", name


def _window(amc: LocalAmcServer) -> dict[str, str]:
    now = amc.app.state.clock.now()
    year = now.year if now.month > 2 else now.year - 1
    month = (now.month - 3) % 12 + 1
    return {
        "timeWindowType": "EXPLICIT",
        "timeWindowStart": f"{year}-{month:02d}-01T00:00:00",
        "timeWindowEnd": f"{now:%Y-%m-%d}T00:00:00",
    }


def outcomes(amc: LocalAmcServer, queries: list[Published]) -> Iterator[Outcome]:
    """Run queries as an analyst would: upload what is missing, take the sandbox for its own examples."""
    shell = Shell(amc)
    for query in queries:
        state, reason, rows = shell.run(query.sql)
        while table := missing_table(query, reason):
            columns = columns_to_upload(table, query.sql)
            amc.control("POST", "tables", {"instance": "amclocalus1", "name": table, "columns": columns})
            state, reason, rows = shell.run(query.sql)
        if wants_rows(query, reason):
            state, reason, rows = shell.run(
                query.sql, instance="amclocalsbx", requireSyntheticData=True, disableAggregationControls=True
            )
        yield Outcome(query, state, reason, max(0, len(rows) - 1))


def summary(found: list[Outcome]) -> str:
    """Return the table: tier and class by outcome."""
    counts: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for outcome in found:
        counts[outcome.query.name.split("-")[0], outcome.query.kind][_label(outcome)] += 1
    labels = sorted({label for counter in counts.values() for label in counter})
    lines = [f"{'tier':8} {'class':13}" + "".join(f"{label:>16}" for label in labels)]
    for (tier, kind), counter in sorted(counts.items()):
        lines.append(f"{tier:8} {kind:13}" + "".join(f"{counter[label] or '':>16}" for label in labels))
    judged = [outcome for outcome in found if outcome.query.is_judged]
    right = [outcome for outcome in judged if outcome.is_right]
    ran = [outcome for outcome in judged if outcome.state == "SUCCEEDED"]
    filled = [outcome for outcome in ran if outcome.rows]
    lines.append(
        f"must run: {len(judged)}, right: {len(right)} ({len(right) / max(1, len(judged)):.1%}), of these ran: "
        f"{len(ran)}, refused as they return user_id: {len(right) - len(ran)}, with rows: {len(filled)}"
    )
    return "\n".join(lines)


def _label(outcome: Outcome) -> str:
    if outcome.state == "SUCCEEDED":
        return "ran, with rows" if outcome.rows else "ran, empty"
    return "returns user_id" if returns_users(outcome.reason) else outcome.state


def main() -> int:
    """Print the table, and what did not run of what must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only files whose name contains one of these")
    parser.add_argument("--class", dest="kind", default="")
    parser.add_argument("--data", default="var/local_amc/data")
    options = parser.parse_args()
    queries = [
        query
        for query in corpus()
        if (not options.kind or query.kind == options.kind)
        and (not options.names or any(name in query.name for name in options.names))
    ]
    with LocalAmcServer(speed=0, data=options.data) as amc:
        found = list(outcomes(amc, queries))
    for outcome in found:
        problem = outcome.state != "SUCCEEDED" or not outcome.rows
        if problem and (outcome.query.is_judged or options.names):
            sys.stdout.write(f"{outcome.query.name}: {outcome.state} {outcome.reason or 'no rows'}\n")
    sys.stdout.write(summary(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
