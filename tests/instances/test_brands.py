"""Brands are replaced as a set."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from instances.errors import InvalidInstanceConfiguration
from instances.models import InstanceBrand
from instances.services.brands import clean_names, replace_brands, suggest_brands
from tests.base import CastTestCase
from tests.factories import AccountFactory, InstanceFactory


class BrandTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        account = AccountFactory.create(connection__user=self.alice)
        self.instance = InstanceFactory.create(account=account)

    def rows(self) -> dict[str, int]:
        return {brand.name: brand.pk for brand in InstanceBrand.objects.filter(instance=self.instance)}

    def test_names_are_trimmed_and_white_space_collapsed(self) -> None:
        self.assertEqual(clean_names(["  Rösterei \t Nord ", "", "   "]), ["Rösterei Nord"])

    def test_a_hundred_characters_are_fine_and_one_more_is_named(self) -> None:
        self.assertEqual(len(clean_names(["x" * 100])), 1)
        with self.assertRaisesMessage(InvalidInstanceConfiguration, "“Longname"):
            clean_names(["Fine", "Longname" * 20])

    def test_all_names_that_are_too_long_are_told_at_once(self) -> None:
        names = ["Fine", "First" * 30, "Second" * 30, "First" * 30]
        said = "“FirstFirstFirstFirstFirstFirstFirstFirst…” has 150 characters, “SecondSecond"
        with self.assertRaisesMessage(InvalidInstanceConfiguration, said) as caught:
            clean_names(names)
        self.assertTrue(caught.exception.message.endswith("has 180 characters; a brand has at most 100."))
        many = [f"{number:03}" * 40 for number in range(25)]
        with self.assertRaisesMessage(InvalidInstanceConfiguration, ", 15 more are too long; a brand has at most"):
            clean_names(many)

    def test_names_that_differ_in_case_or_white_space_are_one_in_the_first_spelling(self) -> None:
        for typed, kept in (
            (["Foo", "foo"], ["Foo"]),
            (["Straße", "STRASSE", "Norda"], ["Straße", "Norda"]),
            ([" foo  bar", "Foo Bar ", "FOO BAR"], ["foo bar"]),
            # The same letter, composed and decomposed.
            (["Caf\u00e9", "Cafe\u0301"], ["Caf\u00e9"]),
        ):
            with self.subTest(typed):
                self.assertEqual(clean_names(typed), kept)
        replace_brands(self.instance, ["Foo", "foo"], actor=None)
        self.assertEqual(set(self.rows()), {"Foo"})

    def test_rows_that_stay_keep_their_key(self) -> None:
        replace_brands(self.instance, ["Norda", "Wellhome"], actor=None)
        before = self.rows()
        replace_brands(self.instance, ["Norda", "GreenLeaf"], actor=None)
        after = self.rows()
        self.assertEqual(set(after), {"Norda", "GreenLeaf"})
        self.assertEqual(after["Norda"], before["Norda"])

    def test_other_spelling_of_a_present_brand_renames_it(self) -> None:
        replace_brands(self.instance, ["norda"], actor=None)
        before = self.rows()["norda"]
        replace_brands(self.instance, ["Norda"], actor=None)
        self.assertEqual(self.rows(), {"Norda": before})

    def test_a_bad_name_changes_nothing(self) -> None:
        replace_brands(self.instance, ["Norda"], actor=None)
        with self.assertRaises(InvalidInstanceConfiguration):
            replace_brands(self.instance, ["Wellhome", "x" * 101], actor=None)
        self.assertEqual(set(self.rows()), {"Norda"})

    def test_the_database_refuses_a_second_spelling(self) -> None:
        replace_brands(self.instance, ["Norda"], actor=None)
        with self.assertRaises(IntegrityError), transaction.atomic():
            InstanceBrand.objects.create(instance=self.instance, name="NORDA", folded="norda")

    def test_suggestions_are_the_users_own(self) -> None:
        replace_brands(self.instance, ["Norda", "Ärmel"], actor=None)
        other = AccountFactory.create(connection__user=self.charlie)
        replace_brands(InstanceFactory.create(account=other), ["Secret"], actor=None)
        self.assertEqual(suggest_brands(self.alice), ["Norda", "Ärmel"])
        self.assertEqual(self.client.get("/instances/brands/?q=ÄRM").json(), {"brands": ["Ärmel"]})
        self.assertEqual(self.client.get("/instances/brands/?q=secret").json(), {"brands": []})
