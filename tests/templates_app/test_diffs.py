from __future__ import annotations

import pytest

from templates_app.presenters.diffs import MAX_ROWS, DiffLine, side_by_side


def kinds(old: str, new: str) -> list[str]:
    return [row.kind for row in side_by_side(old, new)]


def test_equal_texts_have_no_rows() -> None:
    assert side_by_side("a\nb", "a\nb") == []


def test_a_change_in_a_long_text_keeps_its_numbers_and_three_lines_around_it() -> None:
    old = [f"line {number}" for number in range(1, 101)]
    new = [*old[:49], "other", *old[50:]]
    rows = side_by_side("\n".join(old), "\n".join(new))
    assert [row.kind for row in rows] == ["gap", *["same"] * 3, "changed", *["same"] * 3]
    assert rows[4] == DiffLine("changed", 50, "line 50", 50, "other")
    assert (rows[1].old_number, rows[-1].new_number) == (47, 53)


def test_two_changes_have_a_gap_between_them() -> None:
    old = [f"line {number}" for number in range(1, 41)]
    new = ["first", *old[1:39], "last", "added"]
    rows = kinds("\n".join(old), "\n".join(new))
    assert rows == ["changed", *["same"] * 3, "gap", *["same"] * 3, "changed", "added"]


@pytest.mark.parametrize(("old", "new", "expected"), [("", "a\nb", ["added"] * 2), ("a", "", ["removed"])])
def test_nothing_before_or_after(old: str, new: str, expected: list[str]) -> None:
    assert kinds(old, new) == expected


def test_a_line_break_at_the_end_is_a_difference() -> None:
    assert kinds("a", "a\n") == ["same", "added"]


def test_a_few_lines_repeated_very_often_are_compared_in_one_piece() -> None:
    rows = side_by_side("a\nb\n" * 600, "b\na\n" * 600)
    assert {row.kind for row in rows} <= {"changed", "same", "removed", "added"}
    assert len(rows) <= 1_202


def test_no_more_rows_than_a_page_can_show() -> None:
    rows = side_by_side("\n".join(map(str, range(10_000))), "")
    assert (len(rows), rows[-1].kind) == (MAX_ROWS + 1, "gap")
