"""Occurrences for the editor, positions back to the source, and the preview."""

from __future__ import annotations

import pytest

from templates_app.sql.parameters import Occurrence, Position, occurrences, preview, substitute_with_map
from templates_app.sql.positions import Lines


def test_occurrences_have_spans_and_places() -> None:
    sql = "-- :no\r\nSELECT '{{ a }}',\r😀 :a,\n\"x{{b}}\" {{bad|}}"
    found = occurrences(sql)
    assert [sql[occurrence.start : occurrence.end] for occurrence in found] == ["{{ a }}", ":a", "{{b}}"]
    assert found[0] == Occurrence("a", 16, 23, 2, 9)
    assert [(occurrence.line, occurrence.column) for occurrence in found] == [(2, 9), (3, 3), (4, 3)]


def test_positions_behind_a_value_lead_to_the_source() -> None:
    sql = "SELECT {{a}} x\nFROM t\r\nWHERE b IN '{{asins}}' AND c\n"
    finished, positions = substitute_with_map(sql, {"a": "one\ntwo\r\n''", "asins": ["B1", "B2"]})
    assert finished == "SELECT 'one\ntwo\r\n''''' x\nFROM t\r\nWHERE b IN ('B1', 'B2') AND c\n"
    assert positions.source_position(1, 1) == (1, 1)
    assert positions.source_position(1, 8) == (1, 8)
    assert positions.source_position(2, 2) == (1, 8)
    assert positions.source_position(3, 5) == (1, 8)
    assert positions.source_position(3, 7) == (1, 14)
    assert positions.source_position(4, 6) == (2, 6)
    assert positions.source_position(5, 12) == (3, 12)
    assert positions.source_position(5, 20) == (3, 12)
    assert positions.source_position(5, 29) == (3, 28)
    assert positions.source_offset(finished.index("AND")) == sql.index("AND")


def test_positions_outside_the_text_are_moved_to_its_edge() -> None:
    _, positions = substitute_with_map("a :x b", {"x": 100})
    assert positions.source_position(0, 0) == (1, 1)
    assert positions.source_position(1, 99) == (1, 7)
    assert positions.source_position(9, 1) == (1, 7)
    assert positions.source_offset(-3) == 0


def test_value_that_vanishes_in_a_string() -> None:
    finished, positions = substitute_with_map("'a{{x}}b'", {"x": [""]})
    assert finished == "'ab'"
    assert [positions.source_offset(offset) for offset in range(5)] == [0, 1, 7, 8, 9]


@pytest.mark.parametrize("break_", ["\n", "\r", "\r\n"])
def test_lines_end_at_every_kind_of_break(break_: str) -> None:
    text = f"ab{break_}{break_}c"
    lines = Lines(text)
    assert lines.position(text.index("c")) == Position(3, 1)
    assert lines.offset(3, 1) == text.index("c")
    assert lines.position(1) == Position(1, 2)
    assert lines.position(-1) == Position(1, 1)
    assert lines.position(99) == Position(3, 2)
    assert lines.offset(1, 3) == 2
    assert lines.offset(3, 99) == len(text)


def test_preview_shows_what_can_be_finished() -> None:
    pieces = preview(
        "= :a AND '{{b}}' IN {{asins}} AND x{{a}} {{|}} = {{ c }};", {"a": 1, "b": [1, 2], "asins": []}
    )
    assert [(piece.text, piece.error.code if piece.error else "") for piece in pieces] == [
        ("= ", ""),
        ("1", ""),
        (" AND ", ""),
        ("'{{b}}'", "list"),
        (" IN ", ""),
        ("{{asins}}", "empty"),
        (" AND x", ""),
        ("{{a}}", "glued"),
        (" ", ""),
        ("{{", "malformed"),
        ("|}} = ", ""),
        ("{{ c }}", "missing"),
        (";", ""),
    ]
    error = pieces[3].error
    assert error is not None
    assert (error.name, error.line, error.column) == ("b", 1, 11)


def test_preview_of_empty_text() -> None:
    assert preview("", {}) == []


def test_preview_marks_the_opening_braces_only_and_has_no_empty_pieces() -> None:
    pieces = preview(":a{% {{1st}} {{{b}}}", {"a": 1})
    assert [(piece.text, piece.error.code if piece.error else "") for piece in pieces] == [
        ("1", ""),
        ("{%", "malformed"),
        (" ", ""),
        ("{{", "malformed"),
        ("1st}} ", ""),
        ("{{{", "malformed"),
        ("b}}}", ""),
    ]


def test_preview_leaves_both_of_two_that_touch() -> None:
    pieces = preview("{{a}}{{b}} {{b}}", {"a": 1, "b": 2})
    assert [(piece.text, piece.error and piece.error.code) for piece in pieces] == [
        ("{{a}}", "glued"),
        ("{{b}}", "glued"),
        (" ", None),
        ("2", None),
    ]
