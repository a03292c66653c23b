"""Where placeholders count, what they look like, and which names they may have."""

from __future__ import annotations

import pytest

from templates_app.sql.names import Type
from templates_app.sql.parameters import Parameter, detect


def names(sql: str) -> list[str]:
    return [parameter.name for parameter in detect(sql)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("-- {{a}} :b $c\n:d", ["d"]),
        ("-- {{a}}\r:d", ["d"]),
        ("-- {{a}}\u2028:b\x0b:c\n:d", ["d"]),
        ("--{{a}}", []),
        ("/* {{a}}\n:b */ :c", ["c"]),
        ("/* /* {{a}} */ :b */", ["b"]),
        ("/*/ :a */ :b", ["b"]),
        ("/**/:a", ["a"]),
        ("/* :a *", []),
        ("'{{a}} :b $c'", ["a"]),
        ("'it''s {{a}} :b'", ["a"]),
        ("'''' :a", ["a"]),
        ("''':a''' :b", ["b"]),
        ("'{{a}}'' :b", ["a"]),
        ('"{{a}} :b "" $c" :d', ["a", "d"]),
        ("`{{a}} :b `` $c` :d", ["a", "d"]),
        ('"\'" :a', ["a"]),
        ('`"` :a', ["a"]),
        ("'\"' :a", ["a"]),
        ("'-- /*' :a", ["a"]),
        ('"-- /*" :a', ["a"]),
        ("-- it's \" `\n:a", ["a"]),
        ("/* it's -- \" */ :a", ["a"]),
        ("'{{a}} -- {{b}} /* {{c}}", ["a", "b", "c"]),
        ('"{{a}} -- {{b}}', ["a", "b"]),
        (r"'C:\' :a '\{{b}}'", ["a", "b"]),
        (r"\:a \{{b}} \$c", ["a", "b", "c"]),
        ("$$ ' :a ' $$ :b", ["b"]),
        ("CUSTOM_PARAMETER('a') BUILT_IN_PARAMETER('TIME_WINDOW_START')", []),
        ("1 - :a / :b -:c", ["a", "b", "c"]),
    ],
)
def test_regions(sql: str, expected: list[str]) -> None:
    assert names(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("{{a}} {{ b }} {{\n\tc\r\n}}", ["a", "b", "c"]),
        ("{{\u00a0a\u3000}} {{\u2003日付\u2003}} {{\x85é\x85}}", ["a", "日付", "é"]),
        ("{{a\u3000b}} {{a\u3000 b}} {{é b}}", []),
        ("{{a}}}", ["a"]),
        ("{ {{a}} }", ["a"]),
        ("{{a} }", []),
        ("{ {a}}", []),
        ("{{{a}}} {{{{a}}}} '{{{a}}}' \"{{{a}}}\"", []),
        ("{{ {{a}} }}", ["a"]),
        ("{{a|upper}} {{a b}} {{1st}} {{}} {{ }} {{a.b}} {{a-b}} {{a", []),
        ("{{ 'x {{a}} ' }} :b", ["a", "b"]),
        ("{{ -- {{a}}\n:b", ["b"]),
        ("{{x", []),
        ("{% :a %} {# :b #}", ["a", "b"]),
        ("'{% {# {{a}}'", ["a"]),
        ("'{{ ' }} :a", ["a"]),
        ("{{x :a", ["a"]),
        ("{{1st}}:a", []),
        ("{{1st:a", []),
        ("{{1st :a", ["a"]),
    ],
)
def test_braces(sql: str, expected: list[str]) -> None:
    assert names(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (":a", ["a"]),
        ("$a", ["a"]),
        (":asins :asin", ["asins", "asin"]),
        (": a $ b :\nc", []),
        ("x::DATE :d::DATE", ["d"]),
        ("12:30 12:mm 1$a", []),
        ("arr[1:n] arr[:i] arr[ :j] arr[i:j]", ["i", "j"]),
        ("arr[k :n]", ["n"]),
        ("col:field f(x):y {'a':b} {\"a\":b} `a`:b m[0]:z {x}:y", []),
        ("f(x)$y m[0]$z 'a'$b {x}$y", []),
        ("rev$total $$x$$ $tag$ $tag$x :$x $:x", []),
        ("$a$b $c $d:e", ["c", "d"]),
        (":a$ $b", ["a", "b"]),
        (":a:b :c$d", ["a", "c"]),
        (":$a", []),
        ("=:a+:b,:c(:d<$e|$f;:g.:h@:i?:j", list("abcdefghij")),
        ("{:a {$b", ["a", "b"]),
        ("$1 :30 ${x} {x} @x ? %(x)s :-a $.a", []),
        ("y := 5 :{{q}} ${{r}}", ["q", "r"]),
        ("{{a}}:b {{c}}$d", ["a", "c"]),
        ("/**/:a/**/$b", ["a", "b"]),
        ("é:a ́:b 日$c ·:d", []),
        ("–:a €$b", ["a", "b"]),
        (":é–:b $日\u3000:c", ["é", "b", "日", "c"]),
    ],
)
def test_colon_and_dollar(sql: str, expected: list[str]) -> None:
    assert names(sql) == expected


@pytest.mark.parametrize(
    "name", ["a", "_", "__", "a1", "_1", "Ä", "año", "日付", "दिनांक", "größe", "e\u0301", "ª", "ⅷ", "x·y"]
)
def test_names_of_any_script(name: str) -> None:
    assert name.isidentifier()
    assert names(f"{{{{{name}}}}} :{name} ${name} '{{{{ {name} }}}}'") == [name]


@pytest.mark.parametrize("text", ["1a", "\u0301a", "²", "a²", "٣a", "€", "a-b", "a.b", "a b", "😀"])
def test_other_texts_are_no_names(text: str) -> None:
    assert not text.isidentifier()
    assert names(f"{{{{{text}}}}}") == []


def test_mark_takes_the_name_characters_only() -> None:
    assert names(":a² $b€ :c😀 $² :٣a") == ["a", "b", "c"]


def test_dollar_behind_characters_that_are_no_part_of_the_name() -> None:
    assert names("$a€$ $b$") == ["a"]


def test_names_are_compared_exactly() -> None:
    assert names("{{asin}} {{ASIN}} :Asin") == ["asin", "ASIN", "Asin"]
    assert names("{{\u00e9}} {{e\u0301}}") == ["\u00e9", "e\u0301"]


def test_one_name_in_several_syntaxes_is_one_parameter_in_order_of_first_appearance() -> None:
    assert detect("'{{b}}' :asin \"{{a}}\" $b {{asin}}") == [
        Parameter("b", "text"),
        Parameter("asin", "asin"),
        Parameter("a", "text"),
    ]


def test_empty_text_has_no_parameters() -> None:
    assert detect("") == []


@pytest.mark.parametrize(
    ("type_", "listed"),
    [
        (
            "date",
            "date dates startdate enddate DATE Date start_date end_date report_date reportDate2 date_from date_to",
        ),
        (
            "date",
            "date_start date_end date_begin dateMin date_max date_utc date2 date_2_3 date_start_utc_1 _date_ a__date",
        ),
        ("date", "campaign_start_date asin_date x2date eventDates campaignDateTo"),
        (
            "text",
            "updated candidate mandated date_format date_list timestamp start_time start end from_2 lookback_days",
        ),
        ("text", "utc datetime start_dates_x enddates dateformat"),
        (
            "asin",
            "asin asins ASIN ASINs tracked_asins asin1 asin2b parentAsin parentASINs ASIN_LIST asin_min my9asin",
        ),
        ("asin", "campaign_asins date_asins asin_id campaign_type_asins"),
        (
            "campaign",
            "campaign campaigns campaign_ids campaignIds sp_campaign_names asin_campaign_ids campaign_1_type",
        ),
        ("campaign", "campaign_max max_x_campaigns"),
        ("text", "casino basin ASINList asinlist campaigner max_campaigns min_asin num_asins maxAsins"),
        ("text", "asin_campaign_type campaign_asin_count"),
        ("text", "x _ __ _1 größe 日付 e\u0301asin asin\u0301"),
    ],
)
def test_only_the_name_decides_the_type(type_: Type, listed: str) -> None:
    for name in listed.split():
        assert detect(f"campaign = asin OR customer_date > :{name}") == [Parameter(name, type_)]


BESIDE_A_LIST = (
    "brand brands budget category count end filter filters pattern prefix rank start status title type types"
)


@pytest.mark.parametrize("word", BESIDE_A_LIST.split())
def test_words_that_make_an_asin_or_campaign_a_text(word: str) -> None:
    assert [parameter.type for parameter in detect(f":asin_{word} :campaigns_{word} :asin{word.title()}")] == [
        "text"
    ] * 3
    assert [parameter.type for parameter in detect(f":asin_x_{word} :{word}_campaign")] == ["asin", "campaign"]
