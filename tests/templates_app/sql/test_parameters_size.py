"""Finished SQL is measured before it is written out, and shortened where people look at it."""

from __future__ import annotations

import tracemalloc

import pytest

from templates_app.sql.parameters import ParameterError, preview, substitute

MEGABYTE = 1_000_000
# A list, a row of VALUES, text in quotes, a number and a text in code, and a minus sign before it.
EVERY_PLACE = (
    "SELECT '{{word}}é', `{{word}}`, {{word}}, -{{n}}, {{n}} FROM t "
    "WHERE asin IN ({{asins}}) AND x IN {{asins}} AND a[{{asins}}] AND v IN (VALUES ({{asins}})) -- ü"
)
VALUES = {"word": "O'Brien `é`", "n": -5, "asins": ["B000000001", "B0'0000002", "B000000003"]}


def test_the_size_is_that_of_the_finished_text() -> None:
    finished = substitute(EVERY_PLACE, VALUES)
    size = len(finished.encode())
    assert substitute(EVERY_PLACE, VALUES, max_bytes=size) == finished
    with pytest.raises(ParameterError, match=rf"the finished SQL {size:,} bytes long; the most is {size - 1:,}\."):
        substitute(EVERY_PLACE, VALUES, max_bytes=size - 1)
    assert sum(piece.size for piece in preview(EVERY_PLACE, VALUES)) == size


def test_the_parameter_with_the_largest_share_is_named_at_its_first_place() -> None:
    sql = "SELECT {{word}},\n  campaign IN ({{y}}), {{word}}, x IN ({{y}})"
    with pytest.raises(ParameterError) as caught:
        substitute(sql, {"word": "short", "y": "x" * 60}, max_bytes=100)
    error = caught.value
    assert (error.code, error.name, error.line, error.column) == ("too_long", "y", 2, 16)


def test_what_is_too_long_is_never_written_out() -> None:
    sql, values = "x IN ({{y}}) " * 1_000, {"y": "v" * MEGABYTE}
    tracemalloc.start()
    with pytest.raises(ParameterError, match="1,000,0"):
        substitute(sql, values, max_bytes=MEGABYTE)
    shown = preview(sql, values, max_bytes=MEGABYTE, max_items=10, max_characters=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(len(piece.text) for piece in shown) == len(sql)
    assert peak < 10 * MEGABYTE


def test_long_lists_and_texts_are_shortened_for_the_eye() -> None:
    values = {"asins": [f"B{number:09}" for number in range(100_000)], "word": "w" * 1_000}
    text = "".join(
        piece.text for piece in preview("x IN ({{asins}}), {{word}}", values, max_items=2, max_characters=20)
    )
    assert text == f"x IN ('B000000000', 'B000000001', … 99,998 more), '{'w' * 19}… 982 more characters"


def test_without_limits_nothing_is_shortened() -> None:
    assert "".join(piece.text for piece in preview(EVERY_PLACE, VALUES)) == substitute(EVERY_PLACE, VALUES)
