"""SQL that is being written, as everything but a form sees it."""

from __future__ import annotations

from django.test import SimpleTestCase

from instances.services.mappings import MappedValues
from templates_app.services.drafts import autofilled, fill_parameters, preview_of, refill, texts_of

SQL = "SELECT 1 FROM t WHERE asin IN ({{asins}}) AND day > {{start_date}} AND word = {{word}}"
MAPPED = MappedValues(asins=["B0TESTAAA1", "B0TESTAAA2"])


class DraftTests(SimpleTestCase):
    def test_the_mappings_fill_what_has_no_value(self) -> None:
        values = fill_parameters(SQL, {"word": "Trail"}, MAPPED)
        expected = [("asins", "asin", True), ("start_date", "date", False), ("word", "text", False)]
        self.assertEqual([(v.name, v.type, v.is_auto) for v in values], expected)
        self.assertEqual(texts_of(values), {"asins": "B0TESTAAA1\nB0TESTAAA2", "word": "Trail"})
        self.assertEqual(autofilled(values), ["asins"])

    def test_what_was_emptied_on_purpose_stays_empty(self) -> None:
        values = fill_parameters(SQL, {}, MAPPED, touched=["asins"])
        self.assertEqual(texts_of(values), {})

    def test_changed_mappings_are_told_and_taken_when_asked_for(self) -> None:
        values = fill_parameters(SQL, {"asins": "B0TESTAAA1, B0TESTAAA9"}, MAPPED, auto=["asins"])
        self.assertEqual((values[0].added, values[0].removed), (["B0TESTAAA2"], ["B0TESTAAA9"]))
        self.assertEqual(refill(values, MAPPED)[0].text, "B0TESTAAA1\nB0TESTAAA2")

    def test_preview_goes_as_far_as_the_values(self) -> None:
        sql = "SELECT {{word}},\n  {{start_date}}, {{asins}}"
        preview = preview_of(sql, {"word": "two\nlines", "start_date": "no day"})
        self.assertEqual(preview.text, "SELECT 'two\nlines',\n  {{start_date}}, {{asins}}")
        (problem,) = preview.problems
        self.assertEqual((problem.error.name, problem.error.line, problem.error.column), ("start_date", 2, 3))
        self.assertEqual((problem.line, problem.column), (3, 3))
