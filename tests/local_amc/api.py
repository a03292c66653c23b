"""A caller of the reporting API who sends exactly what a test says, and reads exactly what comes back."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from local_amc.fixtures import CLIENT_ID, CLIENT_SECRET, US
from tests.serving import PATIENCE

INSTANCE = "amclocalus1"
# When it is in the tests, so that data of the months before are there whenever they run.
NOON = "2026-11-20T12:00:00Z"
SQL = "SELECT campaign, SUM(impressions) AS impressions FROM dsp_impressions GROUP BY campaign"
CONSTANT = "SELECT x FROM (VALUES (1), (2), (3)) AS numbers(x)"
T = TypeVar("T")


class Api:
    """A login at an account, with one connection that stays open."""

    def __init__(
        self, url: str, *, login: str = "healthy", entity: str = "ENTITYLOCALUS1", marketplace: str = US
    ) -> None:
        self.url = url
        self.session = requests.Session()
        # Another program's proxy settings must not come between.
        self.session.trust_env = False
        form = {
            "grant_type": "refresh_token",
            "refresh_token": f"Atzr|local-{login}",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
        token = self.session.post(f"{url}/auth/o2/token", data=form, timeout=PATIENCE).json()["access_token"]
        self.session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "Amazon-Advertising-API-ClientId": CLIENT_ID,
                "Amazon-Advertising-API-AdvertiserId": entity,
                "Amazon-Advertising-API-MarketplaceId": marketplace,
            }
        )

    def call(
        self, method: str, path: str, body: Any = None, *, instance: str = INSTANCE, **query: Any
    ) -> requests.Response:
        """Call a reporting path of an instance."""
        return self.session.request(
            method, f"{self.url}/amc/reporting/{instance}/{path}", json=body, params=query, timeout=PATIENCE
        )

    def get(self, path: str, *, instance: str = INSTANCE, **query: Any) -> Any:
        """Return the JSON of a GET that succeeds."""
        response = self.call("GET", path, instance=instance, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def rejection(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str]:
        """Return status and details of a rejection in Amazon's shape."""
        response = self.call(method, path, body, **query)
        refused = response.json()
        assert refused["code"] == str(response.status_code)
        return response.status_code, refused["details"]

    def create(self, sql: str = CONSTANT, *, instance: str = INSTANCE, **body: Any) -> dict[str, Any]:
        """Create an ad hoc execution and return the response; `workflow` adds to its workflow."""
        workflow = {"sqlQuery": sql, **body.pop("workflow", {})}
        response = self.call("POST", "workflowExecutions", {"workflow": workflow, **body}, instance=instance)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def read(self, execution: dict[str, Any], *, instance: str = INSTANCE, **query: Any) -> dict[str, Any]:
        """Return an execution, read again."""
        return dict(self.get(f"workflowExecutions/{execution['workflowExecutionId']}", instance=instance, **query))

    def run(self, sql: str = CONSTANT, *, instance: str = INSTANCE, **body: Any) -> dict[str, Any]:
        """Create an execution on a server without delays and return how it ended."""
        return self.read(self.create(sql, instance=instance, **body), instance=instance)

    def links(self, execution: dict[str, Any], *, instance: str = INSTANCE) -> list[str]:
        """Return the links to a result's parts."""
        path = f"workflowExecutions/{execution['workflowExecutionId']}/downloadUrls"
        return list(self.get(path, instance=instance)["downloadUrls"])

    def rows(self, sql: str, *, instance: str = INSTANCE, **body: Any) -> list[list[str]]:
        """Run a query to its end and return the rows of its one part, without the header."""
        done = self.run(sql, instance=instance, **body)
        assert done["status"] == "SUCCEEDED", done
        [link] = self.links(done, instance=instance)
        return read_csv(requests.get(link, timeout=PATIENCE))[1:]


def read_csv(response: requests.Response) -> list[list[str]]:
    """Return the rows of a part, header first."""
    assert response.status_code == 200, response.text
    return list(csv.reader(io.StringIO(response.content.decode(), newline="")))


def wait_until(read: Callable[[], T], is_enough: Callable[[T], bool], seconds: float = PATIENCE) -> T:
    """Read again and again until it is enough, and return that; fails after `seconds` with what was read last."""
    deadline = time.monotonic() + seconds
    while not is_enough(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found
