"""A plain HTTP client for the tests of the local AMC: nothing of the product is between them and the wire."""

from __future__ import annotations

import base64
import hashlib
import unittest
from typing import Any, ClassVar

import requests

from local_amc.server import LocalAmcServer
from tests.serving import PATIENCE

CLIENT_ID = "amzn1.application-oa2-client.local"
CLIENT = {"client_id": CLIENT_ID, "client_secret": "local-secret"}
US, CA, DE, JP = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1PA6795UKMFR9", "A1VC38T7YXB528"
REDIRECT_URI = "http://127.0.0.1:8000/connections/callback/"
VERIFIER = "a-verifier-that-is-long-enough-for-everybody-1234567"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class LocalAmcTests(unittest.TestCase):
    """A running local AMC per class, reset before each test."""

    amc: ClassVar[LocalAmcServer]
    session: ClassVar[requests.Session]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.amc = cls.enterClassContext(LocalAmcServer())
        cls.session = cls.enterClassContext(requests.Session())
        # Another program's proxy settings must not come between.
        cls.session.trust_env = False

    def setUp(self) -> None:
        self.amc.reset()

    def refresh(self, login: str = "healthy", **changed: Any) -> requests.Response:
        form = {"grant_type": "refresh_token", "refresh_token": f"Atzr|local-{login}", **CLIENT, **changed}
        form = {name: value for name, value in form.items() if value is not None}
        return self.session.post(f"{self.amc.url}/auth/o2/token", data=form, timeout=PATIENCE)

    def headers(
        self, entity: str = "ENTITYLOCALUS1", marketplace: str = US, login: str = "healthy"
    ) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.refresh(login).json()['access_token']}",
            "Amazon-Advertising-API-ClientId": CLIENT_ID,
            "Amazon-Advertising-API-AdvertiserId": entity,
            "Amazon-Advertising-API-MarketplaceId": marketplace,
        }

    def get(self, path: str, headers: dict[str, str], timeout: float = 10, **query: Any) -> requests.Response:
        return self.session.get(f"{self.amc.url}{path}", headers=headers, params=query, timeout=timeout)
