"""What the client's tests share: a login at Amazon's American hosts, and answers as captured."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import responses

from instances.amc.auth import LoginClient, Tokens, TokenSource
from instances.amc.client import AmcClient, RetryPolicy
from instances.amc.hosts import hosts_for
from instances.amc.throttle import Throttle
from instances.amc.types import AccountRef, InstanceRef

CLIENT_ID = "amzn1.application-oa2-client.0123abcd"
CLIENT_SECRET = "a-secret-nobody-may-see"
ACCESS_TOKEN = "Atza|first-access-token"
REFRESH_TOKEN = "Atzr|the-refresh-token"
API = "https://advertising-api.amazon.com"
TOKEN_URL = "https://api.amazon.com/auth/o2/token"
ACCOUNT = AccountRef("ENTITY1EXAMPLE0AB", "ATVPDKIKX0DER")
INSTANCE = InstanceRef("amcexample", ACCOUNT)
INSTANCE_URL = f"{API}/amc/instances/amcexample"
# Tests do not wait: a wait longer than this ends the call.
HASTY = RetryPolicy(tries=3, max_wait_seconds=0.0, connect_timeout=1, read_timeout=1)
RAW = {
    "instanceId": "amcexample",
    "instanceName": "Example",
    "instanceType": "STANDARD",
    "creationStatus": "COMPLETED",
    "creationDatetime": "2024-01-02T03:04:05.6Z",
    "apiEndpoint": API,
    "advertiserTypes": ["DISPLAY", "SPONSORED_ADS"],
    "s3BucketName": "",
    "customerCanonicalName": "Example Inc",
}


def tokens(access: str = ACCESS_TOKEN, *, minutes: float = 60) -> Tokens:
    return Tokens(access, REFRESH_TOKEN, datetime.now(UTC) + timedelta(minutes=minutes))


def login(local_url: str = "", policy: RetryPolicy = HASTY) -> LoginClient:
    return LoginClient(hosts_for("NA", local_url), CLIENT_ID, CLIENT_SECRET, local_url=local_url, policy=policy)


def source(current: Tokens | None = None, local_url: str = "") -> TokenSource:
    return TokenSource(login(local_url), REFRESH_TOKEN, current)


def client(
    token_source: TokenSource | None = None,
    *,
    local_url: str = "",
    policy: RetryPolicy = HASTY,
    throttle: Throttle | None = None,
    pool_size: int = 4,
) -> AmcClient:
    return AmcClient(
        hosts_for("NA", local_url),
        CLIENT_ID,
        token_source or source(tokens(), local_url),
        local_url=local_url,
        policy=policy,
        throttle=throttle,
        pool_size=pool_size,
    )


def grants(access: str = "Atza|second-access-token", **more: Any) -> None:
    """Let the token endpoint answer with a fresh access token."""
    payload = {"access_token": access, "refresh_token": REFRESH_TOKEN, "token_type": "bearer", "expires_in": 3600}
    responses.post(TOKEN_URL, json={**payload, **more})


def answers(*replies: tuple[int, str], url: str = INSTANCE_URL, **headers: str) -> Callable[[], int]:
    """Let `url` answer these in turn, the last one again and again; returns a count of the calls so far."""
    asked: list[int] = []

    def reply(_: Any) -> tuple[int, dict[str, str], str]:
        asked.append(1)
        status, body = replies[min(len(asked), len(replies)) - 1]
        return status, headers, body

    responses.add_callback(responses.GET, url, callback=reply)
    return lambda: len(asked)


GOOD = (200, json.dumps({"instance": RAW}))
