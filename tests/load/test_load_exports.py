"""The small form: the same clients and processes on a small result, without looking at the clock."""

from __future__ import annotations

from tests.load.load_exports import exports_under_load


def test_spreadsheet_is_made_once_and_nothing_is_left_when_it_is_given_up() -> None:
    figures = exports_under_load(30_000)
    assert figures.problems == []
    assert figures.bytes > 100_000
    assert figures.pages
