"""Lists that nobody counts: pages that only know whether there is a next one."""

from __future__ import annotations

from django.template.loader import render_to_string
from django.test import RequestFactory, SimpleTestCase

from amchelper.paging import MAX_PAGES, UncountedPage, read_page
from tests.base import flat

PER_PAGE = 10


def page_of(total: int, asked: str | None = None) -> UncountedPage[int]:
    """Return a page of a list of numbers."""
    rows = list(range(1, total + 1))
    return read_page(asked, PER_PAGE, lambda skip, count: rows[skip : skip + count])


class UncountedPageTests(SimpleTestCase):
    def shown(self, page: UncountedPage[int]) -> str:
        request = RequestFactory().get("/list/?q=x")
        return flat(render_to_string("_partials/pagination.html", {"page": page, "noun": "runs"}, request=request))

    def test_counts_once_the_end_is_seen(self) -> None:
        self.assertIn("11–20 of more than 20 runs", self.shown(page_of(25, "2")))
        last = self.shown(page_of(25, "3"))
        self.assertIn("21–25 of 25 runs", last)
        self.assertIn("?q=x&amp;page=2", last)
        self.assertNotIn("page=4", last)

    def test_a_full_last_page_has_no_next_one(self) -> None:
        page = page_of(PER_PAGE)
        self.assertEqual((list(page), page.has_next, page.paginator.count), (list(range(1, 11)), False, 10))
        self.assertFalse(page.has_other_pages)

    def test_what_no_page_is_leads_to_the_first(self) -> None:
        for asked in (None, "", "0", "-1", "x", "3", "9" * 30):
            with self.subTest(asked):
                page = page_of(15, asked)
                self.assertEqual((page.number, page.start_index), (1, 1))
        self.assertEqual(page_of(0, "7").end_index, 0)

    def test_the_last_page_says_how_to_find_what_is_older(self) -> None:
        for more in (0, 1):
            page = page_of(MAX_PAGES * PER_PAGE + more, str(MAX_PAGES + 5))
            self.assertEqual((page.number, page.has_next, page.is_cut), (MAX_PAGES, False, bool(more)))
            self.assertEqual("filter to find older ones" in self.shown(page), bool(more))
