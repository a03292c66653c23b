"""What holds for every text and every value, checked against a slow second reading and another tokenizer."""

from __future__ import annotations

import copy
import re
from functools import partial
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sqlglot import tokenize

from templates_app.sql.parameters import (
    ParameterError,
    detect,
    occurrences,
    preview,
    substitute,
    substitute_with_map,
)
from tests.counting import count_calls

FRAGMENTS = """
    {{a}} {{b}} {{a|b}} {{ { }} } {% {# :a $a $b $a$ $$ : $ :: ' '' " "" ` `` -- /* */ * / - ( ) [ ] , . ;
    \\ = a é 日 1 😀 IN VALUES LIKE SIMILAR TO {{日}} :é '{{a}}' "{{b}}" IN{{a}} x{{a}}
"""
PIECES = [*FRAGMENTS.split(), " ", "\n", "\r", "\r\n", "\u0301", "\u3000", "{{ a }}", "'{{ b\u3000}}'"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=40)
VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "日", "é"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=5) | st.integers(), max_size=3),
)
SQL_LIKE = st.text("'\"`-/*{}:$;\\\n\r ,()[]x%é\u0301", max_size=12) | st.sampled_from(
    ["{{b}}", "'; DROP TABLE t; --", "\\'", "''", "*/", "/*", "$$", "NULL", "E'x'", "\\", "'||'", "--\n"]
)


def read_slowly(sql: str) -> list[tuple[str, int]]:
    """Return names and places of placeholders, character by character, as the rules tell it."""
    found: list[tuple[str, int]] = []
    position = 0
    while position < len(sql):
        if sql.startswith("--", position):
            while position < len(sql) and sql[position] not in "\r\n":
                position += 1
        elif sql.startswith("/*", position):
            end = sql.find("*/", position + 2)
            position = len(sql) if end < 0 else end + 2
        elif sql[position] in "'\"`":
            position = read_quoted_slowly(sql, position, found)
        elif sql[position] in ":$" and (name := name_at(sql, position)):
            found.append((name, position))
            position += 1 + len(name)
        else:
            position = read_braces_slowly(sql, position, len(sql), found)
    return found


def read_quoted_slowly(sql: str, start: int, found: list[tuple[str, int]]) -> int:
    end = start + 1
    while end < len(sql):
        if sql[end] != sql[start]:
            end += 1
        elif sql.startswith(sql[start] * 2, end):
            end += 2
        else:
            end += 1
            break
    position = start
    while position < end:
        position = read_braces_slowly(sql, position, end, found)
    return end


def read_braces_slowly(sql: str, start: int, end: int, found: list[tuple[str, int]]) -> int:
    run = len(sql[start:end]) - len(sql[start:end].lstrip("{"))
    if run == 2:
        inner, closing, _ = sql[start + 2 : end].partition("}}")
        if closing and inner.strip().isidentifier():
            found.append((inner.strip(), start))
            return start + len(inner) + 4
    return start + max(run, 1)


def name_at(sql: str, mark: int) -> str:
    before = sql[mark - 1 : mark]
    if before and (before in ":$)]}'\"`" or f"x{before}".isidentifier()):
        return ""
    end = mark + 1
    while end < len(sql) and f"x{sql[end]}".isidentifier():
        end += 1
    name = sql[mark + 1 : end]
    return name if name.isidentifier() and not (sql[mark] == "$" and sql.startswith("$", end)) else ""


def outcome(sql: str, values: dict[str, object]) -> tuple[str, str]:
    try:
        return "finished", substitute(sql, values)
    except ParameterError as error:
        return error.code, f"{error.name} {error.message} {error.line} {error.column}"


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("{{a\u3000}}{{\u3000a b}}:a–:b")
def test_a_slow_reading_finds_the_same(sql: str) -> None:
    found = occurrences(sql)
    assert [(occurrence.name, occurrence.start) for occurrence in found] == read_slowly(sql)
    assert [parameter.name for parameter in detect(sql)] == list(
        dict.fromkeys(occurrence.name for occurrence in found)
    )


@settings(max_examples=200, deadline=None)
@given(TEXTS, VALUES)
def test_text_without_placeholders_is_unchanged(sql: str, values: Any) -> None:
    assume(not detect(sql))
    code, finished = outcome(sql, values)
    assert code in ("finished", "malformed")
    assert code == "malformed" or finished == sql


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters="{:$")), VALUES)
def test_text_without_marks_is_unchanged(sql: str, values: Any) -> None:
    assert substitute(sql, values) == sql


@settings(max_examples=300, deadline=None)
@given(TEXTS, VALUES)
def test_results_depend_on_the_arguments_only_and_leave_them_alone(sql: str, values: Any) -> None:
    before = copy.deepcopy(values)
    first = outcome(sql, values)
    assert outcome(sql, values) == first
    assert outcome(sql, dict(reversed(values.items())) | {"unused": {}}) == first
    assert values == before
    assert detect(sql) == detect(sql)


@settings(max_examples=300, deadline=None)
@given(TEXTS, VALUES)
def test_preview_agrees_with_substitute(sql: str, values: Any) -> None:
    pieces = preview(sql, values)
    errors = [piece.error for piece in pieces if piece.error]
    code, finished = outcome(sql, values)
    if errors:
        assert (errors[0].code, (errors[0].line, errors[0].column)) == (
            code,
            tuple(map(int, finished.split()[-2:])),
        )
    else:
        assert (code, "".join(piece.text for piece in pieces)) == ("finished", finished)


TEMPLATES = [
    "SELECT {{v}} , 'b' || {{v}} FROM t -- end",
    "SELECT a FROM t WHERE x = {{v}} AND y IN ( 'z' , :v ) /* c */ ;",
    "SELECT a FROM t WHERE x = '{{v}}' AND y LIKE $v::VARCHAR",
    "SELECT a FROM t WHERE x IN {{v}} OR x IN '{{v}}'",
    'SELECT "{{v}}" FROM "{{v}}" WHERE "b" = 1',
    "WITH c (x) AS (VALUES {{v}}, ('{{v}}'), ({{v}}, 1)) SELECT * FROM c",
    "SELECT - {{v}} -{{v}} / {{v}} FROM t",
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEMPLATES), SQL_LIKE)
def test_a_text_is_one_token_wherever_it_stands(template: str, value: Any) -> None:
    expected = [
        (token.token_type, value if token.text == "marker" else token.text)
        for token in tokenize(substitute(template, {"v": "marker"}), read="duckdb")
    ]
    # A list of one keeps blank texts, and a text that is a number is none.
    assume(not re.fullmatch(r"-?[0-9.]+", value))
    finished = substitute(template, {"v": [value]})
    assert [(token.token_type, token.text) for token in tokenize(finished, read="duckdb")] == expected


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["IN {}", "IN ({})", "f(1, {})", "[{}]", "VALUES {}", "VALUES ({})"]),
    st.lists(SQL_LIKE, min_size=2, max_size=4),
)
def test_every_item_of_a_list_is_one_token(template: str, items: list[str]) -> None:
    assume(not all(re.fullmatch(r"-?[0-9.]+", item) for item in items))
    tokens = tokenize(f"SELECT {substitute(template.replace('{}', ':v'), {'v': items})}", read="duckdb")
    assert [token.text for token in tokens if token.token_type.name == "STRING"] == items


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["SELECT -{{v}}, - :v -$v", "IN {{v}} -{{v}}", "VALUES ({{v}}), {{v}}"]),
    st.integers(min_value=1),
)
def test_a_negative_number_has_its_sign_and_nothing_else_changes(template: str, number: int) -> None:
    positive, negative = (
        tokenize(substitute(template, {"v": value}), read="duckdb") for value in (number, -number)
    )
    assert [token.text for token in positive if token.text != "-"] == [
        token.text for token in negative if token.text != "-"
    ]
    assert len(negative) == len(positive) + template.count("v")


@settings(max_examples=300, deadline=None)
@given(TEXTS, VALUES)
def test_positions_of_the_finished_text_lead_back_to_the_source(sql: str, values: Any) -> None:
    try:
        finished, positions = substitute_with_map(sql, values)
    except ParameterError:
        assume(False)
    placeholders = [(occurrence.start, occurrence.end) for occurrence in occurrences(sql)]
    offsets = [positions.source_offset(offset) for offset in range(len(finished) + 1)]
    assert offsets == sorted(offsets)
    assert offsets[-1] <= len(sql)
    for character, offset in zip(finished, offsets, strict=False):
        # An operand's quotes belong to it.
        if not any(start - 1 <= offset <= end for start, end in placeholders):
            assert sql[offset] == character


LONG = 100_000
HOSTILE = [
    *(
        "'",
        "'a",
        '"',
        "`",
        "{",
        "{{ ",
        "{{a ",
        "{{a",
        "{{日 ",
        "\\",
        "\\'",
        "/*",
        "/* */",
        "/**/,",
        "-",
        "--\n",
        "(",
        ")",
        "([)]",
    ),
    *(
        ":",
        ":a",
        ":a ",
        ":日–",
        "$",
        "$a",
        "$日",
        "{{a}}",
        "{{a}},",
        "'{{a}} {{b}}'",
        "''{{a}}",
        "-{{a}}",
        "({{a}} /**/ ",
    ),
    *(
        "IN",
        "IN ",
        "VALUES(",
        "VALUES (1),",
        "({{a}}), ",
        "SIMILAR TO ",
        ",",
        " ",
        "\n",
        "日",
        "aaaa ",
        "{%",
        "[:a, ",
    ),
]


AROUND = ("{}", "VALUES ({} :a")


def read_in_every_way(sql: str) -> None:
    """Do what the editor and a run do with a text."""
    detect(sql)
    outcome(sql, {"a": 1, "b": [2]})
    preview(sql, {"a": 1})


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("around", AROUND)
def test_work_is_proportional_to_the_length(unit: str, around: str) -> None:
    texts = (around.replace("{}", unit * (length // len(unit))) for length in (LONG // 8, LONG // 4))
    once, twice = (count_calls(partial(read_in_every_way, sql)) for sql in texts)
    assert twice <= 2.5 * once + 1_000


def test_long_lists_and_names() -> None:
    items = [f"B{number:09d}" for number in range(50_000)]
    assert substitute("IN :asins", {"asins": items}) == "IN (" + ", ".join(f"'{item}'" for item in items) + ")"
    assert substitute("IN :asins", {"asins": "\n".join(items)}) == substitute("IN :asins", {"asins": items})
    assert [parameter.type for parameter in detect(":" + "aB1_" * 50_000)] == ["text"]
