"""Java's regular expressions: what DuckDB's engine refuses a second one reads, within bounds."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import pytest

from local_amc.sql import patterns
from tests.local_amc.shared import Amc

MATCHED = [
    # Look-around and back-references.
    ("'foobar' SIMILAR TO 'foo(?!baz)'", "true"), ("'foobaz' SIMILAR TO 'foo(?!baz)'", "false"),
    ("'foobaz' NOT SIMILAR TO 'foo(?!baz)'", "true"), ("'price 12' SIMILAR TO '(?<=price )[0-9]+'", "true"),
    ("'abab' SIMILAR TO '^(ab)\\1$'", "true"), ("'aa' SIMILAR TO '(?<n>a)\\k<n>'", "true"),
    ("'a.b' SIMILAR TO '\\Qa.b\\E(?!c)'", "true"), ("'axb' SIMILAR TO '\\Qa.b\\E(?!c)'", "false"),
    ("'x' SIMILAR TO '[a-z&&[^b]](?!y)'", "true"), ("'aaa' SIMILAR TO 'a*+a'", "false"),
    ("CAST(NULL AS VARCHAR) SIMILAR TO 'a(?=b)'", ""), ("'ab' SIMILAR TO CONCAT('a', '(?=b)')", "true"),
    ("REGEXP_SUBSTR('price: 12', '(?<=: )[0-9]+')", "12"), ("REGEXP_SUBSTR('price', '(?<=: )[0-9]+')", ""),
    ("REGEXP_REPLACE('a1b1', '(?<=a)1', 'x')", "axb1"),
    ("REGEXP_REPLACE('abab', '(?=ab)(a)(?<x>b)', '${x}$1')", "baba"),
    ("REGEXP_REPLACE('ab', 'a(?=b)', '\\$1')", "$1b"), ("REGEXP_SPLIT('a1b2c', '(?<=[0-9])')", "[a1, b2, c]"),
    # `(?!)` at the beginning ignores case, as Amazon documents; elsewhere it never matches, as in Java.
    ("'CONSIDERation' SIMILAR TO '(?!)consideration'", "true"), ("'abc' SIMILAR TO '(?!)z'", "false"),
    ("REGEXP_REPLACE('Kit kit', '(?!)KIT', 'x')", "x x"), ("REGEXP_SUBSTR('A Kit', '(?!)k.t')", "Kit"),
    ("'a' SIMILAR TO '(?!)'", "false"), ("'a' SIMILAR TO 'a|(?!)'", "true"), ("'a' SIMILAR TO 'a(?!)'", "false"),
]  # fmt: skip
# Tries all ways to cut a text into four before it gives up.
SLOW = "(?=(.*)(.*)(.*)(.*)x\\1\\2)"


@pytest.mark.parametrize(("expression", "text"), MATCHED)
def test_what_matches(amc: Amc, expression: str, text: str) -> None:
    assert amc.values(f"SELECT {expression} AS r") == [text]


def test_over_the_rows_of_a_table(amc: Amc) -> None:
    sql = "SELECT COUNT(*) AS c FROM dsp_impressions WHERE campaign {} SIMILAR TO '^(?!Kids)'"
    [[without]], [[with_]] = amc.query(sql.format("")).rows, amc.query(sql.format("NOT")).rows
    [[total]] = amc.query("SELECT COUNT(campaign) AS c FROM dsp_impressions").rows
    assert without > 0
    assert with_ > 0
    assert without + with_ == total


def test_a_parameter_may_be_a_pattern(amc: Amc) -> None:
    definitions = [{"name": "p", "dataType": "STRING", "defaultValue": "foo(?!baz)"}]
    sql = "SELECT 'foobar' SIMILAR TO CUSTOM_PARAMETER('p') AS r"
    assert amc.values(sql, definitions=definitions) == ["true"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?=(", "missing )"),
        ("a(?=b)[", "unterminated character set"),
        ("(?<=a", "missing )"),
        ("(a)\\2", "invalid group reference"),
    ],
)
def test_a_pattern_that_is_none_is_refused_at_its_place(amc: Amc, pattern: str, message: str) -> None:
    refusal = amc.refusal(f"SELECT campaign SIMILAR TO '{pattern}' AS r, COUNT(*) AS c FROM dsp_clicks GROUP BY 1")
    assert "From line 1, column 28" in refusal
    assert f"Invalid regular expression: {message}" in refusal


def test_patterns_out_of_rows_are_those_of_the_first_engine(amc: Amc) -> None:
    sql = "SELECT s SIMILAR TO p AS r FROM (VALUES ('ab', '{}')) AS t(s, p)"
    assert amc.values(sql.format("^a")) == ["true"]
    assert "in patterns that are written in the query only" in amc.refusal(sql.format("a(?=b)"))


def test_a_pattern_that_goes_back_and_forth_ends(amc: Amc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "MAX_VALUE_SECONDS", 0.01)
    many = f"SELECT COUNT(*) AS c FROM dsp_impressions WHERE CONCAT(campaign, '{'a' * 400}') SIMILAR TO '{SLOW}'"
    assert "takes too long" in amc.refusal(many)
    assert "takes too long" in amc.refusal(f"SELECT REGEXP_REPLACE('{'a' * 400}', '{SLOW}', 'y') AS r")


def test_all_values_of_a_query_share_its_time(amc: Amc, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = "SELECT COUNT(*) AS c FROM dsp_impressions WHERE campaign SIMILAR TO '^(?!Kids)'"
    monkeypatch.setattr(patterns, "MAX_QUERY_SECONDS", 0.0)
    assert "takes too long" in amc.refusal(quick)
    monkeypatch.undo()
    assert amc.refusal(quick) == ""


def test_the_second_engine_is_asked_only_where_the_first_refuses(
    amc: Amc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MAX_QUERY_SECONDS", -1.0)
    assert amc.values("SELECT REGEXP_REPLACE('a1', '(?i)A([0-9])', '$1') AS r, 'a' SIMILAR TO '(?!)A' AS s") == [
        "1",
        "true",
    ]
    assert "takes too long" in amc.refusal("SELECT 'a' SIMILAR TO 'a(?!b)' AS r")
