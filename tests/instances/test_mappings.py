"""Mappings are added, replaced and removed as a whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from amchelper.busy import BusyError
from amchelper.exceptions import InvalidStateError
from instances.models import AMCInstance, BrandASIN, BrandCampaign, InstanceBrand, MappingChange, MappingKind
from instances.services import mapping_changes
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
from tests.transactions import MAX_ROWS, recorded_transactions

A, B, C = "B00000000A", "B00000000B", "B00000000C"
LONG_ID = "9223372036854775807"


class MappingTestCase(CastTestCase):
    """Alice's instance with the brands Norda and Wellhome, Charlie's with Secret."""

    instance: AMCInstance
    norda: InstanceBrand
    wellhome: InstanceBrand
    foreign: AMCInstance
    secret: InstanceBrand

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.instance = InstanceFactory.create(account__connection__user=cls.alice)
        replace_brands(cls.instance, ["Norda", "Wellhome"], actor=None)
        cls.norda, cls.wellhome = InstanceBrand.objects.filter(instance=cls.instance).order_by("name")
        cls.foreign = InstanceFactory.create(account__connection__user=cls.charlie)
        replace_brands(cls.foreign, ["Secret"], actor=None)
        cls.secret = InstanceBrand.objects.get(instance=cls.foreign)

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
        with self.captureOnCommitCallbacks(execute=True):
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
        add_mappings(self.foreign, self.asins(A, brand=self.secret), actor=None)
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

    def test_export_comes_in_pieces_of_many_lines(self) -> None:
        whole = "".join(export_rows(self.instance))
        with mock.patch("instances.services.mappings.LINES_AT_ONCE", 3), self.assertNumQueries(2):
            pieces = list(export_rows(self.instance))
        self.assertEqual("".join(pieces), whole)
        self.assertEqual({piece.count("\r\n") for piece in pieces[:-1]}, {3})

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


class TransactionTests(MappingTestCase):
    """However many rows change, each transaction writes few, and nobody sees a part of it."""

    def many(self, count: int, start: int = 0) -> list[Entry]:
        return self.asins(*(f"B{number:09d}" for number in range(start, start + count)))

    def test_no_transaction_grows_with_the_rows(self) -> None:
        writes: dict[str, Callable[[], object]] = {
            "add": lambda: add_mappings(self.instance, self.many(9_000), actor=None),
            "replace": lambda: replace_mappings(self.instance, self.many(9_000, start=4_000), actor=None),
            "remove": lambda: remove_mappings(self.instance, mappings_of(self.instance).asins, actor=None),
        }
        for name, write in writes.items():
            with self.subTest(name), recorded_transactions() as log:
                write()
                self.assertGreater(log.rows, 8_000)
                self.assertLessEqual(log.most_rows, MAX_ROWS)
                self.assertLess(log.most_statements, 10)
        self.assertEqual(BrandASIN.objects.count(), 0)

    def test_what_is_mapped_to_a_removed_brand_goes_in_small_transactions_too(self) -> None:
        add_mappings(self.instance, [*self.many(9_000), *self.asins(A, brand=self.wellhome)], actor=None)
        with recorded_transactions() as log, self.captureOnCommitCallbacks(execute=True):
            replace_brands(self.instance, ["Wellhome"], actor=None)
        self.assertLessEqual(log.most_rows, MAX_ROWS)
        self.assertEqual(list(BrandASIN.objects.values_list("asin", flat=True)), [A])
        self.assertEqual(InstanceBrand.objects.filter(name="Norda").count(), 0)

    def test_only_rows_that_differ_are_written(self) -> None:
        add_mappings(self.instance, self.many(3_000), actor=None)
        with recorded_transactions() as log:
            replace_mappings(self.instance, self.many(3_000, start=1), actor=None)
        # One is marked and then removed, one added; the rest is the change's own row.
        self.assertLess(log.rows, 20)

    def test_readers_see_all_of_a_change_or_nothing(self) -> None:
        add_mappings(self.instance, self.many(3_000), actor=None)
        before, seen = mapped_values(self.instance).asins, set()

        def look(execute: Any, sql: str, *args: Any) -> Any:
            result = execute(sql, *args)
            if sql.startswith(("INSERT", "UPDATE", "DELETE")) and "brand_asins" in sql:
                seen.add(tuple(mapped_values(self.instance).asins))
            return result

        with connection.execute_wrapper(look):
            replace_mappings(self.instance, self.many(3_000, start=1_500), actor=None)
        self.assertEqual(seen, {tuple(before), tuple(mapped_values(self.instance).asins)})
        self.assertEqual(mapped_values(self.instance).asins, [e.value for e in self.many(3_000, start=1_500)])


class ChangeTests(MappingTestCase):
    """One change at a time; one whose writer died never happened."""

    def left_behind(self) -> None:
        """Write half of a change, as a process that is killed does."""
        claim = mapping_changes._begin(self.instance, self.alice)
        claim.remove(BrandASIN, list(BrandASIN.objects.filter(asin=A).values_list("pk", flat=True)))
        claim.add([BrandASIN(brand=self.norda, asin=C)])

    def lease_ends(self) -> None:
        MappingChange.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    def setUp(self) -> None:
        super().setUp()
        add_mappings(self.instance, [*self.asins(A, B), *self.campaigns("Summer")], actor=None)

    def test_half_a_change_is_not_seen(self) -> None:
        self.left_behind()
        self.assertEqual(mapped_values(self.instance).asins, [A, B])
        self.assertEqual([row.kinds["asin"] for row in count_by_brand(self.instance)], [2, 0])
        self.assertNotIn(C, "".join(export_rows(self.instance)))
        self.lease_ends()
        self.assertEqual(mapped_values(self.instance).asins, [A, B])

    def test_the_next_change_undoes_it(self) -> None:
        self.left_behind()
        self.lease_ends()
        changes = replace_mappings(self.instance, self.asins(B, C), actor=None)
        self.assertEqual(changes, Changes(added=1, removed=1, kept=1))
        self.assertEqual(mapped_values(self.instance).asins, [B, C])
        self.assertEqual((BrandASIN.objects.count(), MappingChange.objects.count()), (2, 0))

    def test_the_sweep_undoes_it(self) -> None:
        self.left_behind()
        mapping_changes.sweep()
        self.assertEqual((BrandASIN.objects.count(), MappingChange.objects.count()), (3, 1))
        self.lease_ends()
        mapping_changes.sweep()
        self.assertEqual((BrandASIN.objects.count(), MappingChange.objects.count()), (2, 0))
        self.assertEqual(mapped_values(self.instance).asins, [A, B])

    def test_rows_that_a_finished_change_could_not_remove_are_swept(self) -> None:
        with self.assertRaises(KilledError), self.when('"brand_asins"."removed_in" = ', raises(KilledError)):
            replace_mappings(self.instance, self.asins(B), actor=None)
        # It can be mapped again at once.
        add_mappings(self.instance, self.asins(A), actor=None)
        self.assertEqual((BrandASIN.objects.count(), mapped_values(self.instance).asins), (3, [B, A]))
        mapping_changes.sweep()
        self.assertEqual((BrandASIN.objects.count(), mapped_values(self.instance).asins), (2, [B, A]))

    def test_a_second_change_waits_and_then_says_so(self) -> None:
        self.left_behind()
        with mock.patch.object(mapping_changes, "WAIT_SECONDS", 0.0), self.assertRaises(BusyError):
            add_mappings(self.instance, self.asins(C), actor=None)
        other = InstanceFactory.create(account=self.instance.account)
        self.assertEqual(add_mappings(other, [], actor=None), Changes())

    def test_a_writer_that_was_taken_over_saves_nothing(self) -> None:
        def take_over() -> None:
            MappingChange.objects.update(leased_by="another")

        with self.assertRaises(BusyError), self.when('UPDATE "brand_asins"', take_over):
            replace_mappings(self.instance, self.asins(C), actor=None)
        self.lease_ends()
        mapping_changes.sweep()
        self.assertEqual(mapped_values(self.instance).asins, [A, B])

    def test_a_brand_is_not_removed_under_a_change(self) -> None:
        self.left_behind()
        with self.assertRaises(BusyError):
            replace_brands(self.instance, ["Wellhome"], actor=None)
        replace_brands(self.instance, ["Norda", "Wellhome", "New"], actor=None)
        self.assertEqual(InstanceBrand.objects.filter(instance=self.instance).count(), 3)

    def test_an_instance_that_is_gone_is_said(self) -> None:
        instance = AMCInstance.objects.get(pk=self.instance.pk)
        AMCInstance.objects.filter(pk=instance.pk).delete()
        # Tests look at foreign keys at their end only.
        gone = self.when('INSERT INTO "mapping_changes"', raises(IntegrityError))
        with gone, self.assertRaisesMessage(InvalidStateError, "deleted meanwhile"):
            add_mappings(instance, [], actor=None)

    @contextmanager
    def when(self, words: str, act: Callable[[], object]) -> Iterator[None]:
        """Do something before each statement with these words."""

        def see(execute: Any, sql: str, *args: Any) -> Any:
            if words in sql:
                act()
            return execute(sql, *args)

        with connection.execute_wrapper(see):
            yield


class KilledError(BaseException):
    """The process died here."""


def raises(error: type[BaseException]) -> Callable[[], object]:
    """Return something that ends in this error."""

    def act() -> None:
        raise error

    return act
