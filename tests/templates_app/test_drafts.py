"""SQL that is being written, as everything but a form sees it."""

from __future__ import annotations

from django.test import SimpleTestCase, override_settings

from instances.services.mappings import MappedValues
from templates_app.services.drafts import (
    MAX_PREVIEW_LENGTH,
    autofilled,
    fill_parameters,
    preview_of,
    refill,
    remarks_on_length,
    texts_of,
)

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

    def test_a_preview_is_bounded_and_knows_the_size_of_the_whole(self) -> None:
        sql, values = "{{asins}}, " * 10_000, {"asins": "\n".join(f"B{number:09}" for number in range(200))}
        with override_settings(MAX_FINISHED_SQL_BYTES=10**9):
            preview = preview_of(f"({sql}1)", values)
        self.assertLess(len(preview.text), 2 * MAX_PREVIEW_LENGTH)
        self.assertIn("… 100 more", preview.text)
        self.assertIn("too long to show", preview.text)
        self.assertEqual(preview.size, 10_000 * (200 * len("'B000000001', ")) + 3)

    @override_settings(MAX_FINISHED_SQL_BYTES=1_000)
    def test_too_long_is_one_problem_and_the_placeholders_stay_as_typed(self) -> None:
        sql = "x IN ({{y}}) AND z IN ({{y}}) AND {{word}} = 1"
        preview = preview_of(sql, {"y": "v" * 600, "word": "a"})
        self.assertEqual([problem.error.code for problem in preview.problems], ["too_long"])
        self.assertEqual(preview.text, "x IN ({{y}}) AND z IN ({{y}}) AND 'a' = 1")
        self.assertGreater(preview.size, 1_200)

    def test_remarks_name_the_size_and_the_long_lists(self) -> None:
        items = {"asins": "\n".join(f"B{number:09}" for number in range(1_001)), "word": "x" * 5_000}
        self.assertEqual(remarks_on_length(65_536, {"asins": items["asins"][: 1_000 * 11]}), [])
        size, long_list = remarks_on_length(65_537, items)
        self.assertIn("65,537 bytes", size)
        self.assertIn("asins has 1,001 items", long_list)

    @override_settings(MAX_FINISHED_SQL_BYTES=100)
    def test_the_mappings_fill_no_more_than_a_query_takes(self) -> None:
        mapped = MappedValues(asins=[f"B{number:09}" for number in range(6)])
        values = fill_parameters("{{asins}} {{parent_asins}}", {}, mapped)
        self.assertEqual([(v.is_auto, v.too_many) for v in values], [(True, 0), (False, 6)])
        again = refill(values, MappedValues(asins=[f"B{number:09}" for number in range(12)]))
        self.assertEqual([(v.text, v.is_auto, v.too_many) for v in again], [("", False, 12), ("", False, 6)])
