"""Pages of results with thousands of columns: few are shown, all can be reached, and the page stays small."""

from __future__ import annotations

import re
import shutil
import tempfile
from html import unescape
from pathlib import Path
from typing import Any, ClassVar

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from executions.models import Execution
from executions.results.paging import SHOWN_COLUMNS
from tests.executions.base import ExecutionTestCase
from tests.large_results import store_wide_run, write_wide

MAX_PAGE_BYTES = 150_000


class WideResultTests(ExecutionTestCase):
    parquet: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="amc-wide-")
        cls.addClassCleanup(folder.cleanup)
        cls.parquet = write_wide(Path(folder.name) / "wide.parquet", 100, 5_000, typed_columns=1_000)

    def setUp(self) -> None:
        super().setUp()
        self.wide = store_wide_run(self.template, 5)
        shutil.copy(self.parquet, self.results / self.wide.parquet_file)

    def url(self, name: str, execution: Execution | None = None) -> str:
        return reverse(f"executions:{name}", args=[(execution or self.wide).pk])

    def page(self, query: str = "") -> Any:
        return self.client.get(f"{self.wide.get_absolute_url()}?{query}")

    def titles(self, answer: Any) -> list[str]:
        return [column.name for column in answer.context["result"].columns]

    def links(self, answer: Any) -> list[str]:
        return [unescape(link) for link in re.findall(r'href="([^"]*)"', answer.content.decode())]

    def link(self, answer: Any, title: str) -> str:
        """Return where the link leads whose text begins with the title."""
        text = answer.content.decode()
        found = re.search(r'href="([^"]*)"[^<]*>' + re.escape(title), text)
        assert found is not None, title
        return unescape(found[1])

    def test_page_is_small_and_its_statements_are_as_many_as_of_a_narrow_result(self) -> None:
        narrow = store_wide_run(self.template, 8)
        with CaptureQueriesContext(
            connection,
        ) as few:
            self.assertEqual(self.client.get(narrow.get_absolute_url()).status_code, 200)
        with self.assertNumQueries(len(few)):
            page = self.page()
        self.assertContains(page, "1–50 of 5,000")
        self.assertEqual((len(page.context["rows"]), len(page.context["rows"][0])), (40, SHOWN_COLUMNS))
        self.assertLess(len(page.content), MAX_PAGE_BYTES)
        chosen = self.page("show=" + ".".join(str(place) for place in range(4_901, 4_951)))
        self.assertEqual(self.titles(chosen)[-1], "column 4950 double")
        # Every link carries the places; no choice is larger than this one.
        self.assertLess(len(chosen.content), 1.1 * MAX_PAGE_BYTES)

    def test_narrow_result_has_no_word_about_columns(self) -> None:
        page = self.client.get(store_wide_run(self.template, SHOWN_COLUMNS).get_absolute_url())
        self.assertNotContains(page, "Choose columns")
        self.assertNotContains(page, "column-names")
        self.assertEqual((len(page.context["rows"]), len(page.context["rows"][0])), (100, SHOWN_COLUMNS))

    def test_columns_are_paged_beside_the_rows(self) -> None:
        second = self.page("rows=2&sort=-column+2+integer&columns=2")
        self.assertContains(second, "51–100 of 5,000")
        self.assertEqual(self.titles(second)[1], "column 52 integer")
        self.assertEqual(second.context["rows"][0][1][1], "110")
        self.assertTrue([link for link in self.links(second) if "columns=3" in link and "rows=2" in link])
        last = self.page("columns=99999")
        self.assertContains(last, "4,951–5,000 of 5,000")
        self.assertNotContains(last, "Next columns")

    def test_chosen_columns_stay_through_sorting_filters_and_paging(self) -> None:
        page = self.page("show=3.4997&show=2&search=t&column=column+4996+text&op=contains&value=t")
        chosen = ["column 3 decimal", "column 4997 integer", "column 2 integer"]
        self.assertEqual(self.titles(page), chosen)
        self.assertContains(page, "3 of 5,000 columns")
        self.assertContains(page, '<input type="hidden" name="show" value="3.4997.2">')
        answer = self.page("show=3.4997.2&rows=2")
        self.assertEqual([value for _, value in answer.context["rows"][0]], ["40.25", "5036", "41"])
        sorted_page = self.client.get(self.link(answer, "column 4997 integer"))
        self.assertEqual(self.titles(sorted_page), chosen)
        # As text, because it is behind the last typed column.
        self.assertEqual(sorted_page.context["rows"][0][1][1], "4996")
        without = [link for link in self.links(page) if "show=3.2" in link]
        self.assertEqual(self.titles(self.client.get(without[0])), ["column 3 decimal", "column 2 integer"])

    def test_address_in_the_browser_shows_the_same_when_it_is_loaded_again(self) -> None:
        rows = self.htmx_get(self.url("execution-rows") + "?show=7.9&sort=-column+7+integer")
        self.assertEqual(rows["HX-Replace-Url"], f"{self.wide.get_absolute_url()}?show=7.9&sort=-column+7+integer")
        again = self.client.get(rows["HX-Replace-Url"])
        self.assertEqual((self.titles(again), again.context["rows"]), (self.titles(rows), rows.context["rows"]))

    def test_columns_are_found_by_name_and_chosen_without_scripts(self) -> None:
        page = self.page("find=N+499&choose=1&show=7&sort=column+1+text")
        self.assertEqual(self.titles(page), ["column 7 integer"])
        self.assertContains(page, "11 found")
        for place, checked in ((7, " checked"), (499, ""), (4990, ""), (4999, "")):
            self.assertContains(page, f'name="show" value="{place}"{checked}>')
        self.assertContains(page, '<input type="hidden" name="sort" value="column 1 text">')
        nothing = self.page("find=nothing&choose=1")
        self.assertContains(nothing, "No other column has “nothing” in its name.")

    def test_htmx_asks_for_choices_and_for_suggestions(self) -> None:
        choices = self.htmx_get(self.url("column-choices") + "?find=column&show=7")
        self.assertContains(choices, "5,000 found")
        self.assertContains(choices, 'type="checkbox"', count=51)
        self.assertNotContains(choices, "<html")
        names = self.htmx_get(self.url("column-names") + "?column=N+499")
        self.assertContains(names, 'option value="column 499 date"')
        self.assertContains(names, "<option", count=11)
        self.assertContains(self.htmx_get(self.url("column-names") + "?chart_x=N+9"), "column 9 date")
        self.assertNotContains(self.htmx_get(self.url("column-names") + "?chart_y=N+9"), "column 9 date")
        (self.results / self.wide.parquet_file).unlink()
        self.assertEqual(self.htmx_get(self.url("column-names")).status_code, 404)

    def test_wrong_places_count_as_not_given(self) -> None:
        for show in ("0", "5001", "-1", "x", "9" * 400, "1e3", "²", "."):
            page = self.page(f"show={show}")
            self.assertEqual((len(self.titles(page)), page.context["columns"].show), (SHOWN_COLUMNS, None))
        self.assertEqual(self.titles(self.page("show=9.9.99999.9")), ["column 9 date"])
        many = self.page("show=" + ".".join(str(place) for place in range(1, 100)))
        self.assertContains(many, "A page shows 50 columns at once.")
        self.assertEqual(len(self.titles(many)), SHOWN_COLUMNS)

    def test_column_that_does_not_exist_is_told(self) -> None:
        for query in ("sort=nothing", "column=nothing&value=1", "chart_x=nothing&chart_y=column+2+integer"):
            self.assertContains(self.page(query), "This result has no column “nothing”.")

    def test_search_says_where_it_looked(self) -> None:
        page = self.page("search=zzz")
        self.assertContains(page, "The search looked in the 50 columns shown.")
        self.assertContains(page, "Search these columns")
        self.assertNotContains(self.page(), "The search looked")

    def test_columns_kept_as_text_are_told(self) -> None:
        sentence = "Columns after the first 1,000 are kept as text"
        self.assertContains(self.page(), sentence)
        self.assertContains(self.client.get(self.url("execution-statistics")), sentence)
        typed = store_wide_run(self.template, 60)
        self.assertNotContains(self.client.get(typed.get_absolute_url()), sentence)
        self.assertNotContains(self.client.get(self.url("execution-statistics", typed)), sentence)

    def test_figures_are_paged(self) -> None:
        page = self.client.get(self.url("execution-statistics") + "?page=2")
        self.assertContains(page, "51–100 of 5,000")
        self.assertEqual(
            [figures.column.name for figures in page.context["statistics"]],
            [column.name for column in page.context["facts"].columns[50:100]],
        )
        self.assertLess(len(page.content), MAX_PAGE_BYTES)
        last = self.client.get(self.url("execution-statistics") + "?page=100")
        self.assertEqual(last.context["statistics"][-1].column.name, "column 5000 double")
        narrow = self.client.get(self.url("execution-statistics", store_wide_run(self.template, 8)))
        self.assertNotContains(narrow, "pager")

    def test_chart_suggests_itself_and_takes_any_column(self) -> None:
        self.assertEqual(self.page().context["chart"].x.name, "column 4 date")
        chart = self.page("chart_x=column+4996+text&chart_y=column+7+integer").context["chart"]
        self.assertEqual((chart.x.name, chart.series[0].name), ("column 4996 text", "column 7 integer"))

    def test_spreadsheet_of_a_wide_result_is_not_made_while_the_page_waits(self) -> None:
        self.assertFalse(self.page().context["is_inline"])
