"""From values to items, and from one item to SQL."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from templates_app.sql.parameters import ParameterError, substitute


def code_of(sql: str, values: dict[str, object]) -> str:
    with pytest.raises(ParameterError) as caught:
        substitute(sql, values)
    return caught.value.code


def in_code(name: str, value: object) -> str:
    """Return what a value becomes between brackets, where any number of items fits."""
    return substitute(f"[{{{{{name}}}}}]", {name: value})[1:-1]


@pytest.mark.parametrize("name", ["x", "asin", "campaign", "date"])
class TestEveryType:
    def test_no_value(self, name: str) -> None:
        assert code_of(f":{name}", {}) == "missing"
        assert code_of(f":{name}", {name.upper(): "x"}) == "missing"

    @pytest.mark.parametrize("value", ["", " ", "\t\r\n", "\u3000\u2003"])
    def test_blank_text(self, name: str, value: Any) -> None:
        assert code_of(f":{name}", {name: value}) == "missing"

    def test_empty_list(self, name: str) -> None:
        assert code_of(f":{name}", {name: []}) == "empty"

    @pytest.mark.parametrize("value", [[None], ["2025-01-01", None], [None, 1]])
    def test_null_in_a_list(self, name: str, value: Any) -> None:
        assert code_of(f"[:{name}]", {name: value}) == "null"

    @pytest.mark.parametrize(
        "value",
        [{}, {"a": 1}, [{}], [[]], [["x"]], [True], ["2025-01-01", False], "a\0b", "\0", ["\0"], b"x", {1}],
    )
    def test_what_is_no_value(self, name: str, value: Any) -> None:
        assert code_of(f"[:{name}]", {name: value}) == "type"

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("1E+99999999")]
    )
    def test_numbers_that_cannot_be_written(self, name: str, value: Any) -> None:
        assert code_of(f"[:{name}]", {name: value}) == "type"

    def test_keys_that_the_text_does_not_use_are_ignored(self, name: str) -> None:
        assert substitute("SELECT 1", {name: {}}) == "SELECT 1"


@pytest.mark.parametrize(
    "text",
    [
        "O'Brien",
        "'",
        "''",
        "a, b",
        " x ",
        "\\",
        "\\'",
        "--",
        "/*",
        ";",
        "%_",
        "\n",
        "{{b}}",
        ":b",
        "$1 $& \\1 \\g<0>",
        "NULL",
        "null",
        "TRUE",
        "true",
        "DROP",
        "😀 日本",
        '"',
        "`",
    ],
)
def test_text_is_quoted_and_only_quotes_are_doubled(text: str) -> None:
    assert in_code("x", ["x", text]) == "'x', '" + text.replace("'", "''") + "'"
    assert substitute("'%{{x}}'", {"x": [text]}) == "'%" + text.replace("'", "''") + "'"


def test_text_lists_are_kept_item_by_item() -> None:
    assert in_code("x", ["b", "", " ", "a, c", "b"]) == "'b', '', ' ', 'a, c', 'b'"


def test_list_of_one_blank_text_is_that_text() -> None:
    assert substitute("= :x", {"x": [""]}) == "= ''"
    assert substitute("= 'a{{x}}b'", {"x": [""]}) == "= 'ab'"


def test_list_of_one_is_the_single_value() -> None:
    assert substitute("= :x OR '%{{x}}'", {"x": [5]}) == "= 5 OR '%5'"
    assert code_of("= :x", {"x": [None]}) == "null"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-01-31", "2025-01-31"),
        ("\t2025-01-31 \n", "2025-01-31"),
        ("2024-02-29", "2024-02-29"),
        ("0001-01-01", "0001-01-01"),
        ("2025-01-31T00:00", "2025-01-31T00:00"),
        ("2025-01-31 23:59:59", "2025-01-31 23:59:59"),
        ("2025-01-31T06:30:00.1", "2025-01-31T06:30:00.1"),
        ("2025-01-31T06:30:00.123456", "2025-01-31T06:30:00.123456"),
        ("2025-01-31T06:30Z", "2025-01-31T06:30"),
        ("2025-01-31 06:30:00+00:00", "2025-01-31 06:30:00"),
        ("2025-01-31T06:30:00-00:00", "2025-01-31T06:30:00"),
        ("2025-01-31T06:30:00.5+0000", "2025-01-31T06:30:00.5"),
        ("2025-01-31T06:30-0000 ", "2025-01-31T06:30"),
    ],
)
def test_dates(value: Any, expected: str) -> None:
    assert in_code("date", value) == f"'{expected}'"
    assert in_code("date", ["2025-02-01", value]) == f"'2025-02-01', '{expected}'"


@pytest.mark.parametrize(
    "value",
    [
        "2025-02-29",
        "2025-13-01",
        "2025-00-01",
        "2025-01-00",
        "0000-01-01",
        "2025-1-1",
        "25-01-01",
        "20250101",
        "today",
        "2025-01-31Z",
        "2025-01-31+00:00",
        "2025-01-31T",
        "2025-01-31T24:00",
        "2025-01-31T23:60",
        "2025-01-31T23:59:60",
        "2025-01-31T1:00",
        "2025-01-31T01",
        "2025-01-31T01:00:00.",
        "2025-01-31T01:00:00.1234567",
        "2025-01-31T01:00.5",
        "2025-01-31  01:00",
        "2025-01-31t01:00",
        "2025-01-31T01:00z",
        "2025-01-31T01:00 Z",
        "2025-01-31T01:00+02:00",
        "2025-01-31T01:00+00",
        "2025-01-31T01:00+00:01",
        "2025-01-31T01:00UTC",
        "٢٠٢٥-01-31",
        "2025-01-31\n2025-02-01",
        "2025-01-31, 2025-02-01",
        "2025-01-31'",
        "2025/01/31",
        20250131,
        2025.5,
        True,
        False,
    ],
)
def test_other_dates_are_refused(value: Any) -> None:
    assert code_of("[:date]", {"date": value}) == "date"
    if not isinstance(value, bool):
        assert code_of("[:date]", {"date": ["2025-01-01", value]}) == "date"


def test_blank_date_in_a_list_is_no_date() -> None:
    assert code_of("[:date]", {"date": ["2025-01-01", ""]}) == "date"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("B1,B2;B3 B4\tB5\nB6\r\nB7", "'B1', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7'"),
        ("('B1', \"B2\") [B3]", "'B1', 'B2', 'B3'"),
        ("B1\u3000B2", "'B1', 'B2'"),
        ("B1 B2 B1", "'B1', 'B2'"),
        ("b1 B1", "'b1', 'B1'"),
        ("123 456", "'123', '456'"),
        (123, "'123'"),
        ([7, "7", " 7 ", "8"], "'7', '8'"),
        (["B1, B2", "(B3)", "", " "], "'B1, B2', '(B3)'"),
        ("B{}:B|1", "'B{}:B|1'"),
    ],
)
def test_asins(value: Any, expected: str) -> None:
    assert in_code("asins", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Sale, 2025\nO'Neill; x", "'Sale, 2025', 'O''Neill; x'"),
        (" a \r\r\n\nb\r c ", "'a', 'b', 'c'"),
        ("a\x0bb\u2028c\x0cd", "'a\x0bb\u2028c\x0cd'"),
        ("1, 2;3\t4\n5", "1, 2, 3, 4, 5"),
        ("1, 2\nName", "'1', '2', 'Name'"),
        ("1, 2 x", "'1, 2 x'"),
        ("1-2", "'1-2'"),
        ("١ ٢", "'١ ٢'"),
        (",;\n1", "1"),
        ("007", "'007'"),
        ("-5", "-5"),
        ("12.5", "12.5"),
        ("1\n1.0\n1", "1, 1.0"),
        ([7, "7", " 7 "], "7"),
        ([7, "007"], "'7', '007'"),
        (["1, 2", "a\nb", ""], "'1, 2', 'a\nb'"),
        (576460752303423489, "576460752303423489"),
    ],
)
def test_campaigns(value: Any, expected: str) -> None:
    assert in_code("campaigns", value) == expected


@pytest.mark.parametrize("name", ["asins", "campaigns"])
class TestListedTypes:
    @pytest.mark.parametrize("value", [",", ";,\n;", [""], [" ", "\t"]])
    def test_no_item_left(self, name: str, value: Any) -> None:
        assert code_of(f"[:{name}]", {name: value}) == "empty"

    def test_null_is_no_value(self, name: str) -> None:
        assert code_of(f"[:{name}]", {name: None}) == "missing"

    @pytest.mark.parametrize("value", [True, False])
    def test_boolean(self, name: str, value: Any) -> None:
        assert code_of(f"[:{name}]", {name: value}) == "type"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (-7, "-7"),
        (9007199254740993, "9007199254740993"),
        (10**30 + 1, "1" + "0" * 29 + "1"),
        (0.1, "0.1"),
        (2.5e-06, "0.0000025"),
        (1e22, "1" + "0" * 22),
        (-1.5e300, "-15" + "0" * 299),
        (Decimal("0.12345678901234567890123456789012345"), "0.12345678901234567890123456789012345"),
        (Decimal("1E+3"), "1000"),
    ],
)
def test_numbers_are_written_digit_for_digit(value: Any, expected: str) -> None:
    assert in_code("x", value) == expected
    assert in_code("campaign", value) == expected
    assert in_code("asin", value) == f"'{expected}'"
    assert substitute("'{{x}}'", {"x": value}) == f"'{expected}'"


def test_integers_of_any_length() -> None:
    # Python itself refuses to write more than 4,300 digits.
    assert in_code("x", 10**5000 + 7) == "1" + "0" * 4999 + "7"


@pytest.mark.parametrize("text", ["0", "-0", "7", "-7", "10.50", "-0.0", "9" * 40])
def test_texts_that_are_numbers(text: str) -> None:
    assert in_code("x", text) == text
    assert in_code("x", [text, 1]) == f"{text}, 1"


@pytest.mark.parametrize(
    "text",
    [
        "007",
        "+5",
        "1,000",
        "1e3",
        " 5",
        "5 ",
        "5\n",
        "--5",
        "- 5",
        "1.",
        ".5",
        "00",
        "-01",
        "0x1",
        "٣",
        "1_000",
        "1-1",
    ],
)
def test_texts_that_are_none(text: str) -> None:
    assert in_code("x", text) == f"'{text}'"
    assert in_code("x", ["1", text, 2]) == f"'1', '{text}', '2'"


@pytest.mark.parametrize(
    "sql",
    [
        "x LIKE {}",
        "x like {}",
        "NOT LIKE /* c */ {}",
        "LIKE -- c\n{}",
        "SIMILAR TO {}",
        "similar\n to {}",
        "SIMILAR/**/TO {}",
        "SIMILAR -- c\nTO\t{}",
    ],
)
def test_number_behind_like_is_text(sql: str) -> None:
    assert substitute(sql.format(":x"), {"x": 5}) == sql.format("'5'")
    assert substitute(sql.format("{{x}}"), {"x": ["5"]}) == sql.format("'5'")


@pytest.mark.parametrize(
    "sql",
    [
        "ILIKE {}",
        "x_LIKE {}",
        "TO {}",
        "SIMILARTO {}",
        "DISSIMILAR TO {}",
        "LIKE ({})",
        "LIKE -{}",
        "'LIKE' {}",
        ":like {}",
        "LIKE x || {}",
    ],
)
def test_number_elsewhere_stays_a_number(sql: str) -> None:
    assert substitute(sql.format(":x"), {"x": 5, "like": 1}) == sql.format("5").replace(":like", "1")


def test_booleans_and_null() -> None:
    assert substitute(":x, :y, :date, ({{n}})", {"x": True, "y": False, "date": None, "n": None}) == (
        "TRUE, FALSE, NULL, (NULL)"
    )
    assert substitute("LIKE :x AND LIKE :n", {"x": True, "n": None}) == "LIKE TRUE AND LIKE NULL"


def test_booleans_in_quotes() -> None:
    assert substitute("'{{x}}' '%{{x}}' \"{{x}}\"", {"x": True}) == "'TRUE' '%TRUE' \"TRUE\""


@pytest.mark.parametrize("sql", ["'{{n}}'", "'%{{n}}'", '"{{n}}"', "`{{n}}`", "IN '{{n}}'", "'{{n}}"])
@pytest.mark.parametrize("name", ["n", "date"])
def test_null_does_not_fit_in_quotes(sql: str, name: str) -> None:
    assert code_of(sql.replace("n", name) if name == "date" else sql, {name: None}) == "null"


def test_value_is_read_by_the_type_of_its_name() -> None:
    assert substitute("[:x] [:asin] [:campaign]", {"x": "1 2", "asin": "1 2", "campaign": "1 2"}) == (
        "['1 2'] ['1', '2'] [1, 2]"
    )
