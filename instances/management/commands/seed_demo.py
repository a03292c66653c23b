"""Fill an empty database with a demo user, a login at the local AMC and imported instances."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from amchelper.models import User
from instances.models import AmazonConnection, AMCInstance
from instances.services.brands import replace_brands
from instances.services.connections import connect_with_refresh_token
from instances.services.discovery import discover
from instances.services.imports import import_instances

# Printed on purpose.
EMAIL, PASSWORD = "demo@example.com", "local-demo-password"
REFRESH_TOKEN = "Atzr|local-healthy"  # noqa: S105  a published fixture of the local AMC
# Left out so that there is something to add and to discover by hand.
LEFT_OUT = ("amclocalus2",)
JAPANESE_SHOWN = 24
BRANDS = {
    "amclocalus1": ["Northwind", "Northwind Kids"],
    "amclocalca1": ["Northwind"],
    "amclocalde1": ["Kaffeehaus"],
    "amclocalnew": ["Kaffeehaus", "Espresso"],
    "amclocaljp001": ["Hikari"],
}


class Command(BaseCommand):
    """Seed the demo, once."""

    help = "Fill the demo: a user, a login at the local AMC, imported instances. Existing data stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG and settings.LOCAL_AMC_URL):
            raise CommandError("The demo needs DEBUG=true and LOCAL_AMC_URL; it is not for a real deployment.")
        user = User.objects.filter(email__iexact=EMAIL).first()
        if user is None:
            user = User.objects.create_superuser(EMAIL, PASSWORD, name="Demo")
        if not AmazonConnection.objects.visible_to(user).exists():
            with running_local_amc():
                self._connect_and_import(user)
        self.stdout.write(
            f"\n  AMC Helper   {settings.SITE_URL}\n  sign in as   {EMAIL}\n  password     {PASSWORD}\n"
            f"  local AMC    {settings.LOCAL_AMC_URL}\n  Ctrl-C stops everything; your data stays in var/.\n"
        )

    def _connect_and_import(self, user: User) -> None:
        connection, _ = connect_with_refresh_token(
            actor=user, label="Demo agency", region="NA", refresh_token=REFRESH_TOKEN
        )
        keys = [row.key for account in discover(connection, user).accounts for row in account.new]
        japanese = [key for key in keys if key.instance_id.startswith("amclocaljp")]
        others = [key for key in keys if key not in japanese and key.instance_id not in LEFT_OUT]
        import_instances(connection=connection, actor=user, keys=[*others, *japanese[:JAPANESE_SHOWN]])
        for instance in AMCInstance.objects.visible_to(user).filter(instance_id__in=BRANDS):
            replace_brands(instance, BRANDS[instance.instance_id], actor=user)


@contextmanager
def running_local_amc() -> Iterator[None]:
    """Use the local AMC that runs already, or start one for as long as it is needed."""
    if _answers():
        yield
        return
    port = str(urlsplit(settings.LOCAL_AMC_URL).port or 80)
    process = subprocess.Popen(  # noqa: S603  our own program with our own arguments
        [sys.executable, "-m", "local_amc", "--port", port], cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            if _answers():
                break
            if process.poll() is not None:
                raise CommandError(f"The local AMC did not start on port {port}; is the port in use?")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=15)


def _answers() -> bool:
    try:
        urllib.request.urlopen(f"{settings.LOCAL_AMC_URL}/amc/accounts", timeout=1)  # noqa: S310  our own setting
    except urllib.error.HTTPError:
        return True  # it refuses strangers, so it is there
    except OSError:
        return False
    return True
