"""Every address and every form, asked as no page of ours asks: they may refuse, and never fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.test import override_settings
from django.urls import reverse

from local_amc.server import LocalAmcServer
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template
from tests.addresses import PAGES, AddressTestCase
from tests.base import CastTestCase
from tests.html_forms import HtmlForm, forms_of
from tests.large_results import store_run
from tests.posting import URL_ENCODED

METHODS = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "X" * 300)
NUL = "a%00b"
# What nobody types, percent-encoded.
ODD_VALUES = {
    "nothing": "",
    "no UTF-8": "%ff%fe%C3%28%ED%A0%80",
    "beyond every number": "9" * 400,
    "beyond a key": "9" * 18,
    "other digits": quote("١²"),
    "the last day": "9999-12-31",
    "the first day": "0001-01-01",
    "huge": "x" * 8_000,
    "markup": quote("<script>{{ x }}{% y %}'\"`\\%_;--[]"),
    "invisible": quote("\u200b\u202e\ufeff\u0301"),
}
# Every name that a page reads from its address.
NAMES = (
    "account", "after", "brand", "chart_kind", "chart_x", "chart_y", "code", "column", "connection", "error",
    "error_description", "from", "health", "instance", "kind", "kinds", "label", "list", "month", "name", "new",
    "next", "old", "op", "page", "q", "region", "rows", "scope", "search", "since", "sort", "start", "state", "status",
    "tag", "template", "text", "trigger", "value",
)  # fmt: skip
# What fills the empty fields of a form, so that it is good apart from the one that is odd.
GOOD_VALUES = {
    "name": "New", "label": "New", "source_sql": "SELECT {{x}} AS x", "value:x": "1", "text": "B000000001",
    "instance_id": "amcnew00001", "refresh_token": "Atzr|local-healthy", "brands": "New brand",
    "account_id": "ENTITYLOCALJP1", "marketplace": "A1VC38T7YXB528", "typed_name": "Alice's instance",
}  # fmt: skip
ODD_IN_FORMS = (NUL, *(ODD_VALUES[name] for name in ("no UTF-8", "beyond every number", "invisible")))


@override_settings(LIMITS_PER_MINUTE=dict.fromkeys(settings.LIMITS_PER_MINUTE, 0))
class RouteTests(AddressTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        # Tokens that are pasted are tried.
        amc = cls.enterClassContext(LocalAmcServer())
        cls.enterClassContext(override_settings(LOCAL_AMC_URL=amc.url))
        super().setUpClass()

    def setUp(self) -> None:
        super().setUp()
        self.client.raise_request_exception = False
        # What is refused is a line each; nobody reads thousands of them.
        logging.disable(logging.ERROR)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.large = store_run(InstanceTemplate.objects.get(), 30)
        instance = self.large.instance
        content = Content(name="Filled", source_sql="SELECT {{x}} AS x", parameter_values={"x": "1"})
        self.filled = create_template(actor=self.alice, instance=instance, content=content)

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Return every address with its name: of what Alice has, and where it differs of what has more to show."""
        for name, (_, kind, *_) in PAGES.items():
            yield name, reverse(name, args=self.objects[kind] if kind else [])
            if kind in ("execution", "download"):
                yield name, reverse(name, args=[self.large.pk, *self.objects[kind][1:]])
            elif kind == "template":
                yield name, reverse(name, args=[self.filled.instance_id, self.filled.template_id])

    def ask(self, method: str, address: str, **how: Any) -> Any:
        """Return the answer, read to its end; whatever was done is taken back."""
        with transaction.atomic():
            response: Any = self.client.generic(method, address, **how)
            if response.streaming:
                b"".join(response)
            transaction.set_rollback(True)
        self.assertLess(response.status_code, 500, f"{method} {address[:200]} {how}"[:600])
        return response

    def test_other_methods(self) -> None:
        for name, address in self.addresses():
            for method in METHODS:
                with self.subTest(name, method=method):
                    self.ask(method, address)

    def test_odd_values_in_addresses(self) -> None:
        pages = [(name, address) for name, address in self.addresses() if PAGES[name][0] == "GET"]
        for name, address in pages:
            for number, (label, value) in enumerate(ODD_VALUES.items()):
                query = "&".join(f"{key}={value}" for key in NAMES)
                headers = {"HX-Request": "true"} if number % 2 else {}
                with self.subTest(name, value=label):
                    self.ask("GET", f"{address}?{query}", headers=headers)

    def test_odd_values_in_every_field_of_every_form(self) -> None:
        seen = set()
        for name, address in self.addresses():
            page = self.ask("GET", address)
            is_page = not page.streaming and page.get("Content-Type", "").startswith("text/html")
            for form in forms_of(page.content.decode(), address) if is_page else ():
                kind = (name, *form.names)
                if kind not in seen:
                    seen.add(kind)
                    self.fill_oddly(form)
        # Fewer would mean that forms are not found any more.
        self.assertGreater(len(seen), 30)

    def fill_oddly(self, form: HtmlForm) -> None:
        """Post a form with each of its fields odd in turn, by each of its buttons."""
        good = [(name, text or GOOD_VALUES.get(name, "")) for name, text in form.fields]
        for button, value, address in form.buttons or [("", "", "")]:
            for odd in (*form.names, *([button] if button else [])):
                rest = [(name, text) for name, text in (*good, (button, value)) if name and name != odd]
                body = "".join(f"{quote(name)}={quote(text)}&" for name, text in rest)
                for text in ODD_IN_FORMS:
                    with self.subTest(form.action, field=odd, text=text[:20]):
                        data = f"{body}{quote(odd)}={text}"
                        self.ask("POST", address or form.action, data=data, content_type=URL_ENCODED)


class NulTests(CastTestCase):
    """PostgreSQL fails at it: what a request looks up must not hold it."""

    def test_an_address_with_it_is_refused(self) -> None:
        for address in (
            f"{reverse('instances:brand-list')}?q={NUL}",
            f"{reverse('instances:instance-list')}?{NUL}=1",
            f"{reverse('templates:template-create', args=[uuid4()])}?page=1&from=%00",
            "/runs/%00/",
        ):
            with self.subTest(address):
                self.assertContains(self.client.get(address), "This request cannot be read", status_code=400)

    def test_a_cookie_with_it_is_refused(self) -> None:
        self.client.logout()
        response = self.client.get("/", headers={"cookie": r'sessionid="\000abcdefghijkl"'})
        self.assertEqual(response.status_code, 400)

    def test_a_form_says_which_field_holds_it(self) -> None:
        response = self.client.post(reverse("instances:connection-start"), {"label": "a\0b", "region": "NA"})
        self.assertContains(response, "Null characters are not allowed.")
