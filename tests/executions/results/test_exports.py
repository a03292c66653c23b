"""CSV exports: the original to the byte, or safe for spreadsheets."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from executions.results.errors import ResultError
from executions.results.exports import export_csv
from executions.results.paging import page
from tests.executions.results.conftest import MakeResult
from tests.large_results import write_wide


def records(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def safe(path: Path) -> list[list[str]]:
    return records(b"".join(export_csv(path)))


CELLS = [
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    ("+491234", "'+491234"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("-2+3", "'-2+3"),
    ("-", "'-"),
    ("\t=1", "'\t'=1"),
    ("a;=1", "a;'=1"),
    ("1,-2", "1,'-2"),
    ("\r=1", "'\r=1"),
    ("\n=1", "'\n=1"),
    ("＝1+1", "'＝1+1"),
    ("-12.5", "-12.5"),
    ("-1.5E-7", "-1.5E-7"),
    ("a=b", "a=b"),
    (" =1", " =1"),
    ("two\n=lines", "two\n=lines"),
    ("007", "'007"),
    ("0", "0"),
    ("0.5", "0.5"),
    ("123456789012345", "123456789012345"),
    ("1234567890123456", "'1234567890123456"),
    ("-1234567890123456789", "'-1234567890123456789"),
    ("0.12345678901234567", "0.12345678901234567"),
    ('say "hi", you', 'say "hi", you'),
    ("日本 😀", "日本 😀"),
    ("'", "'"),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_cell_is_safe_for_spreadsheets(make_result: MakeResult, suffix: str) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["v", "n"])
    writer.writerows([cell, place] for place, (cell, _) in enumerate(CELLS))
    path, _ = make_result(file.getvalue())
    exported = safe(path.with_suffix(f".{suffix}"))
    assert exported == [["v", "n"], *([guarded, str(place)] for place, (_, guarded) in enumerate(CELLS))]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_headers_are_made_safe_too(make_result: MakeResult, suffix: str) -> None:
    path, _ = make_result('"=1+1","a,b","x""y"\n1,2,3\n')
    assert safe(path.with_suffix(f".{suffix}")) == [["'=1+1", "a,b", 'x"y'], ["1", "2", "3"]]


def test_typed_columns_keep_their_numbers(make_result: MakeResult) -> None:
    path, _ = make_result(
        "id,spend,ratio,day,seen,is_new\n1234567890123456789,-10.50,-0.25,2026-10-01,2026-10-01T08:00:00.000Z,true\n,,,,,\n",
        {"ratio": "DOUBLE"},
    )
    assert safe(path)[1:] == [
        ["'1234567890123456789", "-10.50", "-0.25", "2026-10-01", "2026-10-01 08:00:00", "true"],
        [""] * 6,
    ]
    plain = records(b"".join(export_csv(path, spreadsheet_safe=False)))
    assert plain[1][0] == "1234567890123456789"


def test_spreadsheets_are_told_the_encoding(make_result: MakeResult) -> None:
    path, _ = make_result("é\nü\n")
    for file in (path, path.with_suffix(".csv")):
        assert b"".join(export_csv(file)).startswith(b"\xef\xbb\xbf")
        assert not b"".join(export_csv(file, spreadsheet_safe=False)).startswith(b"\xef\xbb\xbf")


def test_the_original_csv_stays_as_it_is(make_result: MakeResult) -> None:
    text = 'a,"b"\n"=1",007\n,"x\r\ny"\n'
    path, _ = make_result(text)
    assert b"".join(export_csv(path.with_suffix(".csv"), spreadsheet_safe=False)) == text.encode()


def test_a_csv_made_of_parquet_reads_back_the_same(make_result: MakeResult) -> None:
    path, facts = make_result('t,n,d\n"",1,0.00000000000000001\n,,\n"a""b\r\n,c",2,1.5\n=1,3,\n')
    before = page(path).rows
    content = b"".join(export_csv(path, spreadsheet_safe=False))
    again, facts_again = make_result(content.decode())
    assert (page(again).rows, facts_again.columns) == (before, facts.columns)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_only_a_header_exports_only_a_header(make_result: MakeResult, suffix: str) -> None:
    path, _ = make_result("a,b\n")
    assert b"".join(export_csv(path.with_suffix(f".{suffix}"))) == b"\xef\xbb\xbfa,b\r\n"


def test_an_export_comes_in_pieces_and_in_order(make_result: MakeResult) -> None:
    path, _ = make_result("v\n" + "".join(f"{number}\n" for number in range(100_000)))
    for file in (path, path.with_suffix(".csv")):
        chunks = list(export_csv(file))
        assert max(map(len, chunks)) < 100_000
        assert b"".join(chunks).decode("utf-8-sig").split() == ["v", *map(str, range(100_000))]


def test_an_export_given_up_half_way_closes_what_it_opened(make_result: MakeResult) -> None:
    path, _ = make_result("v\n" + "".join(f"{number}\n" for number in range(50_000)))
    chunks = export_csv(path)
    assert next(iter(chunks)) == b"\xef\xbb\xbf"
    next(chunks)
    chunks.close()
    assert page(path).total == 50_000


def test_a_missing_file_is_an_error_before_the_first_byte(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="gone"):
        export_csv(tmp_path / "none.parquet")


@pytest.mark.parametrize("columns", [99, 100, 101, 250])
def test_wide_results_have_the_same_fields_as_narrow_ones(make_result: MakeResult, columns: int) -> None:
    cells = [CELLS[place % len(CELLS)] for place in range(columns)]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([f"=c{place}" for place in range(columns)])
    writer.writerow([cell for cell, _ in cells])
    writer.writerow([""] * columns)
    path, _ = make_result(file.getvalue(), {f"=c{place}": "STRING" for place in range(columns)})
    header, guarded, empty = safe(path)
    assert header == [f"'=c{place}" for place in range(columns)]
    assert guarded == [expected for _, expected in cells]
    assert empty == [""] * columns
    plain = records(b"".join(export_csv(path, spreadsheet_safe=False)))
    assert plain[1] == [cell for cell, _ in cells]


def test_infinity_stays_a_number_in_a_wide_result(make_result: MakeResult) -> None:
    header = ",".join(f"c{place}" for place in range(120))
    path, _ = make_result(f"{header}\n{','.join(['-Infinity'] * 120)}\n", {"c5": "DOUBLE"})
    line = safe(path)[1]
    assert (line[4], line[5]) == ("'-Infinity", "-inf")


def test_rows_of_wide_results_come_in_their_order(tmp_path: Path) -> None:
    path = write_wide(tmp_path / "r.parquet", 450, 2_500)
    chunks = list(export_csv(path))
    # A mark and the titles, then few rows at a time: all columns at once would not fit the memory.
    assert len(chunks) == 4
    lines = records(b"".join(chunks))[1:]
    assert [line[1] for line in lines] == [str(number + 1) for number in range(450)]
    assert [line[2_496] for line in lines] == [str(number + 2_496) for number in range(450)]
