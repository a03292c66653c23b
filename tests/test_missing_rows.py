"""What is not there, or no longer: a page that says so and leads on, with nothing typed lost."""

from __future__ import annotations

from uuid import uuid4

from django.test import override_settings
from django.urls import reverse

from amchelper.dependents import delete_with_dependents
from instances.models import AMCInstance
from templates_app.models import InstanceTemplate
from tests.factories import AccountFactory
from tests.templates_app.test_template_pages import TemplateTestCase


class MissingRowTests(TemplateTestCase):
    def test_page_names_the_kind_and_leads_to_where_such_rows_are_listed(self) -> None:
        here = self.instance.pk
        for name, args, noun, way_on in (
            ("templates:template-detail", [here, "tpl_inst_000000000000"], "template", "templates:template-list"),
            (
                "templates:template-detail",
                [uuid4(), "tpl_inst_000000000000"],
                "instance",
                "instances:instance-list",
            ),
            ("instances:instance-detail", [uuid4()], "instance", "instances:instance-list"),
            ("instances:connection-detail", [uuid4()], "connection", "instances:connection-list"),
            ("instances:account-delete", [uuid4()], "account", "instances:connection-list"),
            ("instances:check-detail", [uuid4()], "health check", "instances:health-list"),
            ("executions:execution-detail", [uuid4()], "run", "executions:execution-list"),
            ("schedules:schedule-detail", ["sched_000000000000"], "schedule", "schedules:schedule-list"),
        ):
            for debug in (False, True):
                with self.subTest(name, noun=noun, debug=debug), override_settings(DEBUG=debug):
                    page = self.client.get(reverse(name, args=args))
                    self.assertContains(page, f"There is no such {noun}.", status_code=404)
                    to = reverse(way_on, args=[here] if noun == "template" else [])
                    self.assertContains(page, f'<a class="btn btn-primary" href="{to}">', status_code=404)

    def test_what_belongs_to_somebody_else_reads_the_same(self) -> None:
        pages = []
        for pk in (self.foreign.pk, uuid4()):
            page = self.client.get(reverse("templates:template-list", args=[pk]))
            pages.append(page.content.decode().replace(str(pk), ""))
        self.assertEqual(*(page.split('<main id="main"')[1] for page in pages))

    def test_address_that_never_was_leads_home(self) -> None:
        page = self.client.get("/nowhere/")
        self.assertContains(page, "There is nothing at this address", status_code=404)


class DeletedUnderTheFormTests(TemplateTestCase):
    def test_template_that_is_gone_leaves_what_was_typed_to_be_saved_as_a_new_one(self) -> None:
        template = self.template()
        delete_with_dependents(InstanceTemplate.objects.all(), actor=None)
        form = self.form(name="Typed with care", version=1)
        page = self.client.post(self.url("update", template.template_id), form)
        for kept in (
            "This template was deleted meanwhile.",
            'value="Typed with care"',
            'value="Trail"',
            "{{word}}",
        ):
            self.assertContains(page, kept, status_code=404)
        address = self.url("create")
        self.assertContains(page, f'action="{address}"', status_code=404)
        self.client.post(address, form)
        self.assertEqual(InstanceTemplate.objects.get().name, "Typed with care")

    def test_instance_that_is_gone_leaves_what_was_typed_to_be_added_again(self) -> None:
        account = AccountFactory.create(connection__user=self.alice)
        url = reverse("instances:instance-update", args=[self.instance.pk])
        delete_with_dependents(AMCInstance.objects.filter(pk=self.instance.pk), actor=None)
        form = {
            "name": "Typed with care", "account": str(account.pk), "instance_id": "amcagain01", "action": "draft",
        }  # fmt: skip
        page = self.client.post(url, form)
        self.assertContains(page, "This instance was deleted meanwhile.", status_code=404)
        self.assertContains(page, 'value="Typed with care"', status_code=404)
        self.assertContains(self.htmx_post(url, form), "This instance was deleted meanwhile.")
        address = reverse("instances:instance-create")
        self.assertContains(page, f'action="{address}"', status_code=404)
        self.client.post(address, form)
        self.assertEqual(AMCInstance.objects.get(user=self.alice).name, "Typed with care")
