"""The cast of the tests, and a running local AMC to act with."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar
from unittest import mock

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.core.cache import caches
from django.http import HttpResponse, HttpResponseBase
from django.test import TestCase, override_settings

from amchelper.access import OwnedQuerySet
from amchelper.models import User
from instances.amc import throttle
from instances.models import AmazonConnection, AMCAccount
from instances.services import amazon
from local_amc.server import LocalAmcServer
from tests.factories import AccountFactory, ConnectionFactory, UserFactory
from tests.serving import PATIENCE

# Apps whose rows belong to somebody.
BUSINESS_APPS = ("instances", "templates_app", "executions", "schedules")


def flat(content: str) -> str:
    """Return HTML as a browser reads it outside of <pre>: any run of white space is one space, none ends a tag."""
    return re.sub(r"\s+(?=/?>)", "", re.sub(r"\s+", " ", content))


def everything() -> dict[str, list[dict[str, Any]]]:
    """Return every row of every app that holds business data."""
    models = [model for app in BUSINESS_APPS for model in apps.get_app_config(app).get_models()]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


class CastTestCase(TestCase):
    """Alice owns; Bob may look, where `bob_sees` lets him; Charlie must not learn that it exists; Sam is staff."""

    alice: User
    bob: User
    charlie: User
    sam: User

    @classmethod
    def setUpTestData(cls) -> None:
        """Create the cast."""
        cls.alice = UserFactory.create(email="alice@example.com")
        cls.bob = UserFactory.create(email="bob@example.com")
        cls.charlie = UserFactory.create(email="charlie@example.com")
        cls.sam = UserFactory.create(email="sam@example.com", is_staff=True, is_superuser=True)

    def setUp(self) -> None:
        """Sign Alice in and start with nothing cached."""
        super().setUp()
        for alias in ("default", "generations"):
            caches[alias].clear()
        # Per-process state of the client: one test's throttling or tokens are not the next one's.
        amazon._sources.clear()
        throttle._throttles.clear()
        self.client.force_login(self.alice)

    @contextmanager
    def bob_sees(self) -> Iterator[None]:
        """Let Bob see what Alice owns, as sharing will; he may run and change nothing."""

        def visible_to(rows: OwnedQuerySet[Any], user: User | AnonymousUser) -> OwnedQuerySet[Any]:
            return rows.owned_by(self.alice if user == self.bob else user)

        with mock.patch.object(OwnedQuerySet, "visible_to", visible_to):
            yield

    @contextmanager
    def nobody_may(self, *doors: str) -> Iterator[None]:
        """Let these questions of every QuerySet (`editable_by`, …) be answered with no row."""

        def no_rows(rows: OwnedQuerySet[Any], *args: Any, **kwargs: Any) -> OwnedQuerySet[Any]:
            return rows.none()

        with ExitStack() as stack:
            for door in doors:
                stack.enter_context(mock.patch.object(OwnedQuerySet, door, no_rows))
            yield

    def assertContains(  # noqa: N802  unittest names it
        self, response: HttpResponseBase, text: object, *args: Any, **kwargs: Any
    ) -> None:
        """Find a text however the template breaks its lines."""
        super().assertContains(_flattened(response), flat(str(text)), *args, **kwargs)

    def assertNotContains(  # noqa: N802  unittest names it
        self, response: HttpResponseBase, text: object, *args: Any, **kwargs: Any
    ) -> None:
        super().assertNotContains(_flattened(response), flat(str(text)), *args, **kwargs)

    def htmx_get(self, url: str, **headers: str) -> Any:
        """Get as htmx does."""
        return self.client.get(url, headers={"HX-Request": "true", **headers})

    def htmx_post(self, url: str, data: dict[str, Any] | None = None) -> Any:
        """Post as htmx does."""
        return self.client.post(url, data or {}, headers={"HX-Request": "true"})


class LocalAmcTestCase(CastTestCase):
    """Tests that talk to a running local AMC over HTTP; it starts once per class and is reset per test."""

    amc: ClassVar[LocalAmcServer]
    # What the server is started with, such as its speed.
    amc_options: ClassVar[dict[str, Any]] = {}
    connection: AmazonConnection
    account: AMCAccount

    @classmethod
    def setUpClass(cls) -> None:
        """Start the server on a free port and point the product at it."""
        cls.amc = cls.enterClassContext(LocalAmcServer(**cls.amc_options))
        cls.enterClassContext(override_settings(LOCAL_AMC_URL=cls.amc.url))
        super().setUpClass()

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.connection = ConnectionFactory.create(user=cls.alice, label="Alice's login")
        cls.account = AccountFactory.create(connection=cls.connection)

    def setUp(self) -> None:
        """Forget what earlier tests armed."""
        super().setUp()
        self.control("POST", "reset")

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call a control route of the local AMC."""
        request = urllib.request.Request(  # noqa: S310  our own server on loopback
            f"{self.amc.url}/__control/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310  as above
            text = response.read()
        return json.loads(text) if text else None

    def arm(self, fault: str, **where: Any) -> None:
        """Arm a fault of the local AMC."""
        self.control("POST", "faults", {"fault": fault, **where})

    @contextmanager
    def dripping(self, **where: Any) -> Iterator[None]:
        """Let the local AMC drip; no time passes for our limits until it does, and then all of theirs at once."""
        self.arm("drip", seconds=0.05, **where)
        faults = self.amc.app.state.faults

        class Clock:
            @staticmethod
            def monotonic() -> float:
                return 1000.0 if any(fault["fired"] for fault in faults.list()) else 0.0

        with mock.patch("instances.amc.time_limits.time", Clock):
            yield


def _flattened(response: HttpResponseBase) -> HttpResponseBase:
    if not response.get("Content-Type", "").startswith("text/html"):
        return response
    assert isinstance(response, HttpResponse)
    return HttpResponse(flat(response.content.decode()), status=response.status_code)
