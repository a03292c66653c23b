"""Templates and mappings of another user: every address, every method, through their instance and one's own."""

from __future__ import annotations

from typing import Any

from django.urls import get_resolver, reverse

from instances.forms.mappings import stage
from instances.models import AMCInstance, InstanceBrand, MappingKind
from instances.services.mappings import Entry, add_mappings, preview_replace
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template, update_template
from tests.addresses import own_url_names
from tests.base import CastTestCase, everything
from tests.factories import InstanceFactory

LOOKING = {"templates:template-list", "templates:template-detail", "templates:template-versions"}
OFFERED = (
    "templates:template-create", "templates:template-update", "templates:template-copy", "templates:template-archive",
    "templates:template-delete", "templates:template-restore", "schedules:run-start",
)  # fmt: skip
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
SQL = "SELECT campaign, SUM(clicks) AS c FROM dsp_clicks WHERE campaign = {{word}} GROUP BY 1"


def address_names() -> list[str]:
    """Return the name of every address of templates and mappings that belongs to an instance."""
    names = set(own_url_names(get_resolver().url_patterns)) - {"templates:template-suggestions"}
    return sorted(
        n for n in names if n.startswith(("templates:template-", "instances:mapping-", "schedules:run-"))
    )


class ForeignAccessTests(CastTestCase):
    instance: AMCInstance
    own: AMCInstance
    template: InstanceTemplate
    posted: dict[str, Any]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.instance = InstanceFactory.create(account__connection__user=cls.alice)
        cls.own = InstanceFactory.create(account__connection__user=cls.charlie)
        cls.template = create_template(actor=cls.alice, instance=cls.instance, content=cls.content("First"))
        update_template(actor=cls.alice, template=cls.template, content=cls.content("Second"), version=1)
        brand = InstanceBrand.objects.create(instance=cls.instance, name="Trail", folded="trail")
        add_mappings(cls.instance, [Entry(brand.pk, MappingKind.ASIN, "B0TESTAAA1")], actor=None)
        entries = [Entry(brand.pk, MappingKind.ASIN, "B0TESTAAA2")]
        staged = stage(cls.instance, entries, preview_replace(cls.instance, entries).fingerprint)
        # What would change something at every address, if only it were let in.
        cls.posted = {
            "name": "Stolen", "source_sql": SQL, "value:word": "x", "version": "2", "action": "save", "archived": "1",
            "instance": str(cls.own.pk), "brand": str(brand.pk), "kinds": "asins", "text": "B0TESTAAA3",
            "staged": staged, "all": "1", "count": "1", "kind": "asin",
        }  # fmt: skip

    @staticmethod
    def content(name: str) -> Content:
        return Content(name=name, source_sql=SQL, parameter_values={"word": name})

    def address(self, name: str, instance: AMCInstance) -> str:
        args: list[Any] = [instance.pk]
        if name in ("schedules:run-start",) or name.removeprefix("templates:template-") in (
            "detail", "update", "copy", "archive", "delete", "versions", "restore"
        ):  # fmt: skip
            args.append(self.template.template_id)
        if name == "templates:template-restore":
            args.append(1)
        return reverse(name, args=args)

    def answers(self, instance: AMCInstance) -> dict[tuple[str, str], int]:
        return {
            (name, method): getattr(self.client, method)(
                self.address(name, instance), self.posted if method == "post" else None
            ).status_code
            for name in address_names()
            for method in METHODS
        }

    def test_a_foreign_instance_is_not_there_whatever_the_method(self) -> None:
        before = everything()
        for person in (self.charlie, self.sam):
            self.client.force_login(person)
            wrong = {
                key: status for key, status in self.answers(self.instance).items() if status not in (404, 405)
            }
            self.assertEqual(wrong, {})
        self.assertEqual(everything(), before)

    def test_a_foreign_template_is_not_there_through_an_own_instance(self) -> None:
        before = everything()
        self.client.force_login(self.charlie)
        wrong = {
            (name, method): status
            for (name, method), status in self.answers(self.own).items()
            if self.template.template_id in self.address(name, self.own)
            if status not in (404, 405)
        }
        self.assertEqual(wrong, {})
        stolen = InstanceTemplate.objects.filter(instance=self.own)
        # Only the new template that was posted to the own instance is there.
        self.assertEqual([template.name for template in stolen], ["Stolen"])
        stolen.delete()
        self.assertEqual(everything(), before)

    def test_the_owner_is_let_in_everywhere(self) -> None:
        """The same requests do something: the other tests would pass for addresses that do not exist."""
        for name in address_names():
            statuses = {getattr(self.client, method)(self.address(name, self.instance)).status_code
                        for method in ("get", "post")}  # fmt: skip
            self.assertTrue(statuses & {200, 302}, name)
            InstanceTemplate.objects.filter(pk=self.template.pk).delete()
            self.template = create_template(
                actor=self.alice, instance=self.instance, content=self.content("Again")
            )

    def test_a_copy_of_a_foreign_template_starts_empty(self) -> None:
        self.client.force_login(self.charlie)
        address = self.address("templates:template-create", self.own)
        response = self.client.get(f"{address}?from={self.template.template_id}")
        self.assertNotContains(response, "SUM(clicks)")
        self.assertNotContains(response, "Second")

    def test_who_may_look_sees_pages_without_actions_and_changes_nothing(self) -> None:
        before = everything()
        self.client.force_login(self.bob)
        with self.bob_sees():
            for name in LOOKING:
                page = self.client.get(self.address(name, self.instance))
                self.assertContains(page, "Second")
                for action in OFFERED:
                    self.assertNotContains(page, self.address(action, self.instance))
            self.assert_refused()
        self.assertEqual(everything(), before)

    def test_the_owner_is_offered_the_same_actions(self) -> None:
        """They are what the test above does not find."""
        pages = [self.client.get(self.address(name, self.instance)).content.decode() for name in LOOKING]
        for action in OFFERED:
            self.assertTrue(any(self.address(action, self.instance) in page for page in pages), action)

    def test_what_may_not_be_edited_is_not_edited(self) -> None:
        before = everything()
        with self.nobody_may("editable_by", "runnable_by"):
            self.assert_refused()
        self.assertEqual(everything(), before)

    def test_what_is_not_visible_is_not_there(self) -> None:
        with self.nobody_may("visible_to", "editable_by", "runnable_by", "owned_by"):
            wrong = {
                key: status
                for key, status in self.answers(self.instance).items()
                if key[0].startswith("templates:") and status not in (404, 405)
            }
        self.assertEqual(wrong, {})

    def test_copies_go_to_instances_one_may_edit(self) -> None:
        address = self.address("templates:template-copy", self.instance)
        bobs = InstanceFactory.create(account__connection__user=self.bob)
        offered = self.client.get(f"{reverse('instances:instance-suggestions')}?to=copy")
        self.assertContains(offered, self.instance.instance_id)
        self.assertNotContains(offered, bobs.instance_id)
        for asked in (str(bobs.pk), bobs.instance_id, bobs.name):
            response = self.client.post(address, {"instance": asked})
            self.assertContains(response, "No instance that can be chosen here")

    def assert_refused(self) -> None:
        """Ask every address that changes templates, or is part of the editor, as the user who is signed in."""
        for name in address_names():
            if not name.startswith("templates:") or name in LOOKING:
                continue
            for method in ("get", "post"):
                with self.subTest(name, method=method):
                    data = self.posted if method == "post" else None
                    response = getattr(self.client, method)(self.address(name, self.instance), data)
                    if response.status_code != 405:
                        self.assertContains(response, "but not change it", status_code=403)
