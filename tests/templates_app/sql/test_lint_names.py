# ruff: noqa: S608  the SQL is read by the lint, never run
from __future__ import annotations

import pytest

from amc_facts.tables import RETIRED_TABLES, TABLES
from templates_app.sql.lint import Finding, apply_fix, lint


def errors(sql: str, **options: object) -> list[Finding]:
    return [finding for finding in lint(sql, **options) if finding.level == "error"]  # type: ignore[arg-type]


def only(sql: str, rule: str) -> Finding:
    findings = [finding for finding in lint(sql) if finding.rule == rule]
    assert len(findings) == 1, [f"{f.rule}: {f.message}" for f in lint(sql)]
    return findings[0]


def fixed(sql: str, finding: Finding) -> str:
    assert finding.fix is not None
    return apply_fix(sql, finding.fix)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_documented_table_and_column_is_known(table: str) -> None:
    columns = ", ".join(f"COUNT({column}) AS n_{column}" for column in TABLES[table].columns)
    assert errors(f"SELECT {columns} FROM {table}") == []


def test_mistyped_table_is_refused_with_a_suggestion() -> None:
    sql = "SELECT SUM(impressions) AS i FROM dsp_impresions"
    finding = only(sql, "unknown-table")
    assert (finding.level, finding.column) == ("error", sql.index("dsp_") + 1)
    assert fixed(sql, finding) == "SELECT SUM(impressions) AS i FROM dsp_impressions"


def test_table_in_a_widened_window_is_checked_too() -> None:
    sql = "SELECT SUM(impressions) AS i FROM TABLE(EXTEND_TIME_WINDOW('dsp_impresions', 'P14D', 'P1D')) d"
    finding = only(sql, "unknown-table")
    assert sql[finding.column - 1 : finding.end_column - 1] == "dsp_impresions"
    assert errors(fixed(sql, finding)) == []


def test_columns_behind_a_widened_window_are_resolved() -> None:
    sql = "SELECT SUM(impression) AS i FROM TABLE(EXTEND_TIME_WINDOW('dsp_impressions', 'P14D', 'P1D'))"
    assert only(sql, "unknown-column").message.endswith("Did you mean impressions?")


@pytest.mark.parametrize("table", ["read_csv('x.csv')", "'x.csv'", "other.dsp_clicks", "generate_series(1, 2)"])
def test_anything_but_a_table_is_refused(table: str) -> None:
    assert [f.rule for f in errors(f"SELECT COUNT(1) AS n FROM {table}")] == ["unknown-table"]


def test_uploaded_tables_are_known_by_name_in_any_case() -> None:
    join = "FROM dsp_clicks a JOIN My_CRM b ON a.user_id = b.user_id"
    sql = f"SELECT COUNT(DISTINCT a.user_id) AS n, b.tier {join} GROUP BY b.tier"
    assert [f.rule for f in errors(sql, uploaded_tables=[])] == ["unknown-table"]
    assert errors(sql, uploaded_tables=["my_crm"]) == []


@pytest.mark.parametrize(
    "name", ["crm_customers", "my_conversions", "conversions_2025", "dsp_impressions_offline"]
)
def test_what_may_be_an_uploaded_table_is_no_error(name: str) -> None:
    sql = f"SELECT COUNT(DISTINCT user_id) AS n, tier FROM {name} GROUP BY tier"
    assert errors(sql) == []
    finding = only(sql, "unknown-table")
    assert (finding.level, "uploaded" in finding.message) == ("warning", True)
    assert [f.rule for f in errors(sql, uploaded_tables=["other"])] == ["unknown-table"]


def test_a_subquery_is_no_suggestion_for_the_upload_it_reads() -> None:
    cte = "WITH crm_users AS (SELECT user_id FROM crm_user)"
    finding = only(f"{cte} SELECT COUNT(DISTINCT user_id) AS n FROM crm_users", "unknown-table")
    assert (finding.level, finding.fix) == ("warning", None)


@pytest.mark.parametrize(
    ("sql", "rule", "wanted"),
    [
        ('WITH a AS (SELECT site AS "the site" FROM dsp_clicks) SELECT "the sit", 1 AS x FROM a', "unknown-column",
         'SELECT "the site", 1'),
        ('WITH a AS (SELECT site AS "order" FROM dsp_clicks) SELECT orders, 1 AS x FROM a', "unknown-column",
         'SELECT "order", 1'),
        ('WITH a AS (SELECT site AS "x""y" FROM dsp_clicks) SELECT "x""yz", 1 AS x FROM a', "unknown-column",
         'SELECT "x""y", 1'),
        ('WITH "my data" AS (SELECT site FROM dsp_clicks) SELECT site FROM "my dat"', "unknown-table",
         'FROM "my data"'),
        ('SELECT SUM("my aliaz".clicks) AS c FROM dsp_clicks AS "my alias"', "unknown-alias",
         'SUM("my alias".clicks)'),
        ('WITH a AS (SELECT site AS "order", SUM(clicks) AS c FROM dsp_clicks GROUP BY 1) SELECT * FROM a',
         "select-star", 'SELECT "order", c FROM a'),
    ],
)  # fmt: skip
def test_fixes_put_unusual_names_into_quotes(sql: str, rule: str, wanted: str) -> None:
    repaired = fixed(sql, only(sql, rule))
    assert wanted in repaired
    assert not {rule, "syntax-error"} & {f.rule for f in lint(repaired)}


def test_ctes_shadow_tables_and_are_found_in_any_case() -> None:
    cte = "WITH Conversions AS (SELECT campaign AS c FROM dsp_clicks) "
    sql = cte + "SELECT c, COUNT(1) AS n FROM CONVERSIONS GROUP BY C"
    assert lint(sql) == []


def test_a_cte_may_be_called_like_the_table_it_reads() -> None:
    cte = "WITH conversions AS (SELECT tracked_asin AS t FROM conversions) "
    sql = cte + "SELECT t, COUNT(1) AS n FROM conversions GROUP BY t"
    assert lint(sql) == []


@pytest.mark.parametrize("old", sorted(RETIRED_TABLES))
def test_retired_tables_are_warnings(old: str) -> None:
    assert only(f"SELECT COUNT(anything) AS n FROM {old}", "retired-table").level == "warning"
    assert errors(f"SELECT COUNT(anything) AS n FROM {old}") == []


def test_renaming_a_retired_table_keeps_its_qualifier() -> None:
    sql = "SELECT SUM(display_clicks.clicks) AS c FROM display_clicks"
    assert fixed(sql, only(sql, "retired-table")) == (
        "SELECT SUM(display_clicks.clicks) AS c FROM dsp_clicks AS display_clicks"
    )


def test_a_retired_table_that_is_part_of_its_successor_is_not_renamed() -> None:
    finding = only("SELECT COUNT(1) AS n FROM conversions_non_ad_exposed", "retired-table")
    assert finding.fix is None
    assert "exposure_type" in finding.message


def test_retired_column_is_a_warning() -> None:
    sql = "SELECT SUM(winning_bid_cost) AS c FROM dsp_impressions"
    assert only(sql, "retired-column").level == "warning"
    assert errors(sql) == []


def test_audience_tables_are_a_warning_and_a_list_of_their_users_too() -> None:
    sql = "SELECT user_id FROM dsp_impressions_for_audiences WHERE campaign = 'x'"
    finding = only(sql, "audience-table")
    assert finding.level == "warning"
    assert fixed(sql, finding) == "SELECT user_id FROM dsp_impressions WHERE campaign = 'x'"
    qualified = "SELECT SUM(dsp_clicks_for_audiences.clicks) AS c FROM dsp_clicks_for_audiences"
    assert lint(fixed(qualified, only(qualified, "audience-table"))) == []
    assert [f.rule for f in lint(sql)] == ["audience-query", "audience-table"]
    assert {f.level for f in lint(sql)} == {"warning"}


def test_tables_without_advertisers_of_their_type_are_warnings() -> None:
    sql = "SELECT SUM(clicks) AS c FROM dsp_clicks UNION ALL SELECT SUM(clicks) AS c FROM sponsored_ads_traffic"
    assert lint(sql) == []
    findings = lint(sql, advertiser_types=["SPONSORED_ADS"])
    assert [(f.rule, f.level, sql[f.column - 1 : f.end_column - 1]) for f in findings] == [
        ("advertiser-type", "warning", "dsp_clicks")
    ]


def test_mistyped_column_is_refused_with_a_suggestion() -> None:
    sql = "SELECT Campaign_Name, SUM(clicks) AS c FROM dsp_clicks GROUP BY 1"
    finding = only(sql, "unknown-column")
    assert "Campaign_Name" in finding.message
    assert errors(fixed(sql, finding)) == []


def test_a_column_of_another_table_names_that_table() -> None:
    finding = only("SELECT COUNT(1) AS n FROM conversions WHERE placement_type = 'x'", "unknown-column")
    assert "sponsored_ads_traffic" in finding.message


def test_columns_are_followed_through_ctes_unions_and_column_lists() -> None:
    sql = """
        WITH a (one, two) AS (SELECT campaign, clicks FROM dsp_clicks),
        b AS (SELECT one, two FROM a UNION ALL SELECT campaign, impressions FROM dsp_impressions),
        c AS (SELECT * FROM b)
        SELECT d.one, SUM(d.two) AS s, MAX(d.campaign) AS m FROM (SELECT * FROM c) d GROUP BY d.one"""
    assert [f.message for f in errors(sql)] == ["Column 'campaign' not found in d."]


def test_values_have_the_columns_they_are_given() -> None:
    sql = "SELECT COUNT(t.b) AS n, COUNT(c) AS m FROM (VALUES (1, 2)) AS t(a, b)"
    assert [f.message for f in errors(sql)] == ["Column 'c' not found in t."]


def test_correlated_subqueries_see_the_outer_table_and_ctes_do_not() -> None:
    condition = "v.line_item_id = c.line_item_id AND v.campaign = line_item_type"
    inner = f"SELECT COUNT(1) AS n FROM dsp_views v WHERE {condition}"
    correlated = f"SELECT SUM(clicks) AS s FROM dsp_clicks c WHERE EXISTS ({inner})"
    assert errors(correlated) == []
    separate = f"WITH w AS ({inner}) SELECT SUM(clicks) AS s FROM dsp_clicks c CROSS JOIN w"
    assert [f.rule for f in errors(separate)] == ["unknown-alias"]


def test_unknown_alias_is_refused() -> None:
    sql = "SELECT SUM(imp.clicks) AS c FROM dsp_clicks imps"
    finding = only(sql, "unknown-alias")
    assert fixed(sql, finding) == "SELECT SUM(imps.clicks) AS c FROM dsp_clicks imps"


def test_columns_in_two_tables_have_to_say_which() -> None:
    sql = "SELECT COUNT(campaign) AS n FROM dsp_clicks a JOIN dsp_views b ON a.user_id = b.user_id"
    finding = only(sql, "ambiguous-column")
    assert finding.level == "error"
    assert "a.campaign" in finding.message
    assert errors(sql.replace("ON a.user_id = b.user_id", "USING (campaign)")) == []


def test_natural_joins_and_pivots_leave_columns_open() -> None:
    natural = errors("SELECT COUNT(campaign) AS n FROM dsp_clicks a NATURAL JOIN dsp_views b")
    assert [f.rule for f in natural] == ["natural-join"]
    pivot = "(SELECT site, clicks FROM dsp_clicks) PIVOT (SUM(clicks) FOR site IN ('a', 'b'))"
    assert [f.rule for f in errors(f"SELECT COUNT(a) AS n FROM {pivot}")] == ["pivot"]


def test_rows_of_arrays_are_no_unknown_tables() -> None:
    sql = "SELECT COUNT(x) AS n FROM (SELECT COLLECT(site) AS l FROM dsp_clicks) a CROSS JOIN EXPLODE(a.l) AS e(x)"
    assert errors(sql) == []


def test_order_of_a_union_uses_its_output() -> None:
    union = "SELECT * FROM (SELECT site AS s, COUNT(1) AS n FROM dsp_clicks GROUP BY 1) UNION ALL SELECT 'x', 1"
    assert errors(f"{union} ORDER BY n") == []
    assert [f.rule for f in errors(f"{union} ORDER BY clicks")] == ["unknown-column"]


def test_aliases_are_known_where_they_may_be_used() -> None:
    sql = (
        """SELECT SUM(clicks) AS total, campaign AS c FROM dsp_clicks GROUP BY c HAVING total > 5 ORDER BY total"""
    )
    assert errors(sql) == []


def test_an_output_column_does_not_vouch_for_itself() -> None:
    assert [f.rule for f in errors("SELECT nothing AS nothing, COUNT(1) AS n FROM dsp_clicks GROUP BY 1")] == [
        "unknown-column"
    ]


def test_fields_of_named_rows_are_no_aliases() -> None:
    sql = """WITH a AS (SELECT NAMED_ROW('x', campaign) AS r, SUM(clicks) AS c FROM dsp_clicks GROUP BY campaign)
             SELECT a.r.x AS x, SUM(c) AS c, MAX(r.x) AS m FROM a GROUP BY 1"""
    assert errors(sql) == []


def test_two_tables_of_one_name_are_refused() -> None:
    sql = "SELECT COUNT(1) AS n FROM dsp_clicks JOIN dsp_clicks ON TRUE"
    assert only(sql, "duplicate-alias").level == "error"


@pytest.mark.parametrize(
    ("call", "level", "part"),
    [
        ("CONCATT(campaign, 'x')", "error", "CONCAT"),
        ("FROBNICATE(campaign)", "error", "FROBNICATE"),
        ("STRING_AGG(campaign, ',')", "error", "COLLECT"),
        ("DATEDIFF('day', click_date, click_date)", "error", "SECONDS_BETWEEN"),
        ("PERCENT_RANK() OVER (ORDER BY COUNT(1))", "warning", "PERCENT_RANK"),
    ],
)
def test_functions_amc_does_not_document(call: str, level: str, part: str) -> None:
    finding = only(
        f"SELECT COUNT(1) AS n, {call} AS x FROM dsp_clicks GROUP BY campaign, click_date", "unknown-function"
    )
    assert finding.level == level
    assert part in finding.message


def test_calls_amc_has_refused() -> None:
    sql = """SELECT campaign, NTILE(4) OVER (ORDER BY COUNT(1)) AS q, COUNT(*) OVER () AS total,
             COUNT(*) OVER (PARTITION BY campaign) AS fine, COLLECT(CONCAT(campaign, 'x')) AS list,
             COLLECT(DISTINCT site) AS plain FROM dsp_clicks GROUP BY campaign"""
    assert sorted(f.rule for f in errors(sql)) == ["count-over", "ntile"]
    assert sorted(f.rule for f in lint(sql)) == ["collect-expression", "count-over", "ntile"]


def test_getdate_becomes_today() -> None:
    sql = "SELECT COUNT(1) AS n FROM dsp_clicks WHERE click_date = GetDate( )"
    assert (
        fixed(sql, only(sql, "getdate"))
        == "SELECT COUNT(1) AS n FROM dsp_clicks WHERE click_date = CAST('today' AS DATE)"
    )
