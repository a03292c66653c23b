"""Files of mappings as spreadsheets, Amazon's reports and we ourselves write them; hostile ones stop early."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from executions.results.exports import export_csv
from instances.models import MappingKind
from instances.services import mapping_text
from instances.services.mapping_files import MAX_FILE_BYTES, MAX_LINES, NoTextError
from instances.services.mapping_text import MAX_ERRORS, PasteKind, Reading, parse_csv, parse_file
from tests.counting import count_calls

A, B, C = "B000000001", "B000000002", "B000000003"
ASIN, ID, NAME = MappingKind.ASIN, MappingKind.CAMPAIGN_ID, MappingKind.CAMPAIGN_NAME
LONG = "123456789012345678"
MEGABYTE = 1024 * 1024


def read(text: str, kinds: PasteKind = PasteKind.ASINS, encoding: str = "utf-8") -> Reading:
    return parse_file(io.BytesIO(text.encode(encoding)), kinds)


def values(reading: Reading) -> list[tuple[str, str]]:
    assert reading.errors == []
    return [(row.kind, row.value) for row in reading.rows]


def only_error(reading: Reading) -> tuple[int, str]:
    (error,) = reading.errors
    assert reading.rows == []
    return error.line, error.reason


@pytest.mark.parametrize(
    "text",
    [
        f"sep=;\r\nasin;brand\r\n{A};Northwind\r\n",
        f'"sep=;"\r\n\r\nasin;brand\r\n{A};Northwind\r\n',
        f"SEP=\t\nasin\tbrand\n{A}\tNorthwind\n",
        f"sep=|\nbrand|asin\nNorthwind|{A}\n",
        f"sep=^\nbrand^asin\nNorthwind^{A}\n",
        f"asin|brand\n{A}|Northwind",
        f"asin;brand;;\n{A};Northwind;;\n",
        f"\n\n \nasin,brand\n{A},Northwind\n",
        f'ASIN,Brand\r\n="{A}","=""Northwind"""\r\n',
        f'Brand,"ASIN\n(Informational only)"\nNorthwind,{A}\n',
    ],
)
def test_separators_are_understood(text: str) -> None:
    reading = read(text)
    assert values(reading) == [(ASIN, A)]
    assert reading.rows[0].brand == "Northwind"
    assert reading.notes == {}


@pytest.mark.parametrize(
    ("above", "count"),
    [
        ('Brand=["X"],Reporting Range=["Weekly"]\n', 1),
        ('ASIN=["B0GSDRK2JK"],Reporting Range=["Weekly"],Select week=["Week 5 | 2026-01-25 - 2026-01-31"]\n', 1),
        ('"Brand=[""X""]","Reporting Range=[""Weekly""]",,\n', 1),
        ("Catalogue export 2026\r\n\r\n", 1),
        ("Programme=[Retail]\nView By=[ASIN]\n\nCurrency=[USD]\n", 3),
        ("\n\nBrand\n", 1),
    ],
)
def test_lines_above_the_columns_are_left_out_with_a_note(above: str, count: int) -> None:
    reading = read(f"{above}ASIN,Brand\nB1,X\n{A},X\n")
    assert [row.value for row in reading.rows] == [A]
    assert [error.line for error in reading.errors] == [above.count("\n") + 2]
    words = (
        "1 line above the names of the columns was"
        if count == 1
        else f"{count} lines above the names of the columns were"
    )
    assert reading.notes == {"above": f"{words} left out."}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{B}\nasin\n{A}\n", 2),
        (f"{B},X\n\nasin,brand\n{A},X\n", 3),
        (f"123456,X\nCampaign ID,brand\n{LONG},X\n", 2),
        (f"Catalogue export 2026\n\nasin\n{A}\n", 3),
    ],
)
def test_columns_below_what_may_be_rows_are_one_error_with_their_line(text: str, line: int) -> None:
    found, reason = only_error(read(text))
    assert (found, reason) == (
        line,
        "The names of the columns seem to be in this line. Take away the lines above it.",
    )


@pytest.mark.parametrize("name", ["Brand, US", "Brand; US", "Brand | US", 'Brand "US", all'])
def test_one_named_column_has_no_separator(name: str) -> None:
    assert values(read(f"campaign_name\r\n{name}\r\nOther\r\n")) == [(NAME, name), (NAME, "Other")]
    quoted = name.replace('"', '""')
    assert values(read(f'campaign_name\r\n"{quoted}"\r\n')) == [(NAME, name)]


def test_a_list_of_names_with_pipes_needs_no_header() -> None:
    assert values(read("Autumn | SP | Exact\nWinter | SP", PasteKind.CAMPAIGNS)) == [
        (NAME, "Autumn | SP | Exact"),
        (NAME, "Winter | SP"),
    ]


@pytest.mark.parametrize("title", [
    "(Child) ASIN", "(Parent) ASIN", "(Untergeordnete) ASIN", "（子）ASIN", "Advertised ASIN", "asin_parent",
    "ASIN (Informational only)", "ASIN（仅供参考）", "advertisedAsin", "asin1", "tracked_asin", "Creative ASINs",
])  # fmt: skip
def test_titles_of_amazon_for_asins(title: str) -> None:
    reading = read(f"Date,{title},Clicks\n2026-01-01,{A},7\n")
    assert values(reading) == [(ASIN, A)]
    assert reading.notes == {"ignored": "Columns that mean nothing here: Date, Clicks."}


@pytest.mark.parametrize(
    ("title", "kind"),
    [("Campaign ID", ID), ("campaignId", ID), ("campaign_id_string", ID), ("Campaign Name (Informational only)", NAME),
     ("Campaign", NAME), ("CAMPAIGN-NAME", NAME)],
)  # fmt: skip
def test_titles_of_amazon_for_campaigns(title: str, kind: MappingKind) -> None:
    assert values(read(f"Impressions\t{title}\n12\t{LONG}\n")) == [(kind, LONG)]


def test_columns_of_other_peoples_asins_mean_nothing() -> None:
    assert only_error(read(f"Purchased ASIN,Clicks\n{A},1\n"))[1].startswith("Begin the file with the names")


def test_one_report_imports_asins_and_campaigns() -> None:
    reading = read(f"Advertised ASIN,Campaign Name\n{A},Summer\n{B},Summer\n")
    assert values(reading) == [(ASIN, A), (NAME, "Summer"), (ASIN, B)]
    assert reading.notes == {}


def test_lines_of_a_report_about_other_things_are_left_out_with_a_note() -> None:
    reading = read(f"Entity,ASIN (Informational only)\nCampaign,\nProduct Ad,{A}\nAd group,\n")
    assert values(reading) == [(ASIN, A)]
    assert reading.notes["without"] == "2 lines without an ASIN or a campaign were left out."


@pytest.mark.parametrize(
    "cell", [f'"{A}, {B}"', f'"{A},{B}"', f"[{A} {B}]", f'"[""{A}"",""{B}""]"', f"{A}|{B}", f'"{A}\n{B}"']
)
def test_a_cell_may_hold_a_list(cell: str) -> None:
    reading = read(f"brand,asin\nNorda,{cell}\nNorda,{C}\n")
    assert values(reading) == [(ASIN, A), (ASIN, B), (ASIN, C)]
    assert {row.brand for row in reading.rows} == {"Norda"}


def test_a_cell_may_hold_a_list_of_ids() -> None:
    assert values(read(f'campaign_id,brand\n"{LONG}, 42",Norda\n')) == [(ID, LONG), (ID, "42")]


def test_a_line_of_asins_is_a_list() -> None:
    assert (
        values(read(f"{A},{B}\n{C}\n")) == values(read(f'"{A}";"{B}"\n{C}')) == [(ASIN, A), (ASIN, B), (ASIN, C)]
    )


def test_numbers_written_as_formulas_are_their_digits() -> None:
    assert values(read(f'campaign_id\r\n="{LONG}"\r\n')) == [(ID, LONG)]
    assert values(read(f'"=""{LONG}"""\r\n', PasteKind.CAMPAIGNS)) == [(ID, LONG)]


def test_a_lost_zero_of_a_book_is_named() -> None:
    assert "Write 0306406152, and format the column as text" in only_error(read("asin\n306406152\n"))[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_spreadsheets_are_decoded(encoding: str) -> None:
    reading = read("campaign_name\tbrand\r\nÄrmel 日本 😀\tNorda\r\n", encoding=encoding)
    assert values(reading) == [(NAME, "Ärmel 日本 😀")]
    assert reading.notes == {}


def test_windows_1252_is_read_with_a_note_that_shows_how() -> None:
    reading = read("campaign_name\r\nSummer\r\nWinter – Ärmel €\r\n", encoding="cp1252")
    assert values(reading) == [(NAME, "Summer"), (NAME, "Winter – Ärmel €")]
    assert "was read as Windows-1252: “Winter – Ärmel €”." in reading.notes["encoding"]


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"PK\x03\x04\0\0", "This is a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "This is a workbook"),
        (b"asin\0", "not a CSV file"),
        (b"\xff\xfe\0", "not a CSV file"),
        ("asin".encode("utf-16-le"), "not a CSV file"),
        (b"\x81\x8d\x8f", "not a CSV file"),
    ],
)
def test_other_files_are_refused_with_advice(data: bytes, advice: str) -> None:
    with pytest.raises(NoTextError, match=f"{advice}.*save it as “CSV UTF-8”"):
        parse_file(io.BytesIO(data), PasteKind.ASINS)


# --- Everything we write can be read --------------------------------------------------------------

AWKWARD = [
    "=1+1", "+5% off", "-50", "@home", "'quoted'", '"Brand" | "US"', "a, b; c", "Ärmel 日本 😀", "0306406152",
    "＝wide", "sep=;", "asin", "x" * 255, "Two  spaces", "O'Brien 50% \\ {{x}}", "123456", "1E5", "[B000000001]",
    "Family 👨\u200d👩\u200d👧", "a/b #c", "2026-10-01", "null", "—", "«»",
]  # fmt: skip


def result(folder: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Return a result as AMC sends it, and what it holds."""
    names = [name.replace('"', '""') for name in AWKWARD]
    lines = [f'"{name}",{LONG},0306406152,{A},12.5\r\n' for name in names]
    path = folder / "result.csv"
    path.write_text("campaign,campaign_id,tracked_asin,asin,roas\r\n" + "".join(lines), newline="")
    return path, [
        (NAME, AWKWARD[0]),
        (ID, LONG),
        (ASIN, "0306406152"),
        (ASIN, A),
        *((NAME, n) for n in AWKWARD[1:]),
    ]


@pytest.mark.parametrize("is_safe", [True, False], ids=["safe", "plain"])
def test_a_downloaded_result_is_read_back_as_it_was(tmp_path: Path, is_safe: bool) -> None:
    path, expected = result(tmp_path)
    data = b"".join(export_csv(path, spreadsheet_safe=is_safe))
    assert values(parse_file(io.BytesIO(data), PasteKind.ASINS)) == expected


# --- Hostile files --------------------------------------------------------------------------------


class CountedFile(io.BytesIO):
    """A file that counts the bytes read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(size)


def fill(unit: str) -> bytes:
    """Return as much of a text as a file may hold."""
    data = unit.encode()
    return data * (MAX_FILE_BYTES // len(data))


HOSTILE: dict[str, tuple[Callable[[], bytes], int, int, str]] = {
    # What the file holds, the line of the first error, how many bytes are read at most, and what is said.
    "empty lines": (lambda: fill("\n"), MAX_LINES + 1, MAX_LINES + 64_000, "At most 250,000 lines"),
    "one line": (lambda: fill("a"), 1, 200_000, "more than 100,000 characters"),
    "one line of commas": (lambda: fill(","), 1, 200_000, "more than 100,000 characters"),
    "one long row": (lambda: b"asin\n" + fill("B000000001,"), 2, 200_000, "more than 100,000 characters"),
    "many columns": (lambda: b",".join([b"asin"] * 2_000) + b"\n" + fill("B000000001,"), 1, 200_000, "names 2,000"),
    "many unknown columns": (lambda: b"x,asin" + b",y" * 2_000 + b"\n" + fill("x,B1\n"), 1, 200_000, "names 2,002"),
    "an open quote": (lambda: b'campaign_name\n"' + fill("Summer\n"), 2, 300_000, "not closed"),
    "open quotes": (lambda: b"asin,brand\n" + fill('"\n"'), 2, 300_000, "not closed"),
    "errors": (lambda: b"asin\n" + fill("B1\n"), 2, 64_000, "2 characters"),
    "errors in a cell": (lambda: b"asin\n" + fill("B1 B1 B1\n"), 2, 64_000, "2 characters"),
    "errors in a list": (lambda: fill("B1\n"), 1, 64_000, "2 characters"),
    "lines too wide": (lambda: b"asin,brand\n" + fill("B000000001,x,y\n"), 2, 64_000, "more columns"),
    "a header far down": (lambda: fill("x,y,z\n") + b"asin\n", 1, 64_000, "Begin the file"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_as_far_as_its_limit_with_little_memory(name: str) -> None:
    build, line, most_bytes, reason = HOSTILE[name]
    file = CountedFile(build())
    assert len(file.getbuffer()) > MAX_FILE_BYTES - 100
    tracemalloc.start()
    reading = parse_file(file, PasteKind.ASINS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reading.errors) in (1, MAX_ERRORS)
    assert reading.errors[0].line == line
    assert reason in reading.errors[0].reason
    assert file.taken < most_bytes
    assert peak < 8 * MEGABYTE


def test_rows_stop_at_the_first_that_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping_text, "MAX_ROWS", 1_000)
    file = CountedFile(b"asin,brand\n" + b"".join(b"B%09d,Norda\n" % number for number in range(100_000)))
    reading = parse_file(file, PasteKind.ASINS)
    (error,) = reading.errors
    assert (len(reading.rows), error.line) == (1_000, 1_002)
    assert "rows at a time; this has more. Split it." in error.reason
    assert file.taken < 64_000


def test_what_is_there_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping_text, "MAX_ROWS", 2)
    reading = read("asin,campaign,clicks\n" + f"{A},Summer,1\n" * 1_000)
    assert values(reading) == [(ASIN, A), (NAME, "Summer")]


@pytest.mark.parametrize("unit", ["B000000001\n", "x,y\n", '"a\nb",c\n', "\t\n", "https://www.amazon.com/dp/B1\n"])
def test_work_grows_with_the_file(unit: str) -> None:
    def work(times: int) -> int:
        return count_calls(lambda: parse_csv("campaign_name,asin\n" + unit * times, PasteKind.ASINS))

    assert work(800) <= 2.2 * work(400)
