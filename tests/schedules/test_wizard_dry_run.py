"""The review can let AMC check the SQL without running it."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from executions.models import Execution
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template, update_template
from tests.base import flat
from tests.executions.base import ExecutionTestCase

BROKEN = "SELECT campaign, SUM(impressions) AS i\nFROM dsp_impressions\nWHERE {{text}} = nowhere GROUP BY 1"


class DryRunTests(ExecutionTestCase):
    def to_review(self, template: InstanceTemplate | None = None, kind: str = "once") -> None:
        """Go through the wizard's first steps."""
        self.shown = template or self.template
        keys = [self.instance.pk, self.shown.template_id]
        self.address = self.client.get(reverse("schedules:run-start", args=keys))["Location"]
        key = self.address.rstrip("/").split("/")[-2]
        self.step_field = f"run_wizard-{key}-current_step"
        window = {"mode": "rolling", "days": "7", "lag_days": "14", "zone": "UTC"}
        recurrence = {"recurrence": "daily", "time": "09:00"} if kind == "recurring" else {}
        self.post("template", version=self.shown.version)
        self.post("type", kind=kind)
        self.post(kind, **window, **recurrence)

    def url(self, step: str) -> str:
        return self.address.replace("/template/", f"/{step}/")

    def post(self, step: str, **fields: Any) -> Any:
        data = {f"{step}-{name}": value for name, value in fields.items()}
        return self.client.post(self.url(step), {self.step_field: step, **data})

    def check(self, *, htmx: bool = False, name: str = "Mine") -> Any:
        data = {self.step_field: "review", "review-name": name, "dry_run": "1"}
        if htmx:
            return self.htmx_post(self.url("review"), data)
        return self.client.post(self.url("review"), data, follow=True)

    def broken(self) -> InstanceTemplate:
        values = {"text": "a rather long text\nin two lines"}
        content = Content(name="Broken", source_sql=BROKEN, parameter_values=values)
        return create_template(actor=self.alice, instance=self.instance, content=content)

    def test_sound_sql_is_accepted_and_nothing_runs(self) -> None:
        for kind in ("once", "recurring"):
            self.to_review(kind=kind)
            self.assertContains(self.check(), "AMC accepts this SQL")
        self.assertFalse(Execution.objects.exists())
        self.template.refresh_from_db()
        self.assertEqual(self.template.usage_count, 0)
        sent = [call["body"] for call in self.calls("POST", "/workflowExecutions")]
        self.assertEqual([body["dryRun"] for body in sent], [True, True])

    def test_refusal_is_shown_at_the_place_the_user_typed(self) -> None:
        self.to_review(self.broken())
        page = self.check()
        # The second line of the value moved it on in the complete SQL.
        self.assertContains(page, "line 3, column 18")
        self.assertContains(page, 'data-mark="4:')
        self.assertContains(page, "does not exist where it is used")
        self.assertContains(page, 'value="Mine"')

    def test_htmx_swaps_the_check_alone(self) -> None:
        self.to_review(self.broken())
        fragment = self.check(htmx=True)
        self.assertTrue(flat(fragment.content.decode()).lstrip().startswith('<section id="dry-run"'))
        self.assertContains(fragment, "line 3, column 18")

    def test_page_waits_for_a_dripping_answer_no_longer_than_its_limit(self) -> None:
        self.to_review()
        with self.dripping(route="executions"):
            self.assertContains(self.check(), "Amazon did not finish its answer in 20 s.")

    def test_answer_is_not_kept_for_another_version(self) -> None:
        self.to_review()
        self.check()
        content = Content(name="Reach", source_sql="SELECT 2 AS y")
        update_template(actor=self.alice, template=self.template, content=content, version=1)
        self.assertNotContains(self.client.get(self.url("review")), "AMC accepts this SQL")

    def test_check_that_takes_time_is_asked_about_until_it_has_ended(self) -> None:
        self.arm("exec_stuck", count=1)
        self.to_review()
        fragment = self.check(htmx=True)
        self.assertContains(fragment, "AMC is checking")
        self.assertContains(fragment, 'hx-trigger="load delay:2s"')
        (begun,) = self.at_amc()
        self.control(
            "POST", "executions", {"id": begun["workflowExecutionId"], "status": "SUCCEEDED", "reason": ""}
        )
        ended = self.check(htmx=True)
        self.assertContains(ended, "AMC accepts this SQL")
        self.assertNotContains(ended, "hx-trigger")
        self.assertEqual(len(self.calls("POST", "/workflowExecutions")), 1)

    def test_amc_that_cannot_be_asked_says_so_and_the_run_can_start(self) -> None:
        self.to_review()
        self.arm("execution_limit", count=1)
        self.assertContains(self.check(), "The check could not be made")
        self.post("review", name="Mine", agreed_version=1)
        self.assertEqual(Execution.objects.get().name, "Mine")
