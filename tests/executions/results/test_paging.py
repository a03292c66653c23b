"""Pages: order, ties, NULL, filters, search, and values that try to be SQL."""

from __future__ import annotations

import random
from pathlib import Path
from unittest import mock

import pytest

from executions.results import paging
from executions.results.connection import FileQueries
from executions.results.errors import ResultError, ResultTimeoutError
from executions.results.filters import Filter
from executions.results.paging import MAX_SIZE, SHOWN_COLUMNS, page
from tests.executions.results.conftest import MakeResult
from tests.large_results import write_wide

TABLE = """id,name,spend,day,seen,is_new
1,Alpha,10.50,2026-10-01,2026-10-01T08:00:00.000Z,true
2,beta,,2026-10-02,2026-10-02T08:30:00.500Z,false
3,"it's 100%",-3.25,,2026-10-03T00:00:00.000Z,
4,,10.50,2026-10-01,,true
9007199254740993,ALPHA beta,0.00,2026-09-30,2026-09-30T23:59:59.000Z,false
"""


@pytest.fixture
def table(make_result: MakeResult) -> Path:
    return make_result(TABLE)[0]


def ids(path: Path, **asked: object) -> list[str | None]:
    return [row[0] for row in page(path, **asked).rows]  # type: ignore[arg-type]


def test_values_are_ready_to_be_shown(table: Path) -> None:
    shown = page(table)
    assert shown.rows[0] == ("1", "Alpha", "10.50", "2026-10-01", "2026-10-01 08:00:00", "true")
    assert shown.rows[1] == ("2", "beta", None, "2026-10-02", "2026-10-02 08:30:00.5", "false")
    assert shown.rows[4][0] == "9007199254740993"
    assert (shown.total, shown.filtered, shown.offset) == (5, 5, 0)
    assert [column.name for column in shown.columns] == ["id", "name", "spend", "day", "seen", "is_new"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ([("spend", "asc")], "3 5 1 4 2"),
        ([("spend", "desc")], "1 4 5 3 2"),
        ([("day", "desc"), ("name", "desc")], "2 1 4 5 3"),
        ([("is_new", "asc")], "2 5 1 4 3"),
        ([("name", "asc")], "5 1 2 3 4"),
        ([], "1 2 3 4 5"),
    ],
)
def test_rows_are_sorted_with_null_last_and_ties_in_their_order(
    table: Path, sort: list[tuple[str, str]], expected: str
) -> None:
    assert [
        identifier and identifier[:1].replace("9", "5") for identifier in ids(table, sort=sort)
    ] == expected.split()


@pytest.mark.parametrize(
    ("column", "op", "value", "expected"),
    [
        ("name", "equals", "Alpha", "1"),
        ("name", "equals", "alpha", ""),
        ("name", "not_equals", "Alpha", "2 3 4 9"),
        ("name", "contains", "ALPHA", "1 9"),
        ("name", "contains", "%", "3"),
        ("name", "contains", "_", ""),
        ("name", "starts_with", "alpha b", "9"),
        ("name", "greater", "b", "2 3"),
        ("name", "in", ["beta", "it's 100%"], "2 3"),
        ("name", "in", "beta", "2"),
        ("name", "is_null", None, "4"),
        ("name", "is_not_null", None, "1 2 3 9"),
        ("id", "equals", "9007199254740993", "9"),
        ("id", "equals", "9007199254740992", ""),
        ("id", "greater", "2.5", "3 4 9"),
        ("id", "at_least", "3", "3 4 9"),
        ("id", "less", "99999999999999999999999", "1 2 3 4 9"),
        ("id", "in", ["1", "4"], "1 4"),
        ("id", "contains", "0719", "9"),
        ("spend", "equals", "10.5", "1 4"),
        ("spend", "less", "0.001", "3 9"),
        ("spend", "at_most", "0", "3 9"),
        ("spend", "equals", "1050e-2", "1 4"),
        ("spend", "is_null", "", "2"),
        ("day", "greater", "2026-10-01", "2"),
        ("day", "equals", "2026-10-01", "1 4"),
        ("seen", "at_least", "2026-10-02", "2 3"),
        ("seen", "less", "2026-10-01 10:00+02:00", "9"),
        ("seen", "less", "2026-10-01 10:00:01+02:00", "1 9"),
        ("is_new", "equals", "Yes", "1 4"),
        ("is_new", "in", ["false"], "2 9"),
    ],
)
def test_filters_compare_by_the_columns_type(
    table: Path, column: str, op: str, value: object, expected: str
) -> None:
    filters = [Filter(column, op, value)]  # type: ignore[arg-type]
    found = page(table, filters=filters)
    assert [str(row[0])[:1] for row in found.rows] == expected.split()
    assert (found.filtered, found.total) == (len(expected.split()), 5)


@pytest.mark.parametrize(
    ("column", "op", "value", "words"),
    [
        ("id", "equals", "abc", "does not fit"),
        ("id", "equals", "NaN", "does not fit"),
        ("id", "equals", "1e999999", "does not fit"),
        ("spend", "greater", "9" * 39, "does not fit"),
        ("spend", "greater", "", "does not fit"),
        ("spend", "in", [], "between 1 and"),
        ("spend", "in", ["1"] * 1001, "between 1 and"),
        ("spend", "greater", ["1"], "needs one value"),
        ("spend", "greater", None, "needs one value"),
        ("day", "equals", "01.10.2026", "2026-10-01"),
        ("seen", "equals", "yesterday", "2026-10-01 13:30"),
        ("is_new", "equals", "perhaps", "true or false"),
        ("name", "like", "x", "no way to compare"),
        ("nothing", "equals", "x", "no column"),
    ],
)
def test_filters_that_make_no_sense_say_what_to_write(
    table: Path, column: str, op: str, value: object, words: str
) -> None:
    with pytest.raises(ResultError, match=words):
        page(table, filters=[Filter(column, op, value)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.5", 1),
        ("123456789012345678901.12345678901234567", 1),
        ("123456789012345678901.12345678901234568", 2),
        ("-" + "9" * 21, 0),
    ],
)
def test_decimals_are_compared_to_the_last_digit(make_result: MakeResult, value: str, expected: int) -> None:
    path, _ = make_result("v\n123456789012345678901.12345678901234567\n1\n", {"v": "DECIMAL"})
    assert page(path, filters=[Filter("v", "less", value)]).filtered == expected


@pytest.mark.parametrize("value", ["9" * 38, "0." + "1" * 37])
def test_numbers_the_column_cannot_be_compared_with_are_refused(make_result: MakeResult, value: str) -> None:
    path, _ = make_result("v\n123456789012345678901.12345678901234567\n", {"v": "DECIMAL"})
    with pytest.raises(ResultError, match="more digits"):
        page(path, filters=[Filter("v", "less", value)])


HOSTILE = ["id; DROP TABLE x", 'id" OR 1=1 --', "id\x00", '"id"', "(SELECT 1)", "1", "file_row_number", "ID ", ""]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_no_columns_are_refused_everywhere(table: Path, name: str) -> None:
    with pytest.raises(ResultError, match="no column"):
        page(table, sort=[(name, "asc")])
    with pytest.raises(ResultError, match="no column"):
        page(table, filters=[Filter(name, "is_null")])


@pytest.mark.parametrize("direction", ["", "ASC; DROP TABLE x", "asc nulls first", "DESC"])
def test_directions_are_one_of_two_words(table: Path, direction: str) -> None:
    with pytest.raises(ResultError, match="asc or desc"):
        page(table, sort=[("id", direction)])


@pytest.mark.parametrize("value", ["' OR '1'='1", "'; DROP TABLE x; --", "?", "$1", "{0}", "\x00", "\ud800", "%"])
def test_values_are_never_sql(make_result: MakeResult, value: str) -> None:
    path, _ = make_result("name\nplain\n")
    for op in ("equals", "contains", "starts_with", "in"):
        assert page(path, filters=[Filter("name", op, value)]).filtered == 0
    assert page(path, search=value).filtered == 0


def test_odd_column_names_are_sorted_and_filtered(make_result: MakeResult) -> None:
    path, facts = make_result('"a""b","SELECT","é\n?",{0}\n1,2,3,4\n5,6,7,8\n')
    for place, column in enumerate(facts.columns):
        found = page(path, sort=[(column.name, "desc")], filters=[Filter(column.name, "greater", str(place + 1))])
        assert [row[0] for row in found.rows] == ["5"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [("ALPHA", "1 9"), ("10.50", "1 4"), ("2026-10-01 08", "1"), ("719925", "9"), ("100%", "3"), ("zzz", "")],
)
def test_search_looks_in_every_column_as_it_is_shown(table: Path, search: str, expected: str) -> None:
    assert [str(row[0])[:1] for row in page(table, search=search).rows] == expected.split()


def test_search_and_filters_hold_together(table: Path) -> None:
    found = page(table, search="alpha", filters=[Filter("is_new", "equals", "true"), Filter("id", "less", "5")])
    assert [row[0] for row in found.rows] == ["1"]


def test_every_row_is_on_exactly_one_page(make_result: MakeResult) -> None:
    random.seed(7)
    rows = [(number, random.choice(["", "1", "2", "3"]), random.randrange(5)) for number in range(397)]
    path, _ = make_result("n,key,other\n" + "".join(f"{n},{key},{other}\n" for n, key, other in rows))
    kept = [row for row in rows if row[2] != 4]
    for direction in ("asc", "desc"):
        sign = 1 if direction == "asc" else -1
        expected = sorted(kept, key=lambda row: (row[1] == "", sign * int(row[1] or 0)))
        seen: list[str | None] = []
        for offset in range(0, 400, 50):
            found = page(path, offset=offset, sort=[("key", direction)], filters=[Filter("other", "less", "4")])
            assert found.filtered == len(kept)
            seen += [row[0] for row in found.rows]
        assert seen == [str(row[0]) for row in expected]


def test_a_known_count_is_not_counted_again(table: Path) -> None:
    filters = [Filter("name", "contains", "alpha")]
    assert page(table, filters=filters, filtered=2).filtered == 2
    assert page(table, filters=filters, filtered=1, size=50).rows == page(table, filters=filters, size=1).rows


def test_a_page_behind_the_end_is_empty(table: Path) -> None:
    found = page(table, offset=500, sort=[("id", "asc")])
    assert (found.rows, found.filtered, found.offset) == ((), 5, 500)


@pytest.mark.parametrize(("offset", "size"), [(-1, 50), (0, 0), (0, MAX_SIZE + 1)])
def test_impossible_pages_are_a_bug_of_the_caller(table: Path, offset: int, size: int) -> None:
    with pytest.raises(ValueError, match="A page begins"):
        page(table, offset=offset, size=size)


def test_a_page_is_given_up_after_its_time(make_result: MakeResult) -> None:
    path, _ = make_result("v\n" + "".join(f"{'x' * 40}{number}\n" for number in range(300_000)))
    with pytest.raises(ResultTimeoutError):
        page(path, search="y", timeout_seconds=0.0001)


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("column", ["text", "number", "double", "day", "truth"])
def test_first_page_is_found_and_counted_in_one_look(make_result: MakeResult, column: str, direction: str) -> None:
    random.seed(11)
    choices = {
        "text": ["", "a", "B", "é", "a\0b", '""'],
        "number": ["", "-5", "5", "40", "9223372036854775807"],
        "double": ["", "NaN", "-Infinity", "Infinity", "-0.5", "1E300"],
        "day": ["", "2026-10-01", "1850-01-01"],
        "truth": ["", "true", "false"],
    }
    lines = [",".join(random.choice(values) for values in choices.values()) for _ in range(300)]
    path, _ = make_result(f"{','.join(choices)}\n" + "\n".join(lines), {"double": "DOUBLE"})
    asked = {"filters": [Filter("text", "not_equals", "B")], "sort": [(column, direction)]}
    with mock.patch.object(FileQueries, "_fetch", autospec=True, side_effect=FileQueries._fetch) as fetch:
        found = page(path, size=80, offset=80, **asked)  # type: ignore[arg-type]
    # One finds and counts, one reads the rows.
    assert fetch.call_count == 2
    assert 80 < found.filtered < 300
    assert found.rows == page(path, size=80, offset=80, filtered=found.filtered, **asked).rows  # type: ignore[arg-type]


def test_pages_far_behind_are_counted_first(make_result: MakeResult) -> None:
    path, _ = make_result("v\n" + "".join(f"x{number}\n" for number in range(2_500)))
    for offset in (900, 901, 2_400):
        found = page(path, search="x", offset=offset, size=100)
        assert (found.filtered, found.rows[0]) == (2_500, (f"x{offset}",))


def test_a_wide_result_shows_its_first_columns(tmp_path: Path) -> None:
    path = write_wide(tmp_path / "r.parquet", 3, 2_000)
    shown = page(path)
    assert len(shown.columns) == len(shown.rows[0]) == SHOWN_COLUMNS
    assert (shown.column_count, shown.rows[2][1]) == (2_000, "3")


def test_chosen_columns_are_shown_in_their_order(table: Path) -> None:
    shown = page(table, columns=["day", "id"], sort=[("name", "desc")], filters=[Filter("is_new", "is_not_null")])
    assert [column.name for column in shown.columns] == ["day", "id"]
    assert shown.rows[0] == ("2026-10-02", "2")
    with pytest.raises(ResultError, match="no column"):
        page(table, columns=["day", "nothing"])


@pytest.mark.parametrize("count", [0, SHOWN_COLUMNS + 1])
def test_impossible_numbers_of_columns_are_a_bug_of_the_caller(table: Path, count: int) -> None:
    with pytest.raises(ValueError, match="columns"):
        page(table, columns=["id"] * count)


def test_a_wide_result_is_sorted_and_filtered_by_columns_that_are_not_shown(tmp_path: Path) -> None:
    path = write_wide(tmp_path / "r.parquet", 30, 1_000)
    found = page(
        path, sort=[("column 997 integer", "desc")], filters=[Filter("column 996 text", "contains", "t9")]
    )
    # 996 times the number of a row, of which two begin with a nine.
    assert [row[1] for row in found.rows] == ["11", "2"]


@pytest.mark.parametrize(("columns", "searched"), [(50, 50), (200, 200), (201, 50), (2_000, 50)])
def test_search_in_a_very_wide_result_looks_in_the_columns_shown(
    tmp_path: Path, columns: int, searched: int
) -> None:
    path = write_wide(tmp_path / "r.parquet", 4, columns)
    assert page(path, search="zzz").searched_columns == searched
    assert page(path, search="2026-01-04").filtered == 1
    chosen = page(path, columns=["column 46 text"], search="t0")
    assert chosen.searched_columns == (1 if columns > 200 else columns)
    assert [row[0] for row in chosen.rows] == ["t0"]


def test_search_in_very_many_cells_looks_in_the_columns_shown(tmp_path: Path) -> None:
    path = write_wide(tmp_path / "r.parquet", 4, 60)
    assert page(path, search="zzz").searched_columns == 60
    with mock.patch.object(paging, "MAX_SEARCHED_CELLS", 4 * 60 - 1):
        assert page(path, search="zzz").searched_columns == SHOWN_COLUMNS
