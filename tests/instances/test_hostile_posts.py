"""What somebody may send to the form of mappings: memory, statements and answers stay small, nothing is saved."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instances.models import BrandASIN
from instances.services.mapping_files import MAX_FILE_BYTES
from tests.base import flat
from tests.instances.test_mappings import MappingTestCase
from tests.posting import multipart, send

MEGABYTE = 1024 * 1024
# Just what a form's fields may hold, 2.5 MB.
MAX_PASTE_BYTES = 5 * MEGABYTE // 2 - 1_000
MAX_STATEMENTS = 10
TOO_MANY_ERRORS = "At least 1,000 values cannot be taken. Nothing was saved."
ONE_ERROR = "1 line cannot be taken. Nothing was saved."


class HostilePostTests(MappingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.url = reverse("instances:mapping-create", args=[self.instance.pk])
        # What is loaded once is not counted.
        self.client.post(self.url, {"kinds": "asins", "text": "x"})

    def post(self, name: str, unit: str, size: int, **options: Any) -> tuple[HttpResponse, int]:
        """Return the answer to a field or file that repeats a text, and how much memory it took at most."""
        fields = {"kinds": "asins", "brand": str(self.norda.pk), "action": "add"}
        body = multipart(fields, name, unit.encode(), size, **options)
        gc.collect()
        tracemalloc.start()
        with CaptureQueriesContext(connection) as queries:
            response = send(self.client, self.url, body)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLessEqual(len(queries), MAX_STATEMENTS)
        self.assertFalse(BrandASIN.objects.exists())
        return response, peak

    def test_a_file_as_large_as_it_may_be(self) -> None:
        for unit, result, sentence in (
            (",", ONE_ERROR, "This line has more than 100,000 characters"),
            ('asin\n"', ONE_ERROR, "text follows the closing one"),
            ("B1\n", TOO_MANY_ERRORS, "And at least 900 more"),
            ("😀\n", TOO_MANY_ERRORS, "this holds U+1F600 (grinning face)"),
        ):
            with self.subTest(unit):
                response, peak = self.post("file", unit, MAX_FILE_BYTES, filename="x.csv")
                self.assertContains(response, result)
                self.assertIn(sentence, flat(response.content.decode()))
                self.assertLess(len(response.content), MEGABYTE // 4)
                self.assertLess(peak, 4 * MEGABYTE)

    def test_a_paste_as_large_as_it_may_be_comes_back_with_its_errors(self) -> None:
        for unit, sentence in (
            ("B1 ", TOO_MANY_ERRORS),
            ("x\t", TOO_MANY_ERRORS),
            ("a", ONE_ERROR),
        ):
            with self.subTest(unit):
                response, peak = self.post("text", unit, MAX_PASTE_BYTES)
                self.assertIn(sentence, flat(response.content.decode()))
                # What was typed is shown again, and little beside it.
                self.assertIn(unit * 1_000, response.content.decode())
                self.assertLess(len(response.content), MAX_PASTE_BYTES + MEGABYTE // 4)
                self.assertLess(peak, 24 * MEGABYTE)
