"""What pasted text and CSV files say, line by line."""

from __future__ import annotations

import csv
import tracemalloc
from functools import partial

import pytest

from amc_facts.identifiers import MAX_ID
from instances.models import MappingKind
from instances.services import mapping_text
from instances.services.mapping_text import (
    PasteKind,
    parse_asins,
    parse_campaigns,
    parse_csv,
)
from tests.counting import count_calls

A, B, C = "B000000001", "B00000000B", "B00000000C"
ASIN, ID, NAME = MappingKind.ASIN, MappingKind.CAMPAIGN_ID, MappingKind.CAMPAIGN_NAME


def values(reading: mapping_text.Reading) -> list[tuple[str, str]]:
    assert reading.errors == []
    return [(row.kind, row.value) for row in reading.rows]


def faults(reading: mapping_text.Reading) -> list[tuple[int, str]]:
    return [(error.line, error.value) for error in reading.errors]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A, [A]),
        (f"  {A.lower()}\t", [A]),
        (f"{A}, {B};{C}", [A, B, C]),
        (f"('{A}', \"{B}\")", [A, B]),
        (f"{A}\r\n\r\n{B}\r{C}\n", [A, B, C]),
        (f"\ufeff{A}\u200b", [A]),
        ("0306406152\n080442957x", ["0306406152", "080442957X"]),
        ("", []),
    ],
)
def test_asins_are_found_in_any_case_between_any_separators(text: str, expected: list[str]) -> None:
    assert [row.value for row in parse_asins(text).rows] == expected
    assert parse_asins(text).errors == []


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("B00000001", "9 characters"),
        ("B0000000011", "11 characters"),
        ("X", "1 character."),
        ("1234567890", "begins with 1"),
        ("0306406153", "check digit"),
        ("306406152", "dropped a leading 0. Write 0306406152"),
        ("80442957X", "dropped a leading 0. Write 080442957X"),
        ("306406153", "may have dropped a leading 0"),
        ("X306406152", "begins with X"),
        ("B00000-001", "this holds “-”"),
        ("BÄ00000001", "this holds U+00C4 (latin capital letter a with diaeresis)"),
        ("Bß0000001", "this holds U+00DF"),
        ("B٠00000001", "this holds U+0660 (arabic-indic digit zero)"),
    ],
)
def test_an_asin_that_cannot_be_says_why(token: str, reason: str) -> None:
    (error,) = parse_asins(f"{A}\n{token}").errors
    assert (error.line, error.value) == (2, token)
    assert reason in error.reason


def test_all_faults_come_at_once_with_their_lines() -> None:
    reading = parse_asins(f"nope\n{A}\n\nB1, {B}, wrong")
    assert faults(reading) == [(1, "nope"), (4, "B1"), (4, "wrong")]
    assert [row.value for row in reading.rows] == [A, B]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("123, 456; 789", [(ID, "123"), (ID, "456"), (ID, "789")]),
        (str(MAX_ID), [(ID, "9223372036854775807")]),
        ("9007199254740993", [(ID, "9007199254740993")]),
        ("Summer, sale; 2024", [(NAME, "Summer, sale; 2024")]),
        ("  =1+1  ", [(NAME, "=1+1")]),
        ("Two  spaces", [(NAME, "Two  spaces")]),
        ("007 Bond\n42", [(NAME, "007 Bond"), (ID, "42")]),
        ("Straße\u2013Ärmel 'x' \"y\"", [(NAME, "Straße\u2013Ärmel 'x' \"y\"")]),
        (" , ; ", []),
    ],
)
def test_campaigns_are_one_per_line_and_digits_are_ids(text: str, expected: list[tuple[str, str]]) -> None:
    assert values(parse_campaigns(text)) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (str(MAX_ID + 1), "64 bits"),
        ("9" * 5000, "64 bits"),
        ("0123", "begin with 0"),
        ("4.27E+17", "rounded"),
        ("4,27e17", "rounded"),
        ("x" * 256, "at most 255"),
        ("tab\tinside", "no tabs"),
        ("nul\0inside", "no tabs"),
    ],
)
def test_a_campaign_that_cannot_be_says_why(line: str, reason: str) -> None:
    (error,) = parse_campaigns(f"Fine\n{line}").errors
    assert error.line == 2
    assert reason in error.reason
    assert len(error.value) <= 61


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_are_found_by_name_in_any_order(delimiter: str) -> None:
    lines = [["Brand", "Note", "Campaign ID", "ASIN"], ["Norda", "x", "42", A.lower()], ["Well", "", "", B]]
    reading = parse_csv("\r\n".join(delimiter.join(line) for line in lines), PasteKind.ASINS)
    assert reading.errors == []
    assert [(row.kind, row.value, row.brand, row.line) for row in reading.rows] == [
        (ID, "42", "Norda", 2),
        (ASIN, A, "Norda", 2),
        (ASIN, B, "Well", 3),
    ]
    assert reading.notes == {"ignored": "Columns that mean nothing here: Note."}


@pytest.mark.parametrize(
    ("text", "kinds", "expected"),
    [
        (f"asin\n{A}\n\n{B}", PasteKind.CAMPAIGNS, [(ASIN, A), (ASIN, B)]),
        (f"{A}\n{B}", PasteKind.ASINS, [(ASIN, A), (ASIN, B)]),
        (f"{A},\n{B},", PasteKind.ASINS, [(ASIN, A), (ASIN, B)]),
        ("42\nSummer", PasteKind.CAMPAIGNS, [(ID, "42"), (NAME, "Summer")]),
        ('"Summer, sale"\n"42"', PasteKind.CAMPAIGNS, [(NAME, "Summer, sale"), (ID, "42")]),
        (f"{A},42,Summer,Norda", PasteKind.ASINS, [(ASIN, A), (ID, "42"), (NAME, "Summer")]),
        ("campaign_name\n42", PasteKind.ASINS, [(NAME, "42")]),
        ("campaign_name\n'=1+1", PasteKind.ASINS, [(NAME, "=1+1")]),
        ("", PasteKind.ASINS, []),
        ("\n\n", PasteKind.ASINS, []),
    ],
)
def test_a_header_may_be_there_or_not(text: str, kinds: PasteKind, expected: list[tuple[str, str]]) -> None:
    assert values(parse_csv(text, kinds)) == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("brand,title\nNorda,x", 1, "No column is called"),
        (f"{A},Norda", 1, "names of its columns"),
        (f"asin,brand\n{A},Norda,more", 2, "more columns"),
        ("asin,brand\n,Norda", 2, "neither"),
        (f'campaign_name\n"two\nlines"\n"{A}', 4, "not closed"),
        (f'asin\n"{A}"x', 2, "not closed"),
        ("campaign_id\n1.5E+17", 2, "rounded"),
        ("campaign_id\nSummer", 2, "digits only"),
    ],
)
def test_a_broken_line_of_a_file_is_named(text: str, line: int, reason: str) -> None:
    errors = parse_csv(text, PasteKind.ASINS).errors
    assert any(error.line == line and reason in error.reason for error in errors), errors


def test_a_record_over_several_lines_counts_from_its_first() -> None:
    reading = parse_csv(f'campaign_name,asin\n"two\nlines",\n,{A}\n,oops', PasteKind.ASINS)
    assert [error.line for error in reading.errors] == [2, 5]
    assert [row.line for row in reading.rows] == [4]


def test_more_rows_than_are_taken_at_once_are_refused() -> None:
    text = "\n".join(f"B{number:09d}" for number in range(mapping_text.MAX_ROWS + 1))
    (error,) = parse_asins(text).errors
    assert (error.line, error.reason[:15]) == (100_001, "At most 100,000")


@pytest.mark.parametrize(
    "text",
    ["1" * 400_000 + "x", "'" * 400_000, ", " * 200_000, '"' * 400_001],
    ids=["digits", "apostrophes", "commas", "quotes"],
)
@pytest.mark.parametrize("limit", [131_072, 2 * 1024 * 1024], ids=["standard", "raised for results"])
def test_a_cell_longer_than_csv_readers_take_is_an_error_and_no_crash(
    text: str, limit: int, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(csv.field_size_limit, csv.field_size_limit(limit)))
    for kinds in PasteKind:
        (error,) = parse_csv(text, kinds).errors
        assert (error.line, error.reason[:42]) == (1, "This line has more than 100,000 characters")
    assert parse_asins(text).rows == parse_campaigns(text).rows == []


HOSTILE = (
    "1", "'", ", ", '"', "B0", "\n", "\t", "x\t", "B1\t\n", "\u200b", "“", "|", "https://www.amazon.com/dp/", "www.",
    "asin,", "sep=;\n", "=[", '="1"\n', "a,b\n", '"\n', "1,234,",
)  # fmt: skip


def read_in_every_way(text: str) -> None:
    """Read a text as every kind of file and as both kinds of paste."""
    for kinds in PasteKind:
        parse_csv(text, kinds)
    parse_asins(text), parse_campaigns(text)


@pytest.mark.parametrize("unit", HOSTILE)
def test_reading_takes_work_in_proportion_to_the_text(unit: str) -> None:
    once, twice = (count_calls(partial(read_in_every_way, unit * times + "x")) for times in (5_000, 10_000))
    assert twice <= 2.5 * once + 1_000


def test_fifty_thousand_rows_need_little_memory() -> None:
    text = "asin,brand\n" + "\n".join(f"B{number:09d},Norda" for number in range(50_000))
    tracemalloc.start()
    reading = parse_csv(text, PasteKind.ASINS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reading.rows) == 50_000
    assert peak < 40 * 1024 * 1024


def test_the_results_own_csv_for_spreadsheets_is_understood() -> None:
    ids = parse_csv("campaign_id,campaign_name\n'144115188075855872,Brand X\n", PasteKind.CAMPAIGNS)
    assert [row.value for row in ids.rows] == ["144115188075855872", "Brand X"]
    assert [row.value for row in parse_csv("asin\n'0306406152\n", PasteKind.ASINS).rows] == ["0306406152"]
