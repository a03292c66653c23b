"""The mappings tab: list, add, upload, replace, remove, export."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from instances.forms.mappings import MappingForm, stage
from instances.models import BrandASIN, BrandCampaign, MappingKind
from instances.models.instance import InstanceQuerySet
from instances.services.brands import replace_brands
from instances.services.mappings import add_mappings, mapped_values, preview_replace
from tests.factories import InstanceFactory
from tests.instances.test_mappings import LONG_ID, A, B, C, MappingTestCase


class PageTestCase(MappingTestCase):
    def url(self, name: str) -> str:
        return reverse(f"instances:mapping-{name}", args=[self.instance.pk])

    def add(self, text: str = "", **fields: Any) -> Any:
        data = {"brand": self.norda.pk, "kinds": "asins", "text": text, "action": "add", **fields}
        return self.client.post(self.url("create"), data)

    def upload(self, text: str, **fields: Any) -> Any:
        return self.add(file=SimpleUploadedFile("mappings.csv", text.encode()), **fields)

    def staged(self, response: Any) -> str:
        found = re.search(r'name="staged" value="([^"]+)"', response.content.decode())
        assert found
        return found[1]


class ListTests(PageTestCase):
    def test_without_brands_the_page_leads_to_the_settings(self) -> None:
        replace_brands(self.instance, [], actor=None)
        for name in ("list", "create"):
            response = self.client.get(self.url(name))
            self.assertContains(response, "A brand comes first")
            self.assertContains(response, reverse("instances:instance-update", args=[self.instance.pk]))

    def test_empty_list_leads_to_adding(self) -> None:
        response = self.client.get(self.url("list"))
        self.assertContains(response, "Nothing is mapped yet")
        self.assertContains(response, self.url("create"))

    def test_counts_kinds_and_brands(self) -> None:
        add_mappings(self.instance, [*self.asins(A, B), *self.campaigns("Summer", LONG_ID)], actor=None)
        add_mappings(self.instance, self.asins(A, brand=self.wellhome), actor=None)
        response = self.client.get(self.url("list"))
        self.assertEqual([(kind.value, count) for kind, count, _ in response.context["tiles"]],
                         [("asin", 3), ("campaign_id", 1), ("campaign_name", 1)])  # fmt: skip
        response = self.client.get(self.url("list"), {"brand": self.wellhome.pk})
        self.assertEqual([count for _, count, _ in response.context["tiles"]], [1, 0, 0])
        self.assertEqual([str(row) for row in response.context["page"]], [A])

    def test_kind_search_and_brand_narrow_the_list(self) -> None:
        add_mappings(self.instance, [*self.asins(A, B), *self.campaigns("Summer", "Winter", LONG_ID)], actor=None)
        for query, expected in (
            ({"q": "00b"}, [B]),
            ({"kind": "campaign_name", "q": "MMER"}, ["Summer"]),
            ({"kind": "campaign_id"}, [LONG_ID]),
            ({"kind": "campaign_id", "q": "5807"}, [LONG_ID]),
            ({"brand": self.secret.pk}, []),
            ({"kind": "nonsense"}, []),
        ):
            with self.subTest(query):
                response = self.client.get(self.url("list"), query)
                self.assertEqual([str(row) for row in response.context["page"]], expected)

    def test_a_long_id_is_shown_digit_for_digit(self) -> None:
        add_mappings(self.instance, self.campaigns(LONG_ID), actor=None)
        self.assertContains(self.client.get(self.url("list"), {"kind": "campaign_id"}), f"<code>{LONG_ID}</code>")

    def test_a_hundred_rows_per_page_for_a_constant_number_of_queries(self) -> None:
        add_mappings(self.instance, self.asins(*(f"B{number:09d}" for number in range(3))), actor=None)
        self.client.get(self.url("list"))
        with self.assertNumQueries(11):
            self.client.get(self.url("list"))
        add_mappings(self.instance, self.asins(*(f"B{number:09d}" for number in range(250))), actor=None)
        with self.assertNumQueries(11):
            response = self.client.get(self.url("list"), {"page": 3})
        self.assertEqual(len(response.context["page"]), 50)
        self.assertContains(response, "201–250 of 250")

    def test_fragment_is_the_table_and_the_address_is_kept_short(self) -> None:
        add_mappings(self.instance, self.asins(A), actor=None)
        response = self.htmx_get(f"{self.url('list')}?kind=asin&q=b0&brand=")
        self.assertTrue(response.content.decode().lstrip().startswith('<div id="mapping-table">'))
        self.assertContains(response, 'id="mapping-tiles" hx-swap-oob="true"')
        self.assertEqual(response["HX-Push-Url"], f"{self.url('list')}?q=b0")

    def test_names_are_escaped(self) -> None:
        add_mappings(self.instance, self.campaigns("<script>alert(1)</script>"), actor=None)
        response = self.client.get(self.url("list"), {"kind": "campaign_name"})
        self.assertNotContains(response, "<script>alert")
        self.assertContains(response, "&lt;script&gt;alert")


class AddPageTests(PageTestCase):
    def test_pasted_asins_are_added_and_said(self) -> None:
        add_mappings(self.instance, self.asins(A), actor=None)
        response = self.add(f" {A.lower()}\n{B}, {C}")
        self.assertRedirects(response, f"{self.url('list')}?kind=asin", fetch_redirect_response=False)
        self.assertEqual(mapped_values(self.instance).asins, [A, B, C])
        self.assertContains(self.client.get(self.url("list")), "2 mappings added. 1 was there already.")

    def test_one_bad_line_saves_nothing_and_keeps_what_was_typed(self) -> None:
        for send in (self.client.post, self.htmx_post):
            text = f"{A}\n{B}\nB123"
            response = send(self.url("create"), {"brand": self.norda.pk, "kinds": "asins", "text": text})
            self.assertEqual(response.status_code, 200)
            self.assertEqual(BrandASIN.objects.count(), 0)
            self.assertContains(response, "1 line cannot be taken. Nothing was saved.")
            self.assertContains(response, '<th scope="row" class="cell-num">3</th>')
            self.assertContains(response, f"{A}\n{B}\nB123</textarea>")

    def test_success_leaves_the_page_for_htmx_too(self) -> None:
        data = {"brand": self.norda.pk, "kinds": "campaigns", "text": LONG_ID, "action": "add"}
        response = self.htmx_post(self.url("create"), data)
        self.assertEqual(response["HX-Redirect"], f"{self.url('list')}?kind=campaign_id")
        self.assertEqual(mapped_values(self.instance).campaign_ids, [LONG_ID])

    def test_many_errors_are_counted_and_the_first_shown(self) -> None:
        response = self.add("\n".join(["bad"] * 700))
        self.assertContains(response, "700 lines cannot be taken")
        self.assertContains(response, "And 600 more.")

    def test_errors_without_end_are_counted_as_far_as_they_were_read(self) -> None:
        for text, fields in (("x\n" * 5_000, {}), (f"asin,brand\n{self.many_of_no_brand()}", {"brand": ""})):
            response = self.upload(text, **fields)
            self.assertContains(response, "At least 1,000 values cannot be taken. Nothing was saved.")
            self.assertContains(response, "And at least 900 more: reading stopped there.")

    @staticmethod
    def many_of_no_brand() -> str:
        return "\n".join(f"B{number:09d},Nobody" for number in range(5_000))

    def test_files_name_brands_and_kinds(self) -> None:
        text = f"brand,asin,campaign_id,campaign_name,title\nnorda,{A},{LONG_ID},\nWellhome,{B},,Summer\n"
        response = self.upload(text, brand="")
        self.assertRedirects(response, f"{self.url('list')}?kind=asin", fetch_redirect_response=False)
        self.assertEqual(mapped_values(self.instance, self.norda).campaigns, [LONG_ID])
        self.assertEqual(mapped_values(self.instance, self.wellhome).campaigns, ["Summer"])
        self.assertContains(self.client.get(self.url("list")), "Columns that mean nothing here: title.")

    def test_what_cannot_be_read_is_said(self) -> None:
        workbook = SimpleUploadedFile("x.csv", b"PK\x03\x04")
        for fields, message in (
            ({}, "Paste ASINs or campaigns, or choose a file."),
            ({"text": A, "file": SimpleUploadedFile("x.csv", b"asin")}, "Paste or upload, not both"),
            ({"text": A, "brand": ""}, "This line names no brand"),
            ({"text": A, "brand": self.secret.pk}, "Select a valid choice"),
            ({"text": A, "kinds": "x"}, "Select a valid choice"),
            ({"file": workbook}, "save it as “CSV UTF-8”"),
            ({"file": SimpleUploadedFile("x.csv", b"asin\n")}, "There is nothing in it"),
            ({"file": SimpleUploadedFile("x.csv", b"")}, "There is nothing in it"),
        ):
            with self.subTest(message):
                self.assertContains(self.add(**fields), message)
        self.assertEqual(BrandASIN.objects.count(), 0)

    def test_a_file_that_is_too_large_is_refused(self) -> None:
        response = self.upload("x" * (10 * 1024 * 1024 + 52_429))
        self.assertContains(response, "This file has 10.1\xa0MB; at most 10.0\xa0MB are read. Split it")

    def test_how_something_was_understood_is_said_before_and_after_saving(self) -> None:
        latin = "Export of today\n\ncampaign_name,brand,Clicks\nÄrmel,Norda,1\n".encode("cp1252")
        notes = (
            "1 line above the names of the columns was left out.",
            "Columns that mean nothing here: Clicks.",
            "The file is not in UTF-8 and was read as Windows-1252: “Ärmel,Norda,1”.",
        )
        response = self.add(file=SimpleUploadedFile("x.csv", latin), action="replace")
        for note in notes:
            self.assertContains(response, note)
        self.add(file=SimpleUploadedFile("x.csv", latin))
        self.assertEqual(mapped_values(self.instance).campaign_names, ["Ärmel"])
        self.assertContains(self.client.get(self.url("list")), " ".join(notes))

    def test_the_only_brand_is_chosen_already(self) -> None:
        self.assertIsNone(MappingForm(instance=self.instance).fields["brand"].initial)
        self.assertEqual(MappingForm(instance=self.foreign).fields["brand"].initial, self.secret)

    def test_fifty_thousand_rows_of_a_file(self) -> None:
        lines = [f"B{number:09d},Norda" for number in range(50_000)]
        response = self.upload("asin,brand\n" + "\n".join(lines), brand="")
        self.assertRedirects(response, f"{self.url('list')}?kind=asin")
        self.assertEqual(BrandASIN.objects.filter(brand=self.norda).count(), 50_000)
        response = self.upload("asin,brand\n" + "\n".join(lines[1:]), brand="", action="replace")
        self.assertContains(response, "1 removed, 0 added, 49,999 kept")
        response = self.client.post(self.url("replace"), {"staged": self.staged(response)})
        self.assertRedirects(response, f"{self.url('list')}?kind=asin")
        self.assertEqual(BrandASIN.objects.filter(brand=self.norda).count(), 49_999)


class ReplacePageTests(PageTestCase):
    def setUp(self) -> None:
        super().setUp()
        add_mappings(self.instance, [*self.asins(A, B), *self.campaigns("Summer")], actor=None)

    def test_first_shown_then_replaced(self) -> None:
        response = self.add(f"{B} {C}", action="replace")
        self.assertContains(response, "Replace? 1 removed, 1 added, 1 kept")
        self.assertEqual(mapped_values(self.instance).asins, [A, B])
        response = self.client.post(self.url("replace"), {"staged": self.staged(response)}, follow=True)
        self.assertContains(response, "Replaced: 1 added, 1 removed, 1 kept.")
        self.assertEqual(mapped_values(self.instance).asins, [B, C])
        self.assertEqual(mapped_values(self.instance).campaign_names, ["Summer"])

    def test_the_same_rows_change_nothing_and_offer_nothing(self) -> None:
        response = self.add(f"{A} {B}", action="replace")
        self.assertContains(response, "Nothing would change")
        self.assertNotContains(response, 'class="btn btn-danger"')

    def test_what_changed_meanwhile_is_shown_again(self) -> None:
        response = self.add(C, action="replace")
        add_mappings(self.instance, self.asins("B00000000D"), actor=None)
        response = self.client.post(self.url("replace"), {"staged": self.staged(response)})
        self.assertContains(response, "have changed since")
        self.assertContains(response, "Replace? 3 removed, 1 added, 0 kept")
        self.client.post(self.url("replace"), {"staged": self.staged(response)})
        self.assertEqual(mapped_values(self.instance).asins, [C])

    def test_only_what_was_shown_for_this_instance_is_taken(self) -> None:
        other = InstanceFactory.create(account=self.instance.account)
        replace_brands(other, ["Norda"], actor=None)
        entries = self.asins(C)
        foreign = stage(other, entries, preview_replace(other, []).fingerprint)
        own = stage(self.instance, entries, preview_replace(self.instance, entries).fingerprint)
        for staged, message in (
            (foreign, "another instance"),
            (f"{own[:-1]}{'A' if own[-1] != 'A' else 'B'}", "too long ago"),
            ("", "This field is required"),
        ):
            with self.subTest(message):
                response = self.client.post(self.url("replace"), {"staged": staged}, follow=True)
                self.assertContains(response, message)
        with mock.patch("instances.forms.mappings._STAGED_SECONDS", -1):
            response = self.client.post(self.url("replace"), {"staged": own}, follow=True)
        self.assertContains(response, "too long ago")
        self.assertEqual(mapped_values(self.instance).asins, [A, B])

    def test_too_many_rows_for_a_form_are_refused_before_anything_is_asked(self) -> None:
        with self.settings(DATA_UPLOAD_MAX_MEMORY_SIZE=16 * 1024 + 50):
            self.assertContains(self.add(C, action="replace"), "too many to replace at once")


class RemovePageTests(PageTestCase):
    def setUp(self) -> None:
        super().setUp()
        add_mappings(self.instance, [*self.asins(A, B, C), *self.campaigns("Summer")], actor=None)

    def rows(self, *asins: str) -> list[int]:
        return [BrandASIN.objects.get(asin=asin).pk for asin in asins]

    def remove(self, **data: Any) -> Any:
        return self.client.post(self.url("remove"), data)

    def test_ticked_rows_are_removed_after_asking(self) -> None:
        rows = self.rows(A, C)
        response = self.remove(row=rows)
        self.assertContains(response, "Remove 2 ASINs?")
        self.assertEqual(BrandASIN.objects.count(), 3)
        response = self.remove(row=rows, count=2)
        self.assertRedirects(response, self.url("list"), fetch_redirect_response=False)
        self.assertEqual(mapped_values(self.instance).asins, [B])
        self.assertContains(self.client.get(self.url("list")), "2 mappings removed.")

    def test_all_that_match_are_removed_and_others_stay(self) -> None:
        response = self.remove(all="1", q="00a 00b")
        self.assertContains(response, "Remove 2 ASINs?")
        self.assertContains(response, 'name="q" value="00a 00b"')
        self.assertRedirects(self.remove(all="1", q="00a 00b", count=2), f"{self.url('list')}?q=00a+00b")
        self.assertEqual(mapped_values(self.instance).asins, [C])
        self.assertEqual(BrandCampaign.objects.count(), 1)

    def test_another_number_than_was_shown_asks_again(self) -> None:
        add_mappings(self.instance, self.asins("B00000000D"), actor=None)
        response = self.remove(all="1", count=3)
        self.assertContains(response, "The number has changed")
        self.assertEqual(BrandASIN.objects.count(), 4)

    def test_nothing_ticked_or_nothing_real_removes_nothing(self) -> None:
        other = BrandASIN.objects.create(brand=self.secret, asin=A)
        for data in (
            {},
            {"row": [other.pk], "count": 1},
            {"row": ["x", "٣", "9" * 30]},
            {"all": "1", "kind": "x"},
        ):
            with self.subTest(data):
                self.assertContains(self.client.post(self.url("remove"), data, follow=True), "Nothing was removed")
        self.assertEqual(BrandASIN.objects.count(), 4)


class ExportTests(PageTestCase):
    def test_file_for_a_spreadsheet(self) -> None:
        add_mappings(self.instance, [*self.asins(A), *self.campaigns(LONG_ID, "=cmd|' /C calc'!A0")], actor=None)
        response = self.client.get(self.url("export"))
        self.assertEqual(response["Content-Type"], "text/csv; charset=utf-8")
        self.assertIn(f'filename="mappings-{self.instance.instance_id}.csv"', response["Content-Disposition"])
        self.assertEqual(
            b"".join(response).decode("utf-8-sig").splitlines(),
            [
                "brand,asin,campaign_id,campaign_name",
                f"Norda,{A},,",
                f"Norda,,{LONG_ID},",
                "Norda,,,'=cmd|' /C calc'!A0",
            ],
        )

    def test_exported_file_uploads_again(self) -> None:
        awkward = ("-5", "a, b", "sep=;", "x | y", '="1"', "'=1", '"')
        add_mappings(self.instance, [*self.asins(A, "0306406152"), *self.campaigns(*awkward)], actor=None)
        exported = b"".join(self.client.get(self.url("export"))).decode()
        response = self.upload(exported, brand="", action="replace")
        self.assertContains(response, "Nothing would change: all 9 are there")


class ReadOnlyTests(PageTestCase):
    """A user who may see an instance but not change it, should the policy ever say so."""

    def test_seeing_is_allowed_and_changing_refused(self) -> None:
        add_mappings(self.instance, self.asins(A), actor=None)
        nobody = mock.patch.object(InstanceQuerySet, "editable_by", lambda self, user: self.none())
        with nobody:
            response = self.client.get(self.url("list"))
            self.assertContains(response, A)
            self.assertNotContains(response, "Remove selected")
            self.assertNotContains(response, self.url("create"))
            self.assertEqual(self.client.get(self.url("export")).status_code, 200)
            self.assertEqual(self.client.get(self.url("create")).status_code, 403)
            for name in ("create", "replace", "remove"):
                self.assertEqual(self.client.post(self.url(name), {"all": "1", "count": 1}).status_code, 403)
        self.assertEqual(BrandASIN.objects.count(), 1)


class ForeignInstanceTests(PageTestCase):
    def test_nothing_of_a_foreign_instance_can_be_seen_or_changed(self) -> None:
        add_mappings(self.instance, self.asins(A), actor=None)
        self.client.force_login(self.charlie)
        for name in ("list", "create", "export"):
            self.assertEqual(self.client.get(self.url(name)).status_code, 404)
        self.assertEqual(self.add(B).status_code, 404)
        staged = stage(self.instance, self.asins(B), "")
        self.assertEqual(self.client.post(self.url("replace"), {"staged": staged}).status_code, 404)
        self.assertEqual(self.client.post(self.url("remove"), {"all": "1", "count": 1}).status_code, 404)
        self.assertEqual(mapped_values(self.instance).asins, [A])

    def test_every_form_carries_a_token_against_forgery(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(self.alice)
        for name in ("create", "replace", "remove"):
            self.assertEqual(strict.post(self.url(name), {"all": "1"}).status_code, 403)


class AdminPageTests(PageTestCase):
    def test_lists_open_and_nothing_can_be_changed(self) -> None:
        add_mappings(self.instance, [*self.asins(A), *self.campaigns("Summer")], actor=None)
        self.client.force_login(self.sam)
        for model, row in (("brandasin", BrandASIN.objects.get()), ("brandcampaign", BrandCampaign.objects.get())):
            with self.subTest(model):
                listed = self.client.get(reverse(f"admin:instances_{model}_changelist"), {"q": "norda"})
                self.assertContains(listed, str(row))
                self.assertEqual(self.client.get(reverse(f"admin:instances_{model}_add")).status_code, 403)
                page = self.client.get(reverse(f"admin:instances_{model}_change", args=[row.pk]))
                self.assertNotContains(page, 'name="_save"')

    def test_an_instance_with_mappings_can_be_deleted(self) -> None:
        add_mappings(self.instance, [*self.asins(A), *self.campaigns("Summer")], actor=None)
        self.client.force_login(self.sam)
        url = reverse("admin:instances_amcinstance_delete", args=[self.instance.pk])
        self.client.post(url, {"post": "yes"})
        self.assertFalse(BrandASIN.objects.filter(brand=self.norda.pk).exists())


class KindTests(PageTestCase):
    def test_columns_and_kinds_have_the_same_names(self) -> None:
        header = b"".join(self.client.get(self.url("export"))).decode("utf-8-sig").splitlines()[0]
        self.assertEqual(header.split(","), ["brand", *MappingKind.values])
