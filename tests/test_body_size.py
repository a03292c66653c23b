"""How much a request may hold, and what somebody who sent more gets to see."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path

from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import reverse

from tests.base import CastTestCase, flat
from tests.posting import MULTIPART, URL_ENCODED, Body, multipart, send

KILOBYTE = 1024
MEGABYTE = 1024 * KILOBYTE
HTMX = {"HTTP_HX_REQUEST": "true"}


class BodySizeTestCase(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.login = reverse("account_login")
        self.form = reverse("instances:connection-paste")
        self.stranger = Client(enforce_csrf_checks=True)

    def file(self, size: int) -> Body:
        return multipart({}, "file", b"x", size, filename="x.csv")

    def refused(self, response: HttpResponse, *sentences: str) -> None:
        self.assertEqual(response.status_code, 413)
        text = flat(response.content.decode()).replace("\xa0", " ")
        for sentence in (*sentences, "othing was saved"):
            self.assertIn(sentence, text)


class LengthTests(BodySizeTestCase):
    def test_a_strangers_large_body_is_neither_parsed_nor_stored(self) -> None:
        for url in (self.login, self.form, "/no/such/page/"):
            body = self.file(200 * MEGABYTE)
            with tempfile.TemporaryDirectory() as folder, override_settings(FILE_UPLOAD_TEMP_DIR=folder):
                tracemalloc.start()
                response = send(self.stranger, url, body)
                _, peak = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                self.assertEqual(list(Path(folder).iterdir()), [])
            self.refused(
                response,
                "You are not signed in, and then at most 256.0 KB are taken at once; this has 200.0 MB",
            )
            self.assertLessEqual(body.taken, 16 * MEGABYTE)
            self.assertLess(peak, 8 * MEGABYTE)

    def test_zeros_before_a_length_hide_nothing(self) -> None:
        body = self.file(20 * MEGABYTE)
        self.refused(
            send(self.stranger, self.login, body, CONTENT_LENGTH=f"{body.length:040}"), "this has 20.0 MB"
        )

    def test_a_small_body_of_a_stranger_is_read(self) -> None:
        response = send(self.stranger, self.login, self.file(200 * KILOBYTE))
        self.assertContains(response, "This page is too old", status_code=403)

    def test_a_user_may_send_more_but_not_without_end(self) -> None:
        taken = send(self.client, self.form, self.file(15 * MEGABYTE))
        self.assertEqual(taken.status_code, 200)
        body = self.file(20 * MEGABYTE)
        response = send(self.client, self.form, body)
        self.refused(response, "This request has 20.0 MB; at most 16.0 MB are taken at once.", "split it")
        self.assertContains(response, f'href="{self.form}" data-back>Back to the form</a>', status_code=413)
        # All of it, or the browser would show a broken connection.
        self.assertEqual(body.taken, body.length)

    def test_what_is_read_and_thrown_away_ends_too(self) -> None:
        with override_settings(MAX_BODY_MB=1):
            body = self.file(50 * MEGABYTE)
            self.refused(send(self.client, self.form, body), "at most 1.0 MB")
        self.assertLess(body.taken, 17 * MEGABYTE)

    def test_htmx_gets_the_sentence_alone_and_the_form_stays(self) -> None:
        for client, sentence in ((self.client, "at most 16.0 MB"), (self.stranger, "Sign in in another tab")):
            response = send(client, self.form, self.file(20 * MEGABYTE), **HTMX)
            self.refused(response, sentence)
            self.assertEqual(response["Content-Type"], "text/plain; charset=utf-8")
            self.assertNotIn("<", response.content.decode())

    def test_a_body_without_a_length_is_not_read(self) -> None:
        for extra in (
            {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""},
            {"HTTP_TRANSFER_ENCODING": "gzip, chunked", "CONTENT_LENGTH": "10"},
            {"CONTENT_LENGTH": "-1"},
            {"CONTENT_LENGTH": "1_0"},
            {"CONTENT_LENGTH": "ten"},
            {"CONTENT_LENGTH": "٣"},
        ):
            for client in (self.client, self.stranger):
                body = self.file(MEGABYTE)
                response = send(client, self.login, body, **extra)
                with self.subTest(extra):
                    self.refused(response, "does not say how long it is", "Content-Length")
                    self.assertEqual(body.taken, 0)
        self.refused(send(self.client, self.form, self.file(0), CONTENT_LENGTH="9" * 5_000), "at most 16.0 MB")

    def test_every_method_and_kind_of_body_is_measured(self) -> None:
        for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
            for content_type in ("application/json", URL_ENCODED, MULTIPART, "application/octet-stream"):
                with self.subTest(method, content_type=content_type):
                    response = send(self.client, "/", self.file(17 * MEGABYTE), content_type, method)
                    self.assertEqual(response.status_code, 413)


class FormTests(BodySizeTestCase):
    """Fields have limits of their own: a file goes to the disk, a field to memory."""

    def test_too_much_text_is_said_with_the_way_out(self) -> None:
        for extra in ({}, HTMX):
            for content_type, body in (
                (MULTIPART, multipart({}, "text", b"B000000001\n", 3 * MEGABYTE)),
                (URL_ENCODED, Body(b"B000000001+", 3 * MEGABYTE, begin=b"text=")),
            ):
                with self.subTest(content_type, **extra):
                    response = send(self.client, self.form, body, content_type, **extra)
                    self.refused(
                        response, "take at most 2.5 MB of text. Make it shorter; upload a long list as a file."
                    )
                    self.assertEqual(body.taken, body.length)

    def test_too_many_fields_and_files_are_said(self) -> None:
        fields = send(self.client, self.form, Body(b"a=1&", 40_000), URL_ENCODED)
        self.refused(fields, "A form has at most 1,000 fields.")
        part = b'--tests-boundary\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n1\r\n'
        files = send(self.client, self.form, Body(part, 200 * len(part), end=b"--tests-boundary--\r\n"))
        self.refused(files, "A form has at most 100 files.")
