"""Pages of templates."""

from __future__ import annotations

import re
from typing import Any

from django.db import connection
from django.http import Http404
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instances.models import AMCInstance, InstanceBrand
from instances.models.mapping import MappingKind
from instances.services.mappings import Entry, add_mappings
from templates_app.errors import IncompleteTemplateError
from templates_app.models import InstanceTemplate, TemplateVersion
from templates_app.services.templates import Content, create_template, set_archived, update_template
from tests.base import CastTestCase
from tests.factories import InstanceFactory

SQL = "SELECT campaign, SUM(impressions) AS i FROM dsp_impressions WHERE campaign LIKE '%{{word}}%' GROUP BY 1"


class TemplateTestCase(CastTestCase):
    instance: AMCInstance
    foreign: AMCInstance

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.instance = InstanceFactory.create(account__connection__user=cls.alice)
        cls.foreign = InstanceFactory.create(account__connection__user=cls.charlie)

    def url(self, name: str, *args: Any, instance: AMCInstance | None = None) -> str:
        return reverse(f"templates:template-{name}", args=[(instance or self.instance).pk, *args])

    def template(self, **changed: Any) -> InstanceTemplate:
        values = {"name": "Reach", "source_sql": SQL, "parameter_values": {"word": "Trail"}, **changed}
        return create_template(actor=self.alice, instance=self.instance, content=Content(**values))

    def form(self, **changed: Any) -> dict[str, Any]:
        return {"name": "Reach", "source_sql": SQL, "value:word": "Trail", "action": "save", **changed}


class EditorTests(TemplateTestCase):
    def test_saves_source_values_and_complete_sql(self) -> None:
        response = self.client.post(self.url("create"), self.form(tags="weekly, Reach", description="Why"))
        saved = InstanceTemplate.objects.get()
        self.assertRedirects(response, saved.get_absolute_url())
        self.assertEqual(saved.source_sql, SQL)
        self.assertEqual(saved.parameter_values, {"word": "Trail"})
        self.assertIn("LIKE '%Trail%'", saved.sql_query)
        self.assertEqual(saved.tags, ["weekly", "Reach"])
        self.assertEqual(TemplateVersion.objects.get().sql_query, saved.sql_query)

    def test_missing_value_saves_nothing_and_keeps_what_was_typed(self) -> None:
        response = self.client.post(self.url("create"), self.form(**{"value:word": " "}))
        self.assertEqual(response.status_code, 200)
        self.assertContains(response, "word")
        self.assertContains(response, "SUM(impressions)")
        self.assertFalse(InstanceTemplate.objects.exists())

    def test_all_missing_values_are_named_and_marked(self) -> None:
        names = [f"word{number}" for number in range(1, 8)]
        sql = "SELECT campaign\nFROM dsp_impressions\nWHERE " + "\nAND ".join(
            f"campaign <> '{{{{{name}}}}}'" for name in names
        )
        for set_count, said in (
            (6, "word7 needs a value. (line 9)"),
            (4, "3 parameters need a value: word5 (line 7), word6 (line 8), word7 (line 9)."),
            (0, "7 parameters need a value: word1 (line 3), word2 (line 4), word3 (line 5), word4 (line 6), "
                "word5 (line 7) and 2 more."),
        ):  # fmt: skip
            texts = {f"value:{name}": "x" for name in names[:set_count]}
            page = self.client.post(
                self.url("create"), {"name": "R", "source_sql": sql, "action": "save", **texts}
            )
            with self.subTest(set_count):
                self.assertContains(page, said)
                self.assertContains(page, 'aria-invalid="true"', count=7 - set_count)
                self.assertContains(page, "autofocus", count=1)
        self.assertFalse(InstanceTemplate.objects.exists())

    def test_every_kind_of_problem_is_named(self) -> None:
        sql = "SELECT {{}} FROM dsp_impressions WHERE a = {{b}}{{c}} AND d = {{d}} AND e = {{start_date}}"
        form = {"name": "R", "source_sql": sql, "action": "save", "value:start_date": "1 Sep"}
        page = self.client.post(self.url("create"), form)
        for said in (
            "These braces hold no parameter",
            "b touches the text beside it",
            "d needs a value",
            "start_date",
        ):
            self.assertContains(page, said)

    def test_reopening_shows_the_source(self) -> None:
        template = self.template()
        response = self.client.get(self.url("update", template.template_id))
        self.assertContains(response, "{{word}}")
        self.assertContains(response, 'value="Trail"')

    def test_stale_tab_is_refused_with_the_difference(self) -> None:
        template = self.template()
        form = self.form(version=1, source_sql=SQL + " ")
        self.client.post(self.url("update", template.template_id), self.form(version=1, name="First"))
        response = self.client.post(self.url("update", template.template_id), {**form, "name": "Second"})
        self.assertContains(response, "Somebody saved this template")
        template.refresh_from_db()
        self.assertEqual((template.name, template.version), ("First", 2))
        self.assertContains(response, 'name="version" value="2"')

    def test_the_difference_names_changed_values_and_tags(self) -> None:
        template = self.template()
        form = self.form(version=1, tags="mine", **{"value:word": "Mine"})
        theirs = self.form(version=1, tags="theirs", **{"value:word": "Theirs"})
        self.client.post(self.url("update", template.template_id), theirs)
        response = self.client.post(self.url("update", template.template_id), form)
        for text in ("Name, tags and values", "Tags: theirs", "Tags: mine", "word: Theirs", "word: Mine"):
            self.assertContains(response, text)
        versions = self.client.get(self.url("versions", template.template_id))
        self.assertContains(versions, "word: Theirs")

    def test_sql_is_saved_and_shown_with_the_white_space_around_it(self) -> None:
        sql = f"\n\n  {SQL} \n"
        self.client.post(self.url("create"), self.form(source_sql=sql.replace("\n", "\r\n")))
        saved = InstanceTemplate.objects.get()
        self.assertEqual(saved.source_sql, sql)
        self.assertEqual(saved.sql_query, sql.replace("{{word}}", "Trail"))
        # A browser drops the first line break of a textarea.
        editor = self.client.get(self.url("update", saved.template_id)).content.decode()
        self.assertIn(">\n\n\n  SELECT campaign", editor)
        page = self.client.get(self.url("detail", saved.template_id)).content.decode()
        self.assertIn(">\n\n\n  SELECT campaign", page)
        preview = self.client.post(self.url("preview"), self.form(source_sql=sql)).content.decode()
        self.assertIn(">\n\n\n  SELECT campaign", preview)

    def test_blank_sql_is_refused(self) -> None:
        response = self.client.post(self.url("create"), self.form(source_sql=" \r\n "))
        self.assertContains(response, "This field is required")
        self.assertFalse(InstanceTemplate.objects.exists())

    def test_more_parameters_than_a_form_can_hold_are_refused(self) -> None:
        sql = "SELECT " + ", ".join(f"{{{{p{number}}}}}" for number in range(301))
        response = self.client.post(self.url("create"), self.form(source_sql=sql))
        self.assertContains(response, "301 parameters; the most is 300")
        self.assertEqual(response.content.count(b'name="value:'), 300)
        self.assertFalse(InstanceTemplate.objects.exists())

    def test_of_very_many_problems_the_first_are_shown(self) -> None:
        response = self.client.post(self.url("preview"), {"source_sql": "{{1}} " * 60})
        self.assertContains(response, "data-goto", 50)
        self.assertContains(response, "10 more problems")

    @override_settings(MAX_FINISHED_SQL_BYTES=100_000)
    def test_finished_sql_beyond_the_limit_is_refused_everywhere_and_nothing_typed_is_lost(self) -> None:
        form = self.form(source_sql="SELECT x IN ({{word}}) " * 1_000, **{"value:word": "x" * 50_000})
        for name in ("preview", "parameters"):
            response = self.client.post(self.url(name), form)
            self.assertLess(len(response.content), 200_000)
        preview = self.client.post(self.url("preview"), form)
        self.assertContains(preview, "word makes the finished SQL 50,0", 2)
        saving = self.client.post(self.url("create"), form)
        self.assertContains(saving, "the most is 100,000")
        self.assertContains(saving, form["value:word"])
        self.assertFalse(InstanceTemplate.objects.exists())
        template = self.template()
        with self.assertRaises(IncompleteTemplateError):
            update_template(
                actor=self.alice,
                template=template,
                content=Content("Reach", form["source_sql"], parameter_values={"word": form["value:word"]}),
                version=1,
            )

    def test_long_sql_and_long_lists_are_remarked_on_beside_the_preview(self) -> None:
        asins = "\n".join(f"B{number:09}" for number in range(6_000))
        form = self.form(source_sql="SELECT 1 FROM t WHERE asin IN ({{asins}})", **{"value:asins": asins})
        response = self.client.post(self.url("preview"), form)
        self.assertContains(response, "AMC may refuse more than 65,536")
        self.assertContains(response, "asins has 6,000 items")
        self.assertContains(response, "… 5,900 more")

    def test_numbers_no_database_knows_are_wrong_numbers(self) -> None:
        template = self.template()
        for number in ("9" * 30, "9" * 5000):
            saving = self.client.post(self.url("update", template.template_id), self.form(version=number))
            self.assertEqual(saving.status_code, 200)
            url = self.url("restore", template.template_id, 1)
            self.assertEqual(self.client.post(url, {"version": number}).status_code, 302)
            fix = self.client.post(self.url("create"), self.form(action=f"fix:{number}"))
            self.assertEqual(fix.status_code, 200)
        template.refresh_from_db()
        self.assertEqual(template.version, 1)

    def test_parameters_and_preview_follow_the_text(self) -> None:
        posted = {"source_sql": "SELECT {{day_date}}, :asin_list", "value:day_date": "2026-01-02"}
        panel = self.client.post(self.url("parameters"), posted)
        self.assertContains(panel, "1 of 2 set")
        self.assertContains(panel, 'type="date"')
        preview = self.client.post(self.url("preview"), posted)
        self.assertContains(preview, "&#x27;2026-01-02&#x27;")
        self.assertContains(preview, ":asin_list")

    def test_lint_names_line_and_offers_a_fix(self) -> None:
        response = self.client.post(
            self.url("lint"), {"source_sql": "SELECT campaign\nFROM dsp_impresions GROUP BY 1"}
        )
        self.assertContains(response, "Line 2")
        self.assertContains(response, "data-fix-text")

    def test_completion_says_what_columns_hold(self) -> None:
        tables = self.client.get(reverse("templates:schema")).json()["tables"]
        columns = {name: rest for name, *rest in tables["dsp_impressions"]}
        self.assertEqual(columns["user_id"][1], "VERY_HIGH")
        self.assertEqual(columns["user_id"][2], "Pseudonym of the person; joins tables, and is never in a result.")
        self.assertTrue(all(description for rows in tables.values() for *_, description in rows))

    def test_copy_is_offered_where_it_can_be_used(self) -> None:
        account, template = self.instance.account, self.template()
        good = InstanceFactory.create(account=account, name="Good")
        failing = InstanceFactory.create(
            account=account, name="Failing", status="ERROR", health_status="UNHEALTHY"
        )
        draft = InstanceFactory.create(account=account, name="Draft", status="PENDING")
        disabled = InstanceFactory.create(account=account, name="Off", status="INACTIVE", is_active=False)
        url = self.url("copy", template.template_id)
        self.assertContains(self.client.get(url), "Drafts and disabled instances are not offered.")
        offered = self.htmx_get(f"{reverse('instances:instance-suggestions')}?to=copy")
        for instance in (self.instance, good, failing):
            self.assertContains(offered, f'value="{instance}"')
        for instance in (draft, disabled, self.foreign):
            self.assertNotContains(offered, str(instance))
            for text in (str(instance), instance.instance_id, str(instance.pk)):
                answer = self.client.post(url, {"instance": text})
                self.assertContains(
                    answer, f"No instance that can be chosen here has “{text}” in its name or AMC ID."
                )
        for text in (str(good), "good", " Good ", "goo", good.instance_id.upper(), str(good.pk)):
            self.assertEqual(self.client.post(url, {"instance": text}).status_code, 302, text)

    def test_copy_asks_again_where_several_instances_fit(self) -> None:
        account, template = self.instance.account, self.template()
        url = self.url("copy", template.template_id)
        for number in range(6):
            InstanceFactory.create(account=account, name=f"Twin {number}", instance_id=f"amctwin{number}")
        exact = InstanceFactory.create(account=account, name="Twin", instance_id="amcsingle")
        answer = self.client.post(url, {"instance": "twin "})
        self.assertEqual(answer.status_code, 302)
        self.assertIn(str(exact.pk), answer["Location"])
        answer = self.client.post(url, {"instance": "win"})
        self.assertContains(answer, "Several instances fit “win”: Twin (amcsingle), Twin 0 (amctwin0)")
        self.assertContains(answer, "and others. Write one of them in full.")
        self.assertContains(self.client.post(url, {"instance": " "}), "This field is required.")

    def test_an_instance_named_in_full_is_meant_however_many_others_have_that_text(self) -> None:
        account, template = self.instance.account, self.template()
        url = self.url("copy", template.template_id)
        for number in range(10, 18):
            InstanceFactory.create(account=account, name=f"A {number}", instance_id=f"amcx{number}")
        meant = InstanceFactory.create(account=account, name="Zeta", instance_id="amcx1")
        for text in ("amcx1", "AMCX1", "zeta", "zeta (AMCX1)"):
            answer = self.client.post(url, {"instance": text})
            self.assertEqual(answer.status_code, 302, text)
            self.assertIn(str(meant.pk), answer["Location"])

    def test_copy_is_prefilled_and_saves_nothing(self) -> None:
        template = self.template()
        response = self.client.get(self.url("create") + f"?from={template.template_id}")
        self.assertContains(response, "Reach (copy)")
        self.assertContains(response, 'value="Trail"')
        self.assertEqual(InstanceTemplate.objects.count(), 1)


class TemplatePageTests(TemplateTestCase):
    def test_list_searches_and_filters(self) -> None:
        self.template(name="Reach of video", tags=["Video"])
        self.template(name="Spend", tags=["weekly"])
        self.assertContains(self.client.get(self.url("list")), "Reach of video")
        response = self.htmx_get(self.url("list") + "?q=spend")
        self.assertContains(response, "Spend")
        self.assertNotContains(response, "Reach of video")
        self.assertNotContains(self.client.get(self.url("list") + "?tag=video"), "Spend</a>")

    def test_list_costs_the_same_for_many(self) -> None:
        statements = []
        for more in (2, 38):
            with self.captureOnCommitCallbacks(execute=True):
                for number in range(more):
                    self.template(name=f"T{more} {number}", tags=[f"tag {number}"])
            self.client.get(self.url("list"))
            # The second reader finds the list in the cache.
            with CaptureQueriesContext(connection) as queries:
                self.client.get(self.url("list"))
            statements.append(len(queries))
        self.assertEqual(statements[0], statements[1])
        self.assertLessEqual(statements[1], 6)

    def test_pages_beside_a_thousand_templates_take_few_statements(self) -> None:
        template = self.template()
        InstanceTemplate.objects.bulk_create(
            InstanceTemplate(
                user=self.alice, instance=self.instance, name=f"T{number}", source_sql=SQL, sql_query=SQL
            )
            for number in range(1_000)
        )
        one = template.template_id
        pages = [self.url(name, one) for name in ("detail", "update", "copy", "delete", "versions")]
        for address in (self.url("list"), self.url("list") + "?q=t99&page=2", self.url("create"), *pages):
            with self.subTest(address), CaptureQueriesContext(connection) as queries:
                self.assertEqual(self.client.get(address).status_code, 200)
            self.assertLess(len(queries), 20)
        for name in ("parameters", "preview", "lint"):
            with self.subTest(name), CaptureQueriesContext(connection) as queries:
                self.assertEqual(self.client.post(self.url(name), self.form()).status_code, 200)
            self.assertLess(len(queries), 20)

    def test_edit_is_seen_at_once_in_list_and_page(self) -> None:
        template = self.template()
        for name in ("list", "detail"):
            self.client.get(self.url(name, *([template.template_id] if name == "detail" else [])))
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(self.url("update", template.template_id), self.form(version=1, name="Renamed"))
        self.assertContains(self.client.get(self.url("list")), "Renamed")
        self.assertContains(self.client.get(self.url("detail", template.template_id)), "Renamed")

    def test_archive_takes_it_out_of_the_list_and_back(self) -> None:
        template = self.template()
        self.client.post(self.url("archive", template.template_id))
        self.assertNotContains(self.client.get(self.url("list")), "Reach</a>")
        self.assertContains(self.client.get(self.url("list") + "?archived=1"), "Reach</a>")
        self.client.post(self.url("archive", template.template_id), {"archived": "0"})
        self.assertContains(self.client.get(self.url("list")), "Reach</a>")

    def test_archiving_what_was_deleted_meanwhile_says_so(self) -> None:
        template = self.template()
        InstanceTemplate.objects.all().delete()
        with self.assertRaises(Http404):
            set_archived(template, actor=self.alice, archived=True)

    def test_restore_makes_a_new_version(self) -> None:
        template = self.template()
        self.client.post(self.url("update", template.template_id), self.form(version=1, name="Second"))
        self.assertContains(self.client.get(self.url("versions", template.template_id)), "Comparing 1 with 2")
        self.client.post(self.url("restore", template.template_id, 1), {"version": "2"})
        template.refresh_from_db()
        self.assertEqual((template.name, template.version), ("Reach", 3))

    def test_delete_asks_first(self) -> None:
        template = self.template()
        self.assertContains(self.client.get(self.url("delete", template.template_id)), "Delete for good")
        self.client.post(self.url("delete", template.template_id))
        self.assertFalse(InstanceTemplate.objects.exists())
        self.assertEqual(self.client.get(self.url("detail", template.template_id)).status_code, 404)

    def test_foreign_instance_cannot_reach_a_template(self) -> None:
        template = self.template()
        self.client.force_login(self.charlie)
        for name in ("detail", "update", "copy", "delete", "versions"):
            for instance in (self.instance, self.foreign):
                url = self.url(name, template.template_id, instance=instance)
                self.assertEqual(self.client.get(url).status_code, 404, url)
        url = self.url("update", template.template_id, instance=self.foreign)
        self.assertEqual(self.client.post(url, self.form(version=1, name="Stolen")).status_code, 404)
        template.refresh_from_db()
        self.assertEqual(template.name, "Reach")


class AutofillTests(TemplateTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.brand = InstanceBrand.objects.create(instance=self.instance, name="Trail", folded="trail")
        self.map("B0TESTAAA1", "B0TESTAAA2")
        campaign = Entry(self.brand.pk, MappingKind.CAMPAIGN_ID, "123456789012345678")
        add_mappings(self.instance, [campaign], actor=None)

    def map(self, *asins: str) -> None:
        add_mappings(self.instance, [Entry(self.brand.pk, MappingKind.ASIN, asin) for asin in asins], actor=None)

    def panel(self, **posted: str) -> str:
        sql = "SELECT 1 FROM t WHERE a IN ({{asins}}) AND c IN ({{campaign_ids}}) AND x = {{word}}"
        return self.client.post(self.url("parameters"), {"source_sql": sql, **posted}).content.decode()

    @staticmethod
    def mark(html: str) -> str:
        found = re.search(r'name="auto:asins" value="(\w+)"', html)
        assert found is not None
        return found[1]

    def test_new_parameters_are_filled_and_marked(self) -> None:
        html = self.panel()
        self.assertIn("B0TESTAAA1\nB0TESTAAA2", html)
        self.assertIn("123456789012345678", html)
        self.assertEqual(html.count("data-auto-mark"), 2)
        self.assertIn("2 of 3 set", html)

    def test_cleared_on_purpose_stays_empty(self) -> None:
        html = self.panel(**{"value:asins": "", "auto:asins": self.mark(self.panel())})
        self.assertNotIn("B0TESTAAA1", html)
        self.assertIn("123456789012345678", html)

    def test_typed_and_cleared_without_scripts_stays_empty(self) -> None:
        typed = self.panel(**{"value:asins": "B0OTHERAA1"})
        touched = re.search(r'name="touched:asins" value="(\w)"', typed)
        assert touched is not None
        html = self.panel(**{"value:asins": "", "auto:asins": "0", "touched:asins": touched[1]})
        self.assertNotIn("B0TESTAAA1", html)

    def test_edited_without_scripts_is_no_longer_from_the_mappings(self) -> None:
        mark = self.mark(self.panel())
        html = self.panel(**{"value:asins": "B0TESTAAA1\r\nB0TESTAAA2", "auto:asins": mark})
        self.assertEqual(html.count("data-auto-mark"), 2)
        html = self.panel(**{"value:asins": "B0TESTAAA1", "auto:asins": mark})
        self.assertEqual(html.count("data-auto-mark"), 1)
        self.assertNotIn("B0TESTAAA2", html)
        self.assertNotIn("The mappings have changed", html)

    def test_typed_values_are_never_touched(self) -> None:
        html = self.panel(**{"value:asins": "B0OTHERAA1", "value:word": "kept"})
        self.assertIn("B0OTHERAA1", html)
        self.assertIn('value="kept"', html)
        self.assertNotIn("B0TESTAAA1", html)

    def test_changed_mappings_are_offered_with_the_difference(self) -> None:
        sql = "SELECT COUNT(1) AS n FROM conversions WHERE tracked_asin IN ({{asins}})"
        form = {
            "name": "A",
            "source_sql": sql,
            "value:asins": "B0TESTAAA1\nB0TESTAAA2",
            "auto:asins": self.mark(self.panel()),
        }
        self.client.post(self.url("create"), {**form, "action": "save"})
        template = InstanceTemplate.objects.get()
        self.assertEqual(template.autofilled, ["asins"])
        self.map("B0TESTAAA3")
        page = self.client.get(self.url("update", template.template_id))
        self.assertContains(page, "1 new: B0TESTAAA3")
        refreshed = self.client.post(
            self.url("update", template.template_id), {**form, "version": 1, "action": "refresh"}
        )
        self.assertContains(refreshed, "B0TESTAAA1\nB0TESTAAA2\nB0TESTAAA3")
        template.refresh_from_db()
        self.assertNotIn("B0TESTAAA3", template.sql_query)
