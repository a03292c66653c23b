"""What a place in the text makes of one item and of several, and which places are refused."""

from __future__ import annotations

import pytest

from templates_app.sql.parameters import ParameterError, substitute

ONE: dict[str, object] = {"x": ["a"]}
TWO: dict[str, object] = {"x": ["a", "b"]}


def code_of(sql: str, values: dict[str, object]) -> str:
    with pytest.raises(ParameterError) as caught:
        substitute(sql, values)
    return caught.value.code


@pytest.mark.parametrize("operand", ["{{x}}", ":x", "$x", "'{{x}}'", "'{{ x\n}}'"])
class TestOperands:
    @pytest.mark.parametrize(
        "before", ["IN ", "in\n", "NOT In ", "IN /* c */ ", "IN -- c\n", "IN/**/", "VALUES (1, c IN "]
    )
    def test_behind_in(self, operand: str, before: str) -> None:
        assert substitute(before + operand, ONE) == before + "('a')"
        assert substitute(before + operand, TWO) == before + "('a', 'b')"

    @pytest.mark.parametrize(
        "before",
        [
            "VALUES ",
            "values\n\t",
            "VALUES /* c */ -- c\n",
            "VALUES (1), ",
            "VALUES (1, f(2)) /* c */ , -- c\n ",
            "VALUES ('q') , ",
            "VALUES ([1]), ",
            "VALUES :y, ",
            "VALUES '{{y}}',",
            "VALUES (1), (2), ",
        ],
    )
    def test_row_position(self, operand: str, before: str) -> None:
        values = {"y": "r"}
        done = before.replace(":y", "('r')").replace("'{{y}}'", "('r')")
        assert substitute(before + operand, {**ONE, **values}) == done + "('a')"
        assert substitute(before + operand, {**TWO, **values}) == done + "('a'), ('b')"
        assert substitute(before + operand + ", (3)", {**TWO, **values}) == done + "('a'), ('b'), (3)"

    @pytest.mark.parametrize(
        "around", ["VALUES ({})", "VALUES(\n {} )", "VALUES (1), (/* c */ {} -- c\n)", "VALUES :y, ({})"]
    )
    def test_alone_in_a_row(self, operand: str, around: str) -> None:
        done = around.replace(":y", "(1)")
        assert substitute(around.replace("{}", operand), {**ONE, "y": 1}) == done.replace("{}", "'a'")
        assert substitute(around.replace("{}", operand), {**TWO, "y": 1}) == done.replace("{}", "'a'), ('b'")

    @pytest.mark.parametrize(
        "around",
        ["VALUES ({}, 1)", "VALUES (1, {})", "VALUES (1, {}, 2)", "VALUES (1), (2, {})", "VALUES (f(1), {})"],
    )
    def test_beside_others_in_a_row(self, operand: str, around: str) -> None:
        assert substitute(around.replace("{}", operand), ONE) == around.replace("{}", "'a'")
        assert code_of(around.replace("{}", operand), TWO) == "list"

    @pytest.mark.parametrize(
        "around",
        [
            "({})",
            "[{}]",
            "f(1, {})",
            "f({}, 1)",
            "f(1, {}, 2)",
            "f( /* c */ {} -- c\n)",
            "(g(1), {})",
            "[(1), {}]",
            "IN ({})",
            "IN (1, {})",
            "VALUES (f({}), 1)",
            "VALUES (1, [{}])",
            "(VALUES (1) AS v, {})",
            "f('VALUES', {})",
            "XVALUES ({})",
            "VALUES ('q'), f({})",
            "VALUES (1) AS t, ({})",
            '"VALUES" ({})',
            "VALUES (1); ({})",
            "(a, {}, b",
        ],
    )
    def test_element_between_brackets(self, operand: str, around: str) -> None:
        assert substitute(around.replace("{}", operand), ONE) == around.replace("{}", "'a'")
        assert substitute(around.replace("{}", operand), TWO) == around.replace("{}", "'a', 'b'")

    @pytest.mark.parametrize(
        "around",
        [
            "= {}",
            "{}",
            "a, {}, b",
            "(1 + {})",
            "({} + 1)",
            "f(x => {})",
            "f(1, {} AS y)",
            "f(1, {}",
            "(1), {}, (2)",
            "f(DATE {})",
            "x_IN {}",
            "INN {}",
            "'IN' {}",
            "IN (1) , {}",
            "VALUES (1) {}",
            "VALUES 1, {}",
            "VALUES 'q', {}",
            "VALUES f(1), {}",
            "VALUES [1], {}",
            "VALUES (1) AS t, {}",
            "VALUES (1),, {}",
            "ROWVALUES {}",
            "VALUES - {}",
            "VALUES ({}",
            "(1)) , {}",
            "ıN {}",
            "éIN {}",
        ],
    )
    def test_anywhere_else(self, operand: str, around: str) -> None:
        assert substitute(around.replace("{}", operand), ONE) == around.replace("{}", "'a'")
        assert code_of(around.replace("{}", operand), TWO) == "list"


def test_each_occurrence_is_treated_by_its_own_place() -> None:
    assert substitute("IN :x OR ({{x}}) OR VALUES $x, ('{{x}}')", {"x": [1, 2]}) == (
        "IN (1, 2) OR (1, 2) OR VALUES (1), (2), ('1'), ('2')"
    )


def test_keywords_are_words_of_the_code() -> None:
    assert (
        substitute("f(:in, {{x}}) :values ({{x}})", {**TWO, "in": 1, "values": 2}) == "f(1, 'a', 'b') 2 ('a', 'b')"
    )
    assert code_of("-- IN\n{{x}}", TWO) == "list"
    assert code_of("/* VALUES */ {{x}}", TWO) == "list"
    assert code_of("$in$ = {{x}}", TWO) == "list"


def test_brackets_in_strings_and_comments_open_nothing() -> None:
    assert code_of("'(' , {{x}}, ')'", TWO) == "list"
    assert code_of("/* ( */ , {{x}}, 1", TWO) == "list"
    assert code_of('"(" , {{x}}, 1', TWO) == "list"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("'%{{x}}%'", "'%a''\"`b%'"),
        ("'{{x}} '", "'a''\"`b '"),
        ("' {{x}}'", "' a''\"`b'"),
        ("'{{x}}{{x}}'", "'a''\"`ba''\"`b'"),
        ("'{{x}}''s'", "'a''\"`b''s'"),
        ("'''{{x}}'", "'''a''\"`b'"),
        ("'{{x}}'''", "'a''\"`b'''"),
        ("'{{x}}", "'a''\"`b"),
        ("'{{x}}''", "'a''\"`b''"),
        ('"{{x}}"', '"a\'""`b"'),
        ('"t_{{x}}', '"t_a\'""`b'),
        ("`{{x}}`", "`a'\"``b`"),
        ("'{\"k\":{{x}}}'", "'{\"k\":a''\"`b}'"),
    ],
)
def test_beside_other_text_in_quotes(sql: str, expected: str) -> None:
    assert substitute(sql, {"x": "a'\"`b"}) == expected
    assert code_of(sql, TWO) == "list"
    assert code_of(f"IN ({sql}", TWO) == "list"


def test_numbers_in_other_text_are_their_digits() -> None:
    assert substitute("'a{{n}}' \"b{{n}}\"", {"n": "-7"}) == "'a-7' \"b-7\""


@pytest.mark.parametrize(
    "sql",
    [
        "t_{{x}}",
        "{{x}}_t",
        "1{{x}}",
        "{{x}}1",
        "é{{x}}",
        "{{x}}é",
        "\u0301{{x}}",
        "{{x}}\u0301",
        "a.{{x}}",
        "{{x}}.a",
        ":x.a",
        ".:x",
        ".$x",
        "$x.5",
        "{{x}}{{x}}",
        "{{x}}{{ x\n}}",
        ":x{{x}}",
        "'y'{{x}}",
        "{{x}}'y'",
        ":x'y'",
        "{{x}}''",
        '"y"{{x}}',
        '{{x}}"y"',
        "`y`{{x}}",
        "{{x}}`y`",
        "$x`y`",
        "{{x}}'{{x}}'",
        "LIKE{{x}}",
        "XIN{{x}}",
        "1IN{{x}}",
        "x_VALUES{{x}}",
        "{{x}}IN (1)",
        "{{x}}VALUES",
        ":IN{{x}}",
        "éIN{{x}}",
        "AND{{x}}",
    ],
)
def test_glued(sql: str) -> None:
    assert code_of(sql, {"x": "v", "IN": 1}) == "glued"
    assert code_of(sql, {}) == "glued"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("IN{{x}}", "IN('v')"),
        ("in{{x}}", "in('v')"),
        ("Values{{x}}", "Values('v')"),
        ("(IN{{x}})", "(IN('v'))"),
        ("={{x}}+", "='v'+"),
        ("{{x}}::DATE", "'v'::DATE"),
        ("{{x}}/**/'y'", "'v'/**/'y'"),
        ("'y'/**/{{x}}--", "'y'/**/'v'--"),
        ("{{x}}}", "'v'}"),
        ("{{x}}:x", "'v':x"),
        (":x$x", "'v'$x"),
        ("{{x}};", "'v';"),
        ("€{{x}}€", "€'v'€"),
        ("DATE'{{x}}'", "DATE'v'"),
        ("IN'{{x}}'", "IN('v')"),
        ("x'{{x}}'y", "x'v'y"),
        ("a'{{x}}y'", "a'vy'"),
    ],
)
def test_not_glued(sql: str, expected: str) -> None:
    assert substitute(sql, {"x": "v"}) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("-{{n}}", "- -7"),
        ("5-:n", "5- -7"),
        ("- {{n}}", "- -7"),
        ("-\n$n", "-\n-7"),
        ("-/**/$n", "-/**/-7"),
        ("+$n", "+-7"),
        ("{{n}}-{{n}}", "-7- -7"),
        ("'-{{n}}'", "'--7'"),
        ("-'{{n}}'", "-'-7'"),
    ],
)
def test_two_minus_signs_never_meet_in_code(sql: str, expected: str) -> None:
    assert substitute(sql, {"n": -7}) == expected
    assert substitute(sql, {"n": "-7"}) == expected


def test_no_space_before_what_is_not_negative() -> None:
    assert substitute("-{{n}} -{{s}}", {"n": 7, "s": "-x"}) == "-7 -'-x'"


@pytest.mark.parametrize("braces", ["{{a|upper}}", "{{a b}}", "{{1st}}", "{{}}", "{{{a}}}", "{{a", "{{{{a}}}}"])
@pytest.mark.parametrize("around", ["{}", "'{}'", '"{}"', "`{}`", "'%{} "])
def test_malformed_braces(braces: str, around: str) -> None:
    assert code_of(around.replace("{}", braces), {"a": "x"}) == "malformed"


def test_tags_are_malformed_in_code_only() -> None:
    assert code_of("{% if %}", {}) == "malformed"
    assert code_of("{# note #}", {}) == "malformed"
    text = "'{% {#' \"{% {#\" `{#` -- {% {{\n/* {{a|b}} {# */ { % { #"
    assert substitute(text, {}) == text


@pytest.mark.parametrize(
    ("sql", "code", "name", "place"),
    [
        (":a :b", "missing", "a", (1, 1)),
        ("\r\n :b\r :a {{", "missing", "a", (3, 2)),
        ("{{ :a", "malformed", "", (1, 1)),
        ("':' 'x{{'\n:a", "malformed", "", (1, 7)),
        ("'{{b}} {{a}} {{|'", "missing", "a", (1, 8)),
        ("= '{{a}}'", "missing", "a", (1, 4)),
        (":b\n:two", "list", "two", (2, 1)),
        ("😀 = :two :a", "list", "two", (1, 5)),
        ("= x{{two}} {{", "glued", "two", (1, 4)),
        ("-- :a\n{% :a", "malformed", "", (2, 1)),
        ("= ' {{bad}}' :two", "type", "bad", (1, 5)),
    ],
)
def test_the_first_problem_in_the_text_counts(sql: str, code: str, name: str, place: tuple[int, int]) -> None:
    with pytest.raises(ParameterError) as caught:
        substitute(sql, {"b": 1, "two": [1, 2], "bad": {}})
    error = caught.value
    assert (error.code, error.name, (error.line, error.column)) == (code, name, place)
    assert error.message == str(error)
    assert error.message.startswith(name)


def test_order_of_problems_at_one_placeholder() -> None:
    assert code_of("x{{a}}", {"a": {}}) == "glued"
    assert code_of("= {{a}}", {"a": ["x", None]}) == "null"
    assert code_of("= {{date}}", {"date": ["x", "y"]}) == "date"


def test_what_is_no_placeholder_is_copied_character_for_character() -> None:
    text = "\ufeffSELECT\t'a''b' ,x::DATE ; -- é\r\n/* {{x}} */ $1 12:30 \\ $$q$$ \x00 \r;;\n\n"
    assert substitute(text, {"x": "v", "1": "v", "30": "v"}) == text


def test_names_in_comments_need_no_value() -> None:
    assert substitute("-- {{a}}\n/* :b {{ */ :x", {"x": 1}) == "-- {{a}}\n/* :b {{ */ 1"
