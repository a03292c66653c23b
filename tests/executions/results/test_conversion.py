"""Conversion: every value comes back as it was, in its order, with the best type that changes nothing."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.results.columns import Kind, ResultFacts, read_facts
from executions.results.conversion import convert
from executions.results.errors import ResultError
from executions.results.paging import page
from instances.amc.executions import OutputColumn
from tests.executions.results.conftest import MakeResult


def kinds(facts: ResultFacts) -> list[str]:
    return [column.kind.value for column in facts.columns]


def values(path: Path) -> list[str | None]:
    """The first column."""
    return [row[0] for row in page(path, size=1000).rows]


@pytest.mark.parametrize(
    ("cells", "declared", "kind", "sql_type"),
    [
        (["1", "-5", "0"], None, "integer", "BIGINT"),
        (["9223372036854775807", "-9223372036854775808"], "LONG", "integer", "BIGINT"),
        (["1234567890123456789"], None, "integer", "BIGINT"),
        # One beyond 64 bits.
        (["9223372036854775808", "1"], "LONG", "decimal", "DECIMAL(19, 0)"),
        (["1" * 38], None, "decimal", "DECIMAL(38, 0)"),
        (["1" * 39], None, "text", "VARCHAR"),
        (["1" * 39], "LONG", "text", "VARCHAR"),
        (["007", "8"], None, "text", "VARCHAR"),
        (["007", "8"], "LONG", "text", "VARCHAR"),
        (["-0", "+5", "1e3", " 5", "5 ", "1_000", "١"], "LONG", "text", "VARCHAR"),
        (["1234567890123456789"], "STRING", "text", "VARCHAR"),
        (["0.10", "12.50"], None, "decimal", "DECIMAL(4, 2)"),
        (["123456789012345678901.12345678901234567"], "DECIMAL", "decimal", "DECIMAL(38, 17)"),
        (["-0.12345678901234567", "5"], None, "decimal", "DECIMAL(18, 17)"),
        (["1234567890123456789012.12345678901234567"], "DECIMAL", "text", "VARCHAR"),
        (["1.5E10", "0.25"], None, "double", "DOUBLE"),
        (["0.30000000000000004", "1e-7", "NaN", "-Infinity", ".5"], "DOUBLE", "double", "DOUBLE"),
        # An article number, not a power of ten.
        (["12E5", "13E5"], None, "text", "VARCHAR"),
        (["1e999"], None, "text", "VARCHAR"),
        (["2026-10-01", "2024-02-29"], None, "date", "DATE"),
        (["2026-02-30"], "DATE", "text", "VARCHAR"),
        (["2026-10-01T00:00:00.000Z", "1999-12-31 23:59:59"], None, "timestamp", "TIMESTAMP"),
        (["2026-10-01T00:00:00.123456Z"], "TIMESTAMP", "timestamp", "TIMESTAMP"),
        # Finer than microseconds.
        (["2026-10-01T00:00:00.123456789Z"], "TIMESTAMP", "text", "VARCHAR"),
        (["2026-10-01T00:00:00+02:00"], "TIMESTAMP", "text", "VARCHAR"),
        (["0000-01-01T00:00:00Z"], "TIMESTAMP", "text", "VARCHAR"),
        (["true", "false"], None, "boolean", "BOOLEAN"),
        (["true", "maybe"], "BOOLEAN", "text", "VARCHAR"),
        (["[a, b]"], "ARRAY", "text", "VARCHAR"),
        ([""], None, "text", "VARCHAR"),
        ([""], "LONG", "integer", "BIGINT"),
        ([""], "DECIMAL", "decimal", "DECIMAL(1, 0)"),
        (["5"], "SOMETHING_NEW", "text", "VARCHAR"),
    ],
)
def test_a_type_is_taken_only_if_no_value_changes_in_it(
    make_result: MakeResult, cells: list[str], declared: str | None, kind: str, sql_type: str
) -> None:
    text = "v,other\n" + "".join(f'"{cell}",x\n' if cell else ",x\n" for cell in cells)
    path, facts = make_result(text, {"v": declared, "other": "STRING"} if declared else None)
    assert (facts.columns[0].kind, facts.columns[0].sql_type) == (kind, sql_type)
    shown = values(path)
    if kind in {"integer", "decimal", "text", "date", "boolean"} and cells != [""]:
        assert shown == cells or [float(str(cell)) for cell in shown] == [float(cell) for cell in cells]


def test_decimals_with_seventeen_places_are_exact(make_result: MakeResult) -> None:
    path, _ = make_result("v\n12345678901234567890.12345678901234567\n-0.00000000000000001\n", {"v": "DECIMAL"})
    assert values(path) == ["12345678901234567890.12345678901234567", "-0.00000000000000001"]


def test_a_value_late_in_the_file_decides_about_the_type_too(make_result: MakeResult) -> None:
    lines = [str(number) for number in range(300_000)]
    path, facts = make_result("v\n" + "\n".join([*lines, "12.5", ""]))
    assert kinds(facts) == ["decimal"]
    path, facts = make_result("v\n" + "\n".join([*lines, "n/a", ""]))
    assert kinds(facts) == ["text"]
    assert page(path, offset=300_000, size=1).rows == (("n/a",),)


def test_null_and_empty_text_are_told_apart(make_result: MakeResult) -> None:
    path, _ = make_result('t,n\n,1\n"",\nx,""\n')
    assert page(path).rows == ((None, "1"), ("", None), ("x", None))
    # Without a quoted nothing the file is not read a second time.
    path, facts = make_result('t,n\n,1\nx,\n"say ""hi""",3\n')
    assert page(path).rows == ((None, "1"), ("x", None), ('say "hi"', "3"))
    assert kinds(facts) == ["text", "integer"]


NASTY = [
    "=cmd|' /C calc'!A0",
    'She said ""hi""'.replace('""', '"'),
    "two\nlines",
    "two\r\nlines",
    "lone\rreturn",
    " lead, trail ",
    "日本語 😀 e\u0301 \u202e",
    "\x00nul\x00",
    "\\",
    '\\"',
    "'",
    "NULL",
    "\ufeffmark",
    "a" * 200_000,
    "1,2\n3,4\n5,6",
]


def test_nasty_texts_come_back_as_they_were(make_result: MakeResult) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["v", "n"])
    writer.writerows([text, place] for place, text in enumerate(NASTY))
    path, facts = make_result(file.getvalue())
    assert page(path, size=100).rows == tuple((text, str(place)) for place, text in enumerate(NASTY))
    assert facts.rows == len(NASTY)


# Not: half characters, which UTF-8 cannot carry. An empty text written by `csv` is NULL.
_CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "0", "-1", "1.50", "true", "2026-10-01", '"', "\n", "\r\n", ",", "\t", "1e5"]
)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(_CELLS, min_size=width, max_size=width), max_size=8))
)
def test_any_table_of_texts_comes_back(table: list[list[str]]) -> None:
    width = len(table[0]) if table else 2
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow([f"c{place}" for place in range(width)])
    writer.writerows(table)
    declared = [OutputColumn(f"c{place}", "STRING", "") for place in range(width)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "s.csv", Path(folder) / "t.parquet"
        source.write_bytes(file.getvalue().encode())
        facts = convert(source, target, columns=declared)
        assert page(target).rows == tuple(tuple(row) for row in table)
        # Without declarations types are guessed, and still nothing changes but the way empty fields are shown.
        convert(source, target, columns=None)
        guessed = page(target).rows
    assert facts.rows == len(table)
    for place in range(width):
        before = [row[place] for row in table]
        after = [row[place] for row in guessed]
        if before != after:
            assert [_meaning(cell) for cell in before] == [_meaning(cell) for cell in after]


def _meaning(cell: str | None) -> object:
    """A value without the freedom of its writing: empty, upper case, tail of zeros."""
    try:
        return float(cell or "nan") if cell else None
    except ValueError:
        return str(cell).lower()


def test_only_a_header_gives_columns_and_no_rows(make_result: MakeResult) -> None:
    path, facts = make_result("campaign,spend\n", {"campaign": "STRING", "spend": "DECIMAL"})
    assert (facts.rows, kinds(facts)) == (0, ["text", "decimal"])
    assert page(path, sort=[("spend", "desc")], search="x").rows == ()
    assert page(path).total == 0


def test_headers_that_repeat_or_are_missing_get_names_of_their_own(make_result: MakeResult) -> None:
    path, facts = make_result('a,A,,a,a (2),"",file_row_number,"x""y; DROP TABLE t"\n1,2,3,4,5,6,7,8\n')
    names = [column.name for column in facts.columns]
    assert names == [
        "a",
        "A (3)",
        "column 3",
        "a (4)",
        "a (2)",
        "column 6",
        "file_row_number (2)",
        'x"y; DROP TABLE t',
    ]
    assert [column.header for column in facts.columns][:4] == ["a", "A", "", "a"]
    assert page(path, sort=[(name, "desc") for name in names]).rows == (tuple("12345678"),)


def test_declarations_are_found_by_place_or_by_name(make_result: MakeResult) -> None:
    _, facts = make_result("a,b\n1,2\n", {"B": "STRING", "other": "LONG"})
    assert [(column.kind, column.data_type) for column in facts.columns] == [("integer", ""), ("text", "STRING")]


def test_duplicate_names_take_their_declarations_by_place(tmp_path: Path) -> None:
    source, target = tmp_path / "r.csv", tmp_path / "r.parquet"
    source.write_text("a,a\n1,2\n")
    declared = [OutputColumn("a", "STRING", "DIMENSION"), OutputColumn("a", "LONG", "METRIC")]
    facts = convert(source, target, columns=declared)
    assert [(column.kind, column.column_type) for column in facts.columns] == [
        (Kind.TEXT, "DIMENSION"),
        (Kind.INTEGER, "METRIC"),
    ]


def test_the_file_knows_its_facts(make_result: MakeResult) -> None:
    path, facts = make_result('"it\'s","日本"\n1,2.5\n', {"it's": "LONG", "日本": "DECIMAL"})
    assert read_facts(path) == facts
    assert (facts.bytes, facts.parquet_bytes) == (len('"it\'s","日本"\n1,2.5\n'.encode()), path.stat().st_size)


def test_the_parquet_file_has_the_result_and_nothing_else(make_result: MakeResult) -> None:
    path, _ = make_result("id,day\n1234567890123456789,2026-10-01\n")
    stored = duckdb.read_parquet(str(path))
    assert (stored.columns, [str(kind) for kind in stored.types]) == (["id", "day"], ["BIGINT", "DATE"])


def test_rows_keep_their_order_over_many_groups(make_result: MakeResult) -> None:
    numbers = [(number * 7919) % 200_003 for number in range(200_003)]
    path, _ = make_result("v,t\n" + "".join(f'{number},"line\n{number}"\n' for number in numbers))
    for offset in (0, 16_380, 199_990):
        assert [row[0] for row in page(path, offset=offset, size=13).rows] == [
            str(number) for number in numbers[offset : offset + 13]
        ]


def test_text_that_looks_like_rows_is_not_split_between_readers(make_result: MakeResult) -> None:
    # Larger than the reader's buffers, so that a second reader would have to begin inside a field.
    trap = "1,2\n" * 100_000
    path, facts = make_result("a,b\n" + f'"{trap}",5\n' * 30)
    assert facts.rows == 30
    assert page(path, filters=(), offset=29, size=1).rows == ((trap, "5"),)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n3\n", b"a,b\n1,\xff\n", b"", b'a,b\n1,"x\n'])
def test_a_refused_file_leaves_the_old_result_and_nothing_beside_it(tmp_path: Path, content: bytes) -> None:
    source, target = tmp_path / "r.csv", tmp_path / "r.parquet"
    target.write_bytes(b"the old one")
    source.write_bytes(content)
    with pytest.raises(ResultError):
        convert(source, target, columns=None)
    assert target.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.parquet"]


def test_a_row_longer_than_the_reader_takes_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    cell = "x" * 1_200_000
    source.write_text(f'a,b\n"{cell}\n","{cell}"\n')
    with pytest.raises(ResultError, match="cannot be read as CSV"):
        convert(source, tmp_path / "r.parquet", columns=None)


def test_a_success_leaves_no_file_but_the_result(make_result: MakeResult) -> None:
    path, _ = make_result("a\n1\n")
    assert sorted(file.name for file in path.parent.iterdir()) == ["result.csv", "result.parquet"]


def test_a_result_with_very_many_columns_is_converted(make_result: MakeResult) -> None:
    header = ",".join(f"c{place}" for place in range(120))
    row = ",".join(str(place) if place % 2 else f"text {place}" for place in range(120))
    path, facts = make_result("\n".join([header, *([row] * 2100), ""]))
    assert kinds(facts) == ["text", "integer"] * 60
    names, values = header.split(","), row.split(",")
    for start in range(0, 120, 40):
        shown = page(path, offset=2099, columns=names[start : start + 40])
        assert shown.rows == (tuple(values[start : start + 40]),)


def test_long_rows_get_more_memory_instead_of_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, target = tmp_path / "r.csv", tmp_path / "r.parquet"
    cell = 'say "hi"\n' * 400
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b"])
        writer.writerows([number, cell] for number in range(2100))
    facts = convert(source, target, columns=None, memory_limit_mb=6)
    assert facts.rows == 2100
    assert "more memory" in caplog.text
    assert page(target, offset=2099).rows == (("2099", cell),)
