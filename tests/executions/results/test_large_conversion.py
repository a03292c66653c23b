"""Results beyond the first rows and the first thousand columns: the same types, the same faults, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from executions.results import inference, source
from executions.results.conversion import MAX_TYPED_COLUMNS, convert
from executions.results.errors import ResultError
from executions.results.paging import page
from tests.executions.results.conftest import MakeResult

# More than the first rows that are looked at.
MANY = 60_000


@pytest.fixture(autouse=True)
def _small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hundreds of rows stand for a million."""
    monkeypatch.setattr(inference, "_SAMPLE_VALUES", 100)
    monkeypatch.setattr(inference, "_SAMPLE_ROWS", 100)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small files only counted, as large ones are."""
    monkeypatch.setattr(source, "_SMALL_BYTES", 0)


@pytest.mark.parametrize(
    ("first", "late", "declared", "expected"),
    [
        ("5", "12.5", None, ("decimal", "DECIMAL(3, 1)")),
        ("5", "12.5", "LONG", ("decimal", "DECIMAL(3, 1)")),
        ("5", "007", "LONG", ("text", "VARCHAR")),
        ("5", "1e3", "LONG", ("text", "VARCHAR")),
        ("true", "yes", "BOOLEAN", ("text", "VARCHAR")),
        ("2026-10-01", "2026/10/02", "DATE", ("text", "VARCHAR")),
        ("2026-10-01", "-infinity", None, ("text", "VARCHAR")),
        ("2026-10-01T05:00:00Z", "2026-10-01T05:00:00+02:00", "TIMESTAMP", ("text", "VARCHAR")),
        ("5", "9223372036854775808", "LONG", ("decimal", "DECIMAL(19, 0)")),
        ("5", "n/a", "LONG", ("text", "VARCHAR")),
        ("5", "007", None, ("text", "VARCHAR")),
        ("1.5", "123456.25", None, ("decimal", "DECIMAL(8, 2)")),
        ("1.5", "123456.25", "DECIMAL", ("decimal", "DECIMAL(8, 2)")),
        ("1.5", "-0.0000000000000000000000000000000000000001", None, ("double", "DOUBLE")),
        ("1.5", "1" * 39, None, ("text", "VARCHAR")),
        ("1.5", "1.5E-7", "DECIMAL", ("double", "DOUBLE")),
        ("1.5E10", "2.5", None, ("double", "DOUBLE")),
        ("1.5", "NaN", "DOUBLE", ("double", "DOUBLE")),
        ("true", "maybe", None, ("text", "VARCHAR")),
        ("2026-10-01", "2026-10-01T05:00:00Z", None, ("text", "VARCHAR")),
        ("2026-10-01", "soon", "DATE", ("text", "VARCHAR")),
        ("2026-10-01T05:00:00Z", "2026-10-01 05:00:00.1234560000", None, ("timestamp", "TIMESTAMP")),
        ("", "5", None, ("integer", "BIGINT")),
        ("", "", None, ("text", "VARCHAR")),
        ("", "5", "LONG", ("integer", "BIGINT")),
        ("", "x", "LONG", ("text", "VARCHAR")),
        ('""', "5", None, ("integer", "BIGINT")),
        ("5", '""', None, ("integer", "BIGINT")),
        ("5", '""', "LONG", ("integer", "BIGINT")),
    ],
)
@pytest.mark.parametrize("others", [1, 150])
def test_the_type_is_that_of_all_values(
    make_result: MakeResult, first: str, late: str, declared: str | None, expected: tuple[str, str], others: int
) -> None:
    header = ",".join(["v", *(f"x{number}" for number in range(others))])
    rest = ",x" * others
    text = "\n".join([header, *[first + rest] * 400, late + rest, ""])
    types = {"v": declared, **{f"x{number}": "STRING" for number in range(others)}} if declared else None
    path, facts = make_result(text, types)
    assert (facts.columns[0].kind, facts.columns[0].sql_type) == expected
    assert facts.rows == 401
    if expected[0] == "text" and late:
        assert [row[0] for row in page(path, offset=399, size=2).rows] == [first or None, late]


def test_only_so_many_columns_have_types(make_result: MakeResult) -> None:
    width = MAX_TYPED_COLUMNS + 200
    header = ",".join(f"c{number}" for number in range(width))
    path, facts = make_result("\n".join([header, *[",".join(["7"] * width)] * 3, ""]))
    kinds = [column.kind for column in facts.columns]
    assert kinds == ["integer"] * MAX_TYPED_COLUMNS + ["text"] * 200
    assert facts.is_partly_typed
    assert page(path).total == 3


def test_declarations_count_for_the_columns_that_have_types(tmp_path: Path) -> None:
    from instances.amc.executions import OutputColumn

    csv, target = tmp_path / "r.csv", tmp_path / "r.parquet"
    names = [f"c{number}" for number in range(MAX_TYPED_COLUMNS + 1)]
    csv.write_text("\n".join([",".join(names), ",".join("7" for _ in names), ""]))
    facts = convert(csv, target, columns=[OutputColumn(name, "LONG", "METRIC") for name in names])
    assert (facts.columns[-1].kind, facts.columns[-1].data_type) == ("text", "LONG")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (b"1,2\n" * 3, 3),
        (b"1,2\r\n" * 3, 3),
        (b"1,2\n1,2", 2),
        (b'1,"x\ny"\n' * 3, 3),
        (b'"",""\n' * 3, 3),
        (b'1,"say ""hi"""\n' * 3, 3),
        (b'1,"""\n"""\n' * 3, 3),
        (b'1,"\n\n"\n' * 3, 3),
        (b'1,"x\ry"\n' * 3, 3),
        (b'1,say "hi\n' * 2, 2),
        (b"1,2\n\n\n", 1),
        (b"", 0),
    ],
)
@pytest.mark.parametrize("chunk", [1, 3, 100_000])
def test_records_that_are_only_counted_are_as_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: None, rows: bytes, expected: int, chunk: int
) -> None:
    monkeypatch.setattr(source, "_CHUNK_BYTES", chunk)
    path, target = tmp_path / "r.csv", tmp_path / "r.parquet"
    path.write_bytes((b"a,b\r\n" if b"\r\n" in rows else b"a,b\n") + rows)
    facts = convert(path, target, columns=None)
    assert (facts.rows, page(target).total) == (expected, expected)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (b"3\n", "line 60002 has 1 fields instead of 2"),
        (b"1,2,3\n", "line 60002 has 3 fields instead of 2"),
        (b"\n", "line 60002 is empty"),
        (b"1,\xff\n", "line 60002 is not UTF-8"),
        (b'1,"x"y\n', "line 60002 has a quote"),
        (b"1,2\r3,4\n", "line 60002 has a quote or a line break"),
        (b'1,"x\n', "line 60002 begins a quoted field that never ends"),
        (b"1," + b"x" * source.MAX_RECORD_BYTES + b"\n", "line 60002 is longer"),
    ],
)
@pytest.mark.parametrize("after", [b"", b"1,2\n" * 100])
def test_faults_deep_in_a_file_are_told_with_their_line(
    tmp_path: Path, counted: None, fault: bytes, words: str, after: bytes
) -> None:
    if fault == b"\n":
        # At the end it would be none.
        after = after or b"1,2\n"
    path = tmp_path / "r.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * MANY + fault + after)
    with pytest.raises(ResultError, match=words):
        convert(path, tmp_path / "r.parquet", columns=None)
    assert list(tmp_path.iterdir()) == [path]


def test_row_lost_in_an_open_quote_at_the_end_is_told(tmp_path: Path, counted: None) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * MANY + b'3,"x\n4,5\n')
    with pytest.raises(ResultError, match="never ends"):
        convert(path, tmp_path / "r.parquet", columns=None)


@pytest.mark.parametrize("names", ["key,value", "value,key"])
def test_names_that_a_map_has_are_names_like_others(tmp_path: Path, counted: None, names: str) -> None:
    path, target = tmp_path / "r.csv", tmp_path / "r.parquet"
    path.write_text(f"{names}\n" + "abc,12\n" * 500)
    facts = convert(path, target, columns=None)
    assert [column.name for column in facts.columns] == names.split(",")
    assert page(target, size=1).rows == (("abc", "12"),)


def test_of_a_large_file_no_records_are_kept(tmp_path: Path, counted: None) -> None:
    path = tmp_path / "r.csv"
    path.write_text("a,b\n" + "1,2\n" * 10)
    assert source.check_csv(path).records is None


@pytest.mark.parametrize("end", [b"", b"\r"])
def test_quoted_nothing_at_the_very_end_is_seen(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b'a,b\n1,2\n1,""' + end)
    assert source.check_csv(path).records is None
