"""XLSX exports, read back by another library."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from executions.results.spreadsheets import MAX_TEXT, SpreadsheetLimitError, export_xlsx
from tests.executions.results.conftest import MakeResult
from tests.large_results import write_result, write_wide


def read(content: io.BytesIO) -> list[tuple[Any, ...]]:
    return list(load_workbook(content)["Result"].iter_rows(values_only=True))


def test_every_kind_becomes_the_right_cell(make_result: MakeResult) -> None:
    path, _ = make_result(
        "campaign_id,big,clicks,spend,ctr,day,seen,is_new,name\n"
        "77,1234567890123456789,5,10.25,0.5,2026-10-01,2026-10-01T08:30:00.000Z,true,=1+1\n"
        "78,1,-3,-0.25,1.5E10,1850-01-01,1850-01-01T00:00:00.000Z,false,http://example.test\n"
        ",,,,,,,,\n"
        "79,2,,,,,,,\n"
    )
    content = io.BytesIO()
    facts = export_xlsx(path, content)
    header, first, second, third, fourth = read(content)
    assert header[:2] == ("campaign_id", "big")
    seen = dt.datetime(2026, 10, 1, 8, 30)  # noqa: DTZ001 - spreadsheets know no zones
    day = dt.datetime(2026, 10, 1)  # noqa: DTZ001
    assert first == ("77", "1234567890123456789", 5, 10.25, 0.5, day, seen, True, "=1+1")
    assert second == (
        "78",
        "1",
        -3,
        -0.25,
        1.5e10,
        "1850-01-01",
        "1850-01-01 00:00:00",
        False,
        "http://example.test",
    )
    assert third == (None,) * 9
    assert fourth == ("79", "2", *[None] * 7)
    assert (facts.rows, facts.shortened) == (4, 0)


def test_no_text_is_ever_a_formula_or_a_link(make_result: MakeResult) -> None:
    path, _ = make_result('"=H()",b\n"=HYPERLINK(""http://x"")",@a\n{=1},+1\n')
    content = io.BytesIO()
    export_xlsx(path, content)
    with zipfile.ZipFile(content) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
        assert b"<f>" not in sheet
        assert b"hyperlink" not in sheet.replace(b"HYPERLINK", b"")
    assert [row[0] for row in read(content)] == ["=H()", '=HYPERLINK("http://x")', "{=1}"]
    assert all(cell.data_type == "s" for row in load_workbook(content)["Result"].iter_rows() for cell in row)


def test_texts_longer_than_a_cell_are_shortened_and_counted(make_result: MakeResult) -> None:
    path, _ = make_result(f"a\n{'x' * 40_000}\n{'y' * MAX_TEXT}\n")
    content = io.BytesIO()
    assert export_xlsx(path, content).shortened == 1
    cells = [row[0] for row in read(content)][1:]
    assert cells == ["x" * (MAX_TEXT - 1) + "…", "y" * MAX_TEXT]


def test_control_characters_and_unicode_survive(make_result: MakeResult) -> None:
    path, _ = make_result('a\n"日本 😀\n\tx"\n<&>\n')
    content = io.BytesIO()
    export_xlsx(path, content)
    assert [row[0] for row in read(content)] == ["a", "日本 😀\n\tx", "<&>"]


def test_nan_is_text_because_a_cell_cannot_hold_it(make_result: MakeResult) -> None:
    path, _ = make_result("a\nNaN\n1.5\n", {"a": "DOUBLE"})
    content = io.BytesIO()
    export_xlsx(path, content)
    assert [row[0] for row in read(content)] == ["a", "NaN", 1.5]


def test_a_result_that_does_not_fit_is_refused_before_anything_is_written(make_result: MakeResult) -> None:
    path, _ = make_result("a\n1\n2\n3\n")
    content = io.BytesIO()
    with pytest.raises(SpreadsheetLimitError, match="holds 2 rows here and this result has 3.*CSV or Parquet"):
        export_xlsx(path, content, limit=2)
    assert content.getvalue() == b""
    assert export_xlsx(path, content, limit=3).rows == 3


def test_a_result_without_rows_is_a_header(make_result: MakeResult) -> None:
    path, _ = make_result("a,b\n")
    content = io.BytesIO()
    assert export_xlsx(path, content).rows == 0
    assert read(content) == [("a", "b")]


def test_a_sheet_of_several_batches_keeps_every_row(make_result: MakeResult) -> None:
    path, _ = make_result("a\n" + "".join(f"{number}\n" for number in range(5000)))
    content = io.BytesIO()
    export_xlsx(path, content)
    assert [row[0] for row in read(content)][1:] == list(range(5000))


def test_wide_rows_are_taken_few_at_a_time(tmp_path: Path) -> None:
    write_result(tmp_path / "r.csv", tmp_path / "r.parquet", 200, columns=1_000)
    heard: list[int] = []
    content = io.BytesIO()
    assert export_xlsx(tmp_path / "r.parquet", content, progress=heard.append).rows == 200
    assert sorted(set(heard)) == [100, 200]


def test_wide_results_are_written_in_bounded_memory(tmp_path: Path) -> None:
    path = write_wide(tmp_path / "r.parquet", 20, 2_000)
    content = io.BytesIO()
    # Read at once, so many columns are more than a page may use.
    assert export_xlsx(path, content).rows == 20
    header, first, *_, last = read(content)
    assert (header[0], header[-1], len(header)) == ("column 1 text", "column 2000 double", 2_000)
    assert (first[0], first[1], last[1], last[1_996]) == ("t0", 1, 20, 1_996 + 19)


def test_long_numbers_are_found_in_every_column_of_a_wide_result(make_result: MakeResult) -> None:
    header = ",".join(f"c{number}" for number in range(150))
    values = ",".join(["1"] * 149)
    path, _ = make_result(f"{header}\n{values},1234567890123456\n{values},2\n")
    content = io.BytesIO()
    export_xlsx(path, content)
    assert [row[-1] for row in read(content)] == ["c149", "1234567890123456", "2"]
