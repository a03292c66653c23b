"""What browsers and proxies may keep, and what a page may use of the device."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from amchelper.logs import ClientErrors
from tests.base import CastTestCase
from tests.factories import InstanceFactory


class HeaderTests(CastTestCase):
    def test_signed_in_pages_and_fragments_are_kept_by_nobody(self) -> None:
        instance = InstanceFactory.create(account__connection__user=self.alice)
        for path in ("/", "/instances/", instance.get_absolute_url(), "/nothing-here/"):
            self.assertEqual(self.client.get(path)["Cache-Control"], "private, no-store", path)
        fragment = self.client.get("/instances/", headers={"hx-request": "true"})
        self.assertEqual(fragment["Cache-Control"], "private, no-store")
        self.client.force_login(self.sam)
        self.assertIn("no-store", self.client.get("/admin/")["Cache-Control"])

    def test_files_may_stay_with_who_fetched_them(self) -> None:
        instance = InstanceFactory.create(account__connection__user=self.alice)
        with self.assertLogs("amchelper.security_events", "INFO") as logs:
            response = self.client.get(reverse("instances:mapping-export", args=[instance.pk]))
        self.assertEqual(response["Cache-Control"], "private")
        self.assertIn(f"event=exported user={self.alice.pk}", logs.output[0])

    def test_what_says_itself_how_long_it_may_be_kept_stays(self) -> None:
        self.assertEqual(self.client.get(reverse("templates:schema"))["Cache-Control"], "private, max-age=3600")

    def test_pages_use_no_camera_and_no_microphone(self) -> None:
        for client in (self.client, Client()):
            policy = client.get("/accounts/login/")["Permissions-Policy"]
            self.assertIn("camera=()", policy)
            self.assertIn("microphone=()", policy)


@pytest.mark.parametrize(
    ("status", "level"), [(400, "WARNING"), (404, "WARNING"), (500, "ERROR"), (None, "ERROR")]
)
def test_only_our_own_errors_have_a_traceback(status: int | None, level: str) -> None:
    try:
        raise ValueError("bad host")
    except ValueError as error:
        trace = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("django.security", logging.ERROR, "x.py", 1, "bad", (), trace)
    if status is not None:
        record.status_code = status
    assert ClientErrors().filter(record)
    assert (record.levelname, record.exc_info is not None) == (level, level == "ERROR")


def test_every_line_of_the_log_goes_through_it() -> None:
    handlers = settings.LOGGING["handlers"]
    assert all("client_errors" in handler["filters"] for handler in handlers.values())


def test_a_scanner_leaves_a_line_and_no_traceback() -> None:
    code = (
        "import django; django.setup();"
        "from django.test import Client;"
        "c = Client(raise_request_exception=False);"
        "print(c.get('/wp-login.php', headers={'host': 'evil.example'}).status_code)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "400"
    assert "evil.example" in done.stderr
    assert "Traceback" not in done.stderr
