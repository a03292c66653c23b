"""What our CSV files say to spreadsheets, and that we read them again."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amchelper.spreadsheets import guard, guard_sql, unguard

VALUES = st.text(alphabet="'=+-@\t\r＝－a1 0.;,", max_size=20)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(first: str) -> None:
    assert guard(f"{first}cmd") == f"'{first}cmd"
    assert guard(f"'{first}cmd") == f"''{first}cmd"


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝"])
def test_no_part_of_a_cell_is_a_formula_where_it_is_cut(separator: str, sign: str) -> None:
    assert guard(f"a{separator}{sign}cmd") == f"a{separator}'{sign}cmd"
    assert guard(f"a{separator}'{sign}cmd") == f"a{separator}''{sign}cmd"
    assert unguard(f"a{separator}'{sign}cmd") == f"a{separator}{sign}cmd"


@pytest.mark.parametrize("number", ["0306406152", "1441151880758558", "-0012", "007"])
def test_no_number_is_spoiled(number: str) -> None:
    assert guard(number) == f"'{number}"
    assert unguard(f"'{number}") == number


@pytest.mark.parametrize("cell", ["0", "12", "123456789012345", "0.5", "a=b", "'plain", "'", "", "2026-10-01"])
def test_what_is_harmless_stays(cell: str) -> None:
    assert guard(cell) == unguard(cell) == cell


@given(VALUES)
def test_guarding_is_undone_exactly(value: str) -> None:
    assert unguard(guard(value)) == value
    assert not guard(value).startswith(("=", "+", "-", "@", "\t", "\r", "＝", "－"))


@settings(deadline=None)  # the database starts with the first one
@given(VALUES)
@example("-12.5")
@example("'-12.5")
@example("'=1")
@example("''007")
def test_what_the_database_guards_is_undone_too(value: str) -> None:
    (cell,) = duckdb.execute(f"SELECT {guard_sql('v')} FROM (SELECT ? AS v)", [value]).fetchone() or ("",)  # noqa: S608
    assert unguard(cell) == value
    assert cell in (value, guard(value))
