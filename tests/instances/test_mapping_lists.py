"""Pasted lists as people copy them from documents, chats, web pages and spreadsheets."""

from __future__ import annotations

import pytest

from instances.models import MappingKind
from instances.services.mapping_text import PasteKind, Reading, parse_asins, parse_campaigns, parse_csv

A, B, C = "B000000001", "B000000002", "B000000003"
ASIN, ID, NAME = MappingKind.ASIN, MappingKind.CAMPAIGN_ID, MappingKind.CAMPAIGN_NAME
LONG = "123456789012345678"


def asins(text: str) -> list[str]:
    reading = parse_asins(text)
    assert reading.errors == []
    assert {row.kind for row in reading.rows} <= {ASIN}
    return [row.value for row in reading.rows]


def values(reading: Reading) -> list[tuple[str, str]]:
    assert reading.errors == []
    return [(row.kind, row.value) for row in reading.rows]


@pytest.mark.parametrize(
    "text",
    [
        f"“{A}”, ‘{B}’",
        f"«{A}» ‹{B}›",
        f"{A}|{B}",
        f"{A} | {B} |",
        f"{A}、{B}",
        f"{A}，{B}；",
        f"{A}\u200b{B}",
        f"\u2060{A}\u00ad{B}\u200d",
        f"{A}\u3000{B}\u00a0",
        f"[{A}] {{{B}}}",
        f"• {A}\n• {B}",
        f"Ｂ０００００００01\n{B}",
        f"<{A}>,<{B}>",
        "B0000\u200b00001 B0000\u00ad00002",
        f"B000 000001\n{B}",
        f"{A}, {B}, {A}",
    ],
)
def test_two_asins_in_many_clothes(text: str) -> None:
    assert asins(text) == [A, B]


@pytest.mark.parametrize(
    "link",
    [
        "https://www.amazon.com/dp/B000000001?th=1",
        "https://www.amazon.com/dp/b000000001",
        "http://amazon.de/dp/B000000001/",
        "www.amazon.co.uk/gp/product/B000000001/ref=ppx_yo_dt_b_asin_title_o00_s00?ie=UTF8&psc=1",
        "https://www.amazon.co.jp/-/en/%E5%8C%85%E4%B8%81-(21cm)/dp/B000000001/ref=sr_1_1?keywords=a%2Cb&qid=1#top",
        "https://www.amazon.co.jp/包丁/dp/B000000001",
        "https://www.amazon.com.mx/gp/aw/d/B000000001",
        "https://www.amazon.com.be/Kitchen-Knife/dp/B000000001",
        "https://smile.amazon.com/gp/offer-listing/B000000001",
        "https://www.amazon.in/product-reviews/B000000001",
        "https://www.amazon.ae/exec/obidos/ASIN/B000000001",
        "https://www.amazon.com/sspa/click?ie=UTF8&spc=x&url=%2FKitchen-Knife%2Fdp%2FB000000001%2Fref%3Dsr_1_1",
        "[Kitchen](https://www.amazon.com/dp/B000000001)".removeprefix("[Kitchen]"),
        "<https://www.amazon.com/dp/B000000001>",
        "amazon.com/dp/B000000001",
    ],
)
def test_a_link_to_a_product_is_its_asin(link: str) -> None:
    assert asins(link) == [A]
    assert asins(f"{B}, {link}, {C}") == [B, A, C]
    assert asins(f"{link}\n{link.replace(A, B)}") == ([A, B] if A in link else [A])


def test_links_without_anything_between_are_two() -> None:
    assert asins(f"https://www.amazon.com/dp/{A},https://www.amazon.de/dp/{B}?th=1;{C}") == [A, B, C]


def test_a_link_to_a_book_is_its_isbn_10() -> None:
    assert asins("https://www.amazon.com/Applied/dp/0306406152") == ["0306406152"]


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("https://www.amazon.com/s?k=knife", "no /dp/ or /gp/product/"),
        ("https://www.amazon.com/dp/B00000001", "no /dp/ or /gp/product/"),
        ("https://www.amazon.com/dp/B0000000012", "no /dp/ or /gp/product/"),
        ("https://example.com/dp/B000000001", "none of a product at Amazon"),
        ("https://www.amazon.example.org/dp/B000000001", "none of a product at Amazon"),
        ("https://amazon.com.example.org/dp/B000000001", "none of a product at Amazon"),
        ("https://amzn.to/3abcDEF", "Open it, and copy the address"),
        ("https://a.co/d/abcdefg", "Open it, and copy the address"),
    ],
)
def test_another_link_says_what_is_missing(link: str, reason: str) -> None:
    (error,) = parse_asins(f"{A}\n{link}").errors
    assert (error.line, error.value) == (2, link)
    assert reason in error.reason


def test_a_heading_is_left_out_with_a_note() -> None:
    for heading in ("ASIN", "asins", "\ufeffASIN ", "(Child) ASIN"):
        reading = parse_asins(f"\n{heading}\n{A}\n{B}")
        assert values(reading) == [(ASIN, A), (ASIN, B)]
        assert reading.notes == {"heading": "Line 2 is the heading of a list of ASINs; it was left out."}
    reading = parse_campaigns(f"Campaign name\nSummer, sale\n{LONG}")
    assert values(reading) == [(NAME, "Summer, sale"), (ID, LONG)]
    assert "heading" in reading.notes


def test_a_heading_says_what_the_list_holds_whatever_was_chosen() -> None:
    assert values(parse_campaigns(f"ASIN\n{A}")) == [(ASIN, A)]
    assert values(parse_asins("Campaign\nSummer sale")) == [(NAME, "Summer sale")]


def test_a_heading_further_down_is_a_value() -> None:
    assert values(parse_campaigns("Summer\nBrand\nCampaign")) == [
        (NAME, "Summer"),
        (NAME, "Brand"),
        (NAME, "Campaign"),
    ]
    (error,) = parse_asins(f"{A}\nASIN").errors
    assert (error.line, error.value) == (2, "ASIN")


def test_titles_beside_asins_are_left_out_with_a_note() -> None:
    reading = parse_asins(f"{A}\tKitchen knife\n{B}\t\n\tPan, 24 cm\t{C}")
    assert values(reading) == [(ASIN, A), (ASIN, B), (ASIN, C)]
    assert reading.notes == {"beside": "Text beside the ASINs was left out, such as “Kitchen knife” in line 1."}
    assert asins(f"{A}\t{B}\t{C}") == [A, B, C]


def test_a_mistyped_asin_beside_another_is_no_title() -> None:
    reading = parse_asins(f"{A}\tB00000002\nKitchen knife\tPan")
    assert [(error.line, error.value) for error in reading.errors] == [
        (1, "B00000002"),
        (2, "Kitchen"),
        (2, "knife"),
    ]


def test_cells_copied_with_the_names_of_their_columns_are_a_table() -> None:
    for delimiter in "\t,;|":
        lines = (("Brand", "ASIN", "Campaign ID"), ("Norda", A, LONG), ("Well", B, ""))
        reading = parse_campaigns("\n".join(map(delimiter.join, lines)))
        assert values(reading) == [(ASIN, A), (ID, LONG), (ASIN, B)]
        assert [row.brand for row in reading.rows] == ["Norda", "Norda", "Well"]
    reading = parse_asins(f"ASIN\tTitle\n{A}\tKitchen knife")
    assert values(reading) == [(ASIN, A)]
    assert reading.notes == {"ignored": "Columns that mean nothing here: Title."}


@pytest.mark.parametrize(
    "name", ["Brand, US", "Campaign, the first", "Autumn | SP | ASIN", "2024 | 12", '"', "(42)"]
)
def test_names_of_campaigns_are_no_tables(name: str) -> None:
    assert values(parse_campaigns(f"{name}\nOther")) == [(NAME, name), (NAME, "Other")]


@pytest.mark.parametrize(
    "text",
    [
        f'"{LONG}", "{LONG[::-1]}"',
        f"[{LONG}|{LONG[::-1]}]",
        f"“{LONG}”、\u200b{LONG[::-1]}",
        f"{LONG}，{LONG[::-1]}",
        "".join(chr(ord(digit) + 0xFEE0) for digit in LONG) + f" {LONG[::-1]}",
        f"Campaign ID\n{LONG}\n{LONG[::-1]}",
    ],
)
def test_ids_of_campaigns_in_many_clothes(text: str) -> None:
    assert values(parse_campaigns(text)) == [(ID, LONG), (ID, LONG[::-1])]


@pytest.mark.parametrize(
    "number", ["144,115,188,075,855,872", "144.115.188.075.855.872", "144 115 188 075 855 872"]
)
def test_a_number_in_groups_is_no_row_of_ids(number: str) -> None:
    for reading in (parse_campaigns(number), parse_csv(f'campaign_id\n"{number}"\n', PasteKind.ASINS)):
        (error,) = reading.errors
        assert "wrote this number in groups" in error.reason


def test_characters_that_cannot_be_seen_leave_the_ends_of_a_name_and_are_named_inside() -> None:
    family = "Family 👨\u200d👩\u200d👧"
    reading = parse_campaigns(f"\u200bSummer\u200b\n{family}\nWin\u200bter")
    assert values(reading) == [(NAME, "Summer"), (NAME, family), (NAME, "Win\u200bter")]
    assert reading.notes == {
        "hidden": "Line 3 holds U+200B (zero-width space), which cannot be seen. It was kept in the name."
    }


@pytest.mark.parametrize(
    ("name", "character"),
    [("tab\tinside", "U+0009 (tab)"), ("bell\x07", "U+0007 (control character)"), ("a\u2028b", "U+2028")],
)
def test_a_character_no_name_has_is_named(name: str, character: str) -> None:
    (error,) = parse_campaigns(name).errors
    assert f"this holds {character}" in error.reason


def test_more_errors_than_anybody_reads_end_the_reading() -> None:
    for text in ("x\n" * 5_000, "x " * 5_000):
        assert len(parse_asins(text).errors) == 1_000
