"""Mappings are added, replaced and removed as a whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from amchelper.exceptions import InvalidStateError
from instances.models import AMCInstance, BrandASIN, BrandCampaign, InstanceBrand, MappingKind
from instances.services.brands import replace_brands
from instances.services.configuration import INSTANCE_CACHE
from instances.services.mapping_text import PasteKind, parse_asins, parse_campaigns, parse_csv
from instances.services.mappings import (
    Changes,
    Entry,
    add_mappings,
    assign_brands,
    count_by_brand,
    export_rows,
    mapped_values,
    mappings_of,
    preview_replace,
    remove_mappings,
    replace_mappings,
)
from tests.base import CastTestCase
from tests.factories import InstanceFactory

A, B, C = "B00000000A", "B00000000B", "B00000000C"
LONG_ID = "9223372036854775807"


class MappingTestCase(CastTestCase):
    """Alice's instance with the brands Norda and Wellhome, Charlie's with Secret."""

    instance: AMCInstance
    norda: InstanceBrand
    wellhome: InstanceBrand
    secret: InstanceBrand

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.instance = InstanceFactory.create(account__connection__user=cls.alice)
        replace_brands(cls.instance, ["Norda", "Wellhome"], actor=None)
        cls.norda, cls.wellhome = InstanceBrand.objects.filter(instance=cls.instance).order_by("name")
        other = InstanceFactory.create(account__connection__user=cls.charlie)
        replace_brands(other, ["Secret"], actor=None)
        cls.secret = InstanceBrand.objects.get(instance=other)

    def asins(self, *asins: str, brand: InstanceBrand | None = None) -> list[Entry]:
        return [Entry((brand or self.norda).pk, MappingKind.ASIN, asin) for asin in asins]

    def campaigns(self, *names: str, brand: InstanceBrand | None = None) -> list[Entry]:
        entries, errors = assign_brands(self.instance, parse_campaigns("\n".join(names)), brand or self.norda)
        self.assertEqual(errors, [])
        return entries

    def stored(self) -> list[tuple[str, str]]:
        found = mappings_of(self.instance)
        rows = [*found.asins.select_related("brand"), *found.campaigns.select_related("brand")]
        return [(row.brand.name, row.value) for row in rows]


class AddTests(MappingTestCase):
    def test_adding_twice_changes_nothing(self) -> None:
        entries = [*self.asins(A, B), *self.campaigns("Summer", "42")]
        self.assertEqual(add_mappings(self.instance, entries, actor=None), Changes(added=4))
        before = self.stored()
        self.assertEqual(add_mappings(self.instance, entries, actor=None), Changes(kept=4))
        self.assertEqual(self.stored(), before)

    def test_one_thing_may_belong_to_two_brands_but_only_once_to_each(self) -> None:
        add_mappings(self.instance, [*self.asins(A, A), *self.asins(A, brand=self.wellhome)], actor=None)
        self.assertEqual(self.stored(), [("Norda", A), ("Wellhome", A)])

    def test_names_are_the_same_in_any_case_and_the_first_spelling_stays(self) -> None:
        add_mappings(self.instance, self.campaigns("Straße", "STRASSE", "Ärmel"), actor=None)
        self.assertEqual(add_mappings(self.instance, self.campaigns("ÄRMEL"), actor=None), Changes(kept=1))
        self.assertEqual(self.stored(), [("Norda", "Straße"), ("Norda", "Ärmel")])

    def test_an_id_and_a_name_of_the_same_digits_are_two_things(self) -> None:
        digits = Entry(self.norda.pk, MappingKind.CAMPAIGN_NAME, "42")
        add_mappings(self.instance, [*self.campaigns("42"), digits], actor=None)
        self.assertEqual(BrandCampaign.objects.count(), 2)

    def test_ids_keep_all_64_bits(self) -> None:
        add_mappings(self.instance, self.campaigns(LONG_ID, "9007199254740993"), actor=None)
        self.assertEqual(mapped_values(self.instance).campaign_ids, [LONG_ID, "9007199254740993"])

    def test_a_foreign_brand_is_refused_and_nothing_is_saved(self) -> None:
        for write in (add_mappings, replace_mappings):
            with self.subTest(write.__name__), self.assertRaises(InvalidStateError):
                write(self.instance, [*self.asins(A), *self.asins(B, brand=self.secret)], actor=None)
        self.assertEqual(BrandASIN.objects.count(), 0)

    def test_a_broken_row_saves_none_and_is_not_swallowed(self) -> None:
        for bad in (Entry(self.norda.pk, MappingKind.ASIN, "b00000000z"), *self.asins("B1")):
            with self.subTest(bad.value), self.assertRaises(IntegrityError), transaction.atomic():
                add_mappings(self.instance, [*self.asins(A), bad], actor=None)
        self.assertEqual(self.stored(), [])

    def test_cached_configuration_is_forgotten(self) -> None:
        writes: tuple[Callable[[], object], ...] = (
            lambda: add_mappings(self.instance, self.asins(A), actor=None),
            lambda: replace_mappings(self.instance, self.asins(B), actor=None),
            lambda: remove_mappings(self.instance, mappings_of(self.instance).asins, actor=None),
        )
        for number, write in enumerate(writes):
            self.assertEqual(self.cached(number), number)
            # It is cached: what else could be loaded is not looked at.
            self.assertEqual(self.cached(-1), number)
            with self.captureOnCommitCallbacks(execute=True):
                write()
            self.assertEqual(self.cached(number + 1), number + 1)

    def cached(self, loaded: int) -> int:
        return INSTANCE_CACHE.get_or_load(self.instance.pk, lambda: loaded)


class ConstraintTests(MappingTestCase):
    def refused(self, model: Any, **fields: Any) -> None:
        with self.assertRaises(IntegrityError), transaction.atomic():
            model.objects.create(brand=self.norda, **fields)

    def test_the_database_refuses_a_second_asin_in_any_case(self) -> None:
        BrandASIN.objects.create(brand=self.norda, asin=A)
        self.refused(BrandASIN, asin=A)
        self.refused(BrandASIN, asin=A.lower())

    def test_the_database_refuses_a_second_campaign_in_any_case(self) -> None:
        add_mappings(self.instance, self.campaigns("Ärmel"), actor=None)
        self.refused(BrandCampaign, kind=MappingKind.CAMPAIGN_NAME, value="ÄRMEL", folded="ärmel")

    def test_the_database_refuses_what_has_not_the_form(self) -> None:
        self.refused(BrandASIN, asin="A000000001")
        self.refused(BrandCampaign, kind=MappingKind.CAMPAIGN_ID, value="1" * 20, folded="1")
        self.refused(BrandCampaign, kind=MappingKind.CAMPAIGN_NAME, value="", folded="")
        self.refused(BrandCampaign, kind="asin", value=A, folded="x")

    def test_printed_books_are_mapped_by_their_isbn_10(self) -> None:
        for isbn in ("0306406152", "080442957X"):
            add_mappings(self.instance, self.asins(isbn), actor=None)
            self.assertTrue(BrandASIN.objects.filter(asin=isbn).exists())

    def test_mappings_go_with_their_brand(self) -> None:
        add_mappings(self.instance, [*self.asins(A), *self.campaigns("Summer")], actor=None)
        replace_brands(self.instance, ["Wellhome"], actor=None)
        self.assertEqual((BrandASIN.objects.count(), BrandCampaign.objects.count()), (0, 0))


class ReplaceTests(MappingTestCase):
    def setUp(self) -> None:
        super().setUp()
        add_mappings(
            self.instance,
            [*self.asins(A, B), *self.campaigns("Summer", "42"), *self.asins(A, brand=self.wellhome)],
            actor=None,
        )

    def test_only_the_brands_and_kinds_of_the_rows_are_replaced(self) -> None:
        changes = replace_mappings(self.instance, self.asins(C, B), actor=None)
        self.assertEqual(changes, Changes(added=1, removed=1, kept=1))
        self.assertEqual(
            self.stored(), [("Norda", B), ("Wellhome", A), ("Norda", C), ("Norda", "Summer"), ("Norda", "42")]
        )

    def test_rows_that_stay_keep_their_key_and_replacing_twice_changes_nothing(self) -> None:
        key = BrandASIN.objects.get(brand=self.norda, asin=B).pk
        replace_mappings(self.instance, self.asins(B, C), actor=None)
        self.assertEqual(BrandASIN.objects.get(brand=self.norda, asin=B).pk, key)
        self.assertEqual(replace_mappings(self.instance, self.asins(B, C), actor=None), Changes(kept=2))

    def test_another_spelling_of_a_name_takes_its_place(self) -> None:
        changes = replace_mappings(self.instance, self.campaigns("SUMMER", "42"), actor=None)
        self.assertEqual(changes, Changes(added=1, removed=1, kept=1))
        self.assertEqual(mapped_values(self.instance).campaign_names, ["SUMMER"])

    def test_preview_says_what_replacing_then_does(self) -> None:
        entries = [*self.asins(C, B), *self.campaigns("Winter"), *self.asins(A, brand=self.wellhome)]
        preview = preview_replace(self.instance, entries)
        self.assertEqual(
            [(g.brand.name, g.is_asins, g.added, g.removed, g.kept, g.after) for g in preview.groups],
            [
                ("Norda", True, [C], [A], 1, 2),
                ("Norda", False, ["Winter"], ["Summer", "42"], 0, 1),
                ("Wellhome", True, [], [], 1, 1),
            ],
        )
        done = replace_mappings(self.instance, entries, fingerprint=preview.fingerprint, actor=None)
        self.assertEqual(done, preview.changes)

    def test_what_changed_since_the_preview_is_not_replaced(self) -> None:
        preview = preview_replace(self.instance, self.asins(C))
        add_mappings(self.instance, self.campaigns("Winter"), actor=None)
        add_mappings(self.instance, self.asins(B, brand=self.wellhome), actor=None)
        # Neither belongs to what is replaced.
        self.assertEqual(preview_replace(self.instance, self.asins(C)).fingerprint, preview.fingerprint)
        add_mappings(self.instance, self.asins("B00000000D"), actor=None)
        before = self.stored()
        with self.assertRaisesMessage(InvalidStateError, "have changed"):
            replace_mappings(self.instance, self.asins(C), fingerprint=preview.fingerprint, actor=None)
        self.assertEqual(self.stored(), before)

    def test_a_failure_half_way_leaves_everything_as_it_was(self) -> None:
        before = self.stored()
        # The rows to remove are gone and the good ASIN is in when the database refuses the last one.
        with self.assertRaises(IntegrityError), transaction.atomic():
            replace_mappings(
                self.instance,
                [*self.asins(C), Entry(self.norda.pk, MappingKind.CAMPAIGN_ID, "1" * 20)],
                actor=None,
            )
        self.assertEqual(self.stored(), before)


class RemoveTests(MappingTestCase):
    def test_removing_is_limited_to_the_instance_and_can_be_repeated(self) -> None:
        add_mappings(self.instance, self.asins(A, B), actor=None)
        add_mappings(self.secret.instance, self.asins(A, brand=self.secret), actor=None)
        rows = BrandASIN.objects.filter(asin=A)
        self.assertEqual(remove_mappings(self.instance, rows, actor=None), 1)
        self.assertEqual(remove_mappings(self.instance, rows, actor=None), 0)
        self.assertEqual(self.stored(), [("Norda", B)])
        self.assertEqual(BrandASIN.objects.filter(brand=self.secret).count(), 1)


class ReadTests(MappingTestCase):
    def setUp(self) -> None:
        super().setUp()
        add_mappings(self.instance, [*self.asins(B, A), *self.campaigns("Summer", LONG_ID)], actor=None)
        add_mappings(self.instance, self.asins(A, C, brand=self.wellhome), actor=None)
        add_mappings(self.instance, self.campaigns("Winter", "Summer", brand=self.wellhome), actor=None)

    def test_values_come_in_stored_order_and_once(self) -> None:
        with self.assertNumQueries(2):
            values = mapped_values(self.instance)
        self.assertEqual(values.asins, [B, A, C])
        self.assertEqual(values.campaign_ids, [LONG_ID])
        self.assertEqual(values.campaign_names, ["Summer", "Winter"])
        self.assertEqual(values.campaigns, ["Summer", LONG_ID, "Winter"])

    def test_values_of_one_brand(self) -> None:
        values = mapped_values(self.instance, self.wellhome)
        self.assertEqual((values.asins, values.campaigns), ([A, C], ["Winter", "Summer"]))
        self.assertEqual(mapped_values(self.instance, self.secret).asins, [])

    def test_counts_by_brand(self) -> None:
        with self.assertNumQueries(3):
            counts = count_by_brand(self.instance)
        self.assertEqual(
            [(row.brand.name, *row.kinds.values(), row.campaigns) for row in counts],
            [("Norda", 2, 1, 1, 2), ("Wellhome", 2, 0, 2, 2)],
        )

    def test_search(self) -> None:
        found = mappings_of(self.instance)
        for text in ("00b 00c", f"{B}, {C}", "“00b”|\u200b00c", f"https://www.amazon.com/dp/{B}?th=1 {C}"):
            self.assertEqual([str(row) for row in found.asins.search(text)], [B, C])
        self.assertEqual([str(row) for row in found.asins.search(" , ")], [])
        self.assertEqual(found.asins.search(" ").count(), 4)
        self.assertEqual([str(row) for row in found.campaigns.search("MM su")], ["Summer", "Summer"])
        self.assertEqual([str(row) for row in found.campaigns.search("%")], [])

    def test_export_reads_back_as_it_was(self) -> None:
        campaigns = self.campaigns("=1+1", "'=x", '"quoted", with comma', "-5", "@x", "'plain")
        add_mappings(self.instance, campaigns, actor=None)
        before = mapped_values(self.instance)
        text = "".join(export_rows(self.instance))
        cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
        self.assertEqual([cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))], [])
        self.assertIn("'=1+1", cells)
        entries, errors = assign_brands(self.instance, parse_csv(text, PasteKind.ASINS))
        self.assertEqual(errors, [])
        self.assertEqual(preview_replace(self.instance, entries).changes, Changes(kept=14))
        remove_mappings(self.instance, mappings_of(self.instance).asins, actor=None)
        remove_mappings(self.instance, mappings_of(self.instance).campaigns, actor=None)
        add_mappings(self.instance, entries, actor=None)
        after = mapped_values(self.instance)
        self.assertEqual((after.asins, after.campaigns), (before.asins, before.campaigns))


class BrandAssignmentTests(MappingTestCase):
    def test_brands_of_lines_are_found_in_any_case_and_others_named(self) -> None:
        reading = parse_csv(f"asin,brand\n{A},norda\n{B},\n{C},Secret\nB1,Norda", PasteKind.ASINS)
        entries, errors = assign_brands(self.instance, reading, self.wellhome)
        self.assertEqual(entries, [*self.asins(A), *self.asins(B, brand=self.wellhome)])
        self.assertEqual([(error.line, error.value) for error in errors], [(4, "Secret"), (5, "B1")])

    def test_a_line_without_any_brand_is_an_error(self) -> None:
        entries, (error,) = assign_brands(self.instance, parse_asins(A))
        self.assertEqual((entries, error.line, error.value), ([], 1, A))


class StatementTests(MappingTestCase):
    """The number of statements depends on batches, not on rows."""

    def statements(self, act: Any, *args: Any, **options: Any) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            act(self.instance, *args, **options)
        beginnings = [" ".join(query["sql"].split()[:3]) for query in captured]
        return [words for words in beginnings if "SAVEPOINT" not in words]

    def many(self, count: int, start: int = 0) -> list[Entry]:
        return self.asins(*(f"B{number:09d}" for number in range(start, start + count)))

    def test_three_rows_or_three_thousand_cost_the_same(self) -> None:
        writers: list[Any] = [partial(write, actor=None) for write in (add_mappings, replace_mappings)]
        for act in (*writers, preview_replace):
            costs = []
            for count in (3, 3_000):
                BrandASIN.objects.all().delete()
                add_mappings(self.instance, self.many(count, start=900_000), actor=None)
                costs.append(self.statements(act, self.many(count)))
            with self.subTest(str(act)):
                self.assertEqual(*costs)
                self.assertLess(len(costs[0]), 16)

    def test_removing_everything_costs_what_removing_one_costs(self) -> None:
        costs = []
        for count in (1, 3_000):
            add_mappings(self.instance, self.many(count), actor=None)
            costs.append(self.statements(remove_mappings, mappings_of(self.instance).asins, actor=None))
        self.assertEqual(*costs)
        self.assertEqual(BrandASIN.objects.count(), 0)

    def test_fifty_thousand_rows_go_in_batches(self) -> None:
        statements = self.statements(add_mappings, self.many(50_000), actor=None)
        self.assertEqual(statements.count('INSERT INTO "brand_asins"'), 10)
        statements = self.statements(replace_mappings, self.many(1, start=60_000), actor=None)
        self.assertEqual(statements.count('DELETE FROM "brand_asins"'), 10)
        self.assertEqual(self.stored(), [("Norda", "B000060000")])
