"""Inputs that suggest rows: no page holds all of them, and without JavaScript they are text."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from django.urls import reverse
from django.utils import timezone

from instances.models import AMCInstance, InstanceBrand
from instances.models.instance import SUGGESTIONS
from tests.executions.test_newest import LIST, HistoryTestCase
from tests.factories import AccountFactory, InstanceFactory
from tests.schedules.base import make_template

INSTANCES, TEMPLATES, BRANDS = (
    reverse(name)
    for name in ("instances:instance-suggestions", "templates:template-suggestions", "instances:brand-suggestions")
)


class SuggestionTests(HistoryTestCase):
    def options(self, address: str) -> list[str]:
        text = self.htmx_get(address).content.decode()
        return [part.split('"')[0] for part in text.split('<option value="')[1:]]

    def test_instances_by_name_and_amc_id(self) -> None:
        account = AccountFactory.create(connection__user=self.alice)
        for name, amc_id in (("Trail", "amcone"), ("Norda", "amctrail2"), ("Other", "amcthree")):
            InstanceFactory.create(account=account, name=name, instance_id=amc_id)
        InstanceFactory.create(account__connection__user=self.charlie, name="Trail of Charlie")
        self.assertEqual(self.options(f"{INSTANCES}?instance=TRAIL"), ["Norda (amctrail2)", "Trail (amcone)"])
        self.assertEqual(self.options(f"{INSTANCES}?instance={quote('Trail (amcone)')}"), ["Trail (amcone)"])
        self.assertEqual(len(self.options(INSTANCES)), 3)
        self.assertEqual(self.options(f"{INSTANCES}?instance=secret"), [])

    def test_templates_and_brands_each_once(self) -> None:
        one, two = self.instances(self.alice, 2)
        for instance in (one, two):
            make_template(self.alice, instance)
            for name in ("Norda", "Trail"):
                spelled = name if instance is one else name.upper()
                InstanceBrand.objects.create(instance=instance, name=spelled, folded=name.lower())
        make_template(self.charlie)
        self.assertEqual(self.options(f"{TEMPLATES}?template=REA"), ["Reach"])
        self.assertEqual(self.options(f"{TEMPLATES}?template=spend"), [])
        self.assertEqual([name.lower() for name in self.options(BRANDS)], ["norda", "trail"])
        self.assertEqual([name.lower() for name in self.options(f"{BRANDS}?brand=Rai")], ["trail"])

    def test_few_are_suggested_and_none_of_them_is_in_a_page(self) -> None:
        template = make_template(self.alice, self.instances(self.alice, 1)[0])
        account = template.instance.account
        copy = reverse("templates:template-copy", args=[template.instance_id, template.template_id])
        pages = [LIST, reverse("schedules:schedule-list"), copy]
        self.ended([template.instance], [float(age) for age in range(30)])
        sizes = []
        for count in (10, 300):
            AMCInstance.objects.bulk_create(
                InstanceFactory.build(account=account, user=self.alice, instance_id=f"amcmany{count}x{number}")
                for number in range(count)
            )
            sizes.append([len(self.client.get(page).content) for page in pages])
        self.assertEqual(sizes[0], sizes[1])
        self.assertEqual(len(self.options(INSTANCES)), SUGGESTIONS)


class RunFilterTests(HistoryTestCase):
    def setUp(self) -> None:
        super().setUp()
        account = AccountFactory.create(connection__user=self.alice)
        self.one, self.two = (
            InstanceFactory.create(account=account, name=name, instance_id=amc_id)
            for name, amc_id in (("Trail", "amcone"), ("Norda", "amctwo"))
        )
        self.old = self.ended([self.one], [72.0])[0]
        self.new = self.ended([self.two], [1.0])[0]
        InstanceFactory.create(account__connection__user=self.charlie, name="Secret")

    def keys(self, filters: str) -> list[object]:
        return [run.pk for run in self.client.get(f"{LIST}?{filters}").context["page"]]

    def test_by_instance_template_and_days(self) -> None:
        today = timezone.now().date()
        template = self.old.template
        assert template is not None
        both, old, new = [self.new.pk, self.old.pk], [self.old.pk], [self.new.pk]
        for filters, expected in (
            ("instance=tra", old),
            ("instance=AMCTWO", new),
            (f"instance={quote('Trail (amcone)')}", old),
            (f"instance={self.two.pk}", new),
            ("instance=amc", both),
            ("template=reach", both),
            ("template=spend", []),
            (f"template={template.template_id}", old),
            (f"since={today - timedelta(days=2)}", new),
            (f"until={today - timedelta(days=2)}", old),
            (f"since={today - timedelta(days=4)}&until={today}", both),
            ("since=yesterday&until=2026-99-99", both),
        ):
            with self.subTest(filters):
                self.assertEqual(self.keys(filters), expected)

    def test_text_that_names_no_instance_is_said_to(self) -> None:
        for text in ("Secret", "nowhere"):
            page = self.client.get(f"{LIST}?instance={text}")
            self.assertContains(page, f"No instance has “{text}” in its name or AMC ID.")
            self.assertContains(page, f'value="{text}"')
        self.assertContains(self.client.get(f"{LIST}?template=nowhere"), "Try fewer words or other filters.")

    def test_days_at_the_ends_of_the_calendar(self) -> None:
        both = [self.new.pk, self.old.pk]
        self.assertEqual(self.keys("since=0001-01-01&until=9999-12-31"), both)
        self.assertEqual(self.keys("since=9999-12-31"), [])
