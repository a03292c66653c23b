"""One list of statements for the local AMC and the lint: refused by both, run by both, and where they may differ."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import os
from dataclasses import dataclass

from tests.local_amc import test_sql_grammar, test_sql_rejections
from tests.local_amc.outcomes import corpus

TOTAL = "SUM(impressions) AS i FROM dsp_impressions"
BY_CAMPAIGN = f"SELECT campaign, {TOTAL}"
CLICKS = "SELECT COUNT(*) AS c FROM dsp_clicks"
ONE_ROW = "FROM (VALUES ('a', 1)) AS t(k, n)"

# What AMC SQL lacks: the statement, the code of the entry, and the word that both must say.
CONSTRUCTS = [
    (f"{BY_CAMPAIGN} WHERE campaign ILIKE 'a%' GROUP BY 1", "ilike", "ILIKE"),
    (f"{BY_CAMPAIGN} WHERE campaign NOT ILIKE 'a%' GROUP BY 1", "ilike", "ILIKE"),
    ("SELECT campaign, SUM(impressions)::DOUBLE AS i FROM dsp_impressions GROUP BY 1", "cast-operator", "::"),
    (f"{BY_CAMPAIGN} GROUP BY ALL", "group-by-all", "GROUP BY ALL"),
    (f"{BY_CAMPAIGN} GROUP BY 1 QUALIFY ROW_NUMBER() OVER (ORDER BY campaign) = 1", "qualify", "QUALIFY"),
    ("SELECT `campaign`, SUM(impressions) AS i FROM dsp_impressions GROUP BY 1", "back-tick", "Back-ticks"),
    (f"{BY_CAMPAIGN} WHERE campaign == 'x' GROUP BY 1", "double-equals", "=="),
    (f"{BY_CAMPAIGN} WHERE campaign ~ 'x' GROUP BY 1", "regex-operator", "regular expressions"),
    (f"{BY_CAMPAIGN} WHERE campaign ~* 'x' GROUP BY 1", "regex-operator", "regular expressions"),
    (f"{BY_CAMPAIGN} WHERE campaign ~~ 'x' GROUP BY 1", "like-operator", "~~"),
    (f"{BY_CAMPAIGN} WHERE campaign RLIKE 'x' GROUP BY 1", "rlike", "RLIKE"),
    (f"{BY_CAMPAIGN} WHERE campaign REGEXP 'x' GROUP BY 1", "rlike", "REGEXP"),
    (f"{BY_CAMPAIGN} WHERE campaign GLOB 'x*' GROUP BY 1", "glob", "GLOB"),
    (f"{BY_CAMPAIGN} WHERE campaign <=> 'x' GROUP BY 1", "null-safe-equals", "<=>"),
    (f"{CLICKS} a NATURAL JOIN dsp_views b", "natural-join", "NATURAL JOIN"),
    (f"{CLICKS} a ASOF JOIN dsp_views b ON a.click_dt >= b.event_dt", "asof-join", "ASOF JOIN"),
    (f"{CLICKS} a SEMI JOIN dsp_views b USING (user_id)", "semi-join", "SEMI JOIN"),
    (f"{CLICKS} a ANTI JOIN dsp_views b USING (user_id)", "anti-join", "ANTI JOIN"),
    (f"{CLICKS} a LEFT ANTI JOIN dsp_views b USING (user_id)", "anti-join", "ANTI JOIN"),
    (f"{CLICKS} a POSITIONAL JOIN dsp_views b", "positional-join", "POSITIONAL JOIN"),
    (f"{CLICKS} a RIGHT JOIN dsp_views b USING (user_id)", "right-join", "RIGHT JOIN"),
    ("SELECT campaign FROM dsp_clicks GROUP BY 1 EXCEPT SELECT campaign FROM dsp_views GROUP BY 1", "except",
     "EXCEPT"),
    ("SELECT campaign FROM dsp_clicks GROUP BY 1 EXCEPT ALL SELECT campaign FROM dsp_views GROUP BY 1", "except",
     "EXCEPT"),
    ("SELECT campaign FROM dsp_clicks GROUP BY 1 INTERSECT SELECT campaign FROM dsp_views GROUP BY 1", "intersect",
     "INTERSECT"),
    ("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", "recursive",
     "WITH RECURSIVE"),
    (f"{BY_CAMPAIGN} GROUP BY ROLLUP (campaign)", "rollup", "ROLLUP"),
    (f"{BY_CAMPAIGN} GROUP BY campaign WITH ROLLUP", "rollup", "ROLLUP"),
    (f"{BY_CAMPAIGN} GROUP BY campaign WITH TOTALS", "totals", "TOTALS"),
    (f"{CLICKS} CONNECT BY clicks = 1", "connect-by", "CONNECT BY"),
    (f"{BY_CAMPAIGN} GROUP BY CUBE (campaign)", "cube", "CUBE"),
    (f"{BY_CAMPAIGN} GROUP BY GROUPING SETS ((campaign), ())", "grouping-sets", "GROUPING SETS"),
    ("SELECT SUM(impressions) ^ 2 AS i FROM dsp_impressions", "power-operator", "^"),
    ("SELECT 2 ** 3 AS a", "power-operator", "**"),
    ("SELECT 10 // 3 AS a", "integer-division", "//"),
    ("SELECT 5 & 3 AS a", "bit-operator", "bits"),
    ("SELECT 5 | 3 AS a", "bit-operator", "bits"),
    ("SELECT 5 << 3 AS a", "bit-operator", "<<"),
    (f"{CLICKS} WHERE ! (clicks = 1)", "exclamation-mark", "!"),
    ("SELECT $$x$$ AS a", "dollar-quotes", "$$"),
    ("SELECT E'x' AS a", "prefixed-string", "letter before it"),
    ("SELECT N'x' AS a", "prefixed-string", "letter before it"),
    (f"SELECT {TOTAL} TABLESAMPLE BERNOULLI (10)", "tablesample", "TABLESAMPLE"),
    (f"{CLICKS} USING SAMPLE 10%", "tablesample", "TABLESAMPLE"),
    ("SELECT {'a': SUM(impressions)} AS a FROM dsp_impressions", "struct", "NAMED_ROW"),
    ("SELECT STRUCT(1, 2) AS a", "struct", "STRUCT"),
    (f"SELECT k -> 'a' AS a {ONE_ROW}", "path-operator", "arrows"),
    ("SELECT ARRAY[1, 2][1:2] AS a", "colon", "colon"),
    ("SELECT @limit AS a", "at-sign", "@"),
    ("SELECT campaign || 'x' AS c, SUM(clicks) AS n FROM dsp_clicks GROUP BY 1", "concat-operator", "||"),
    (f"SELECT k COLLATE nocase AS c {ONE_ROW}", "collate", "COLLATE"),
    ("SELECT CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS t", "at-time-zone", "AT TIME ZONE"),
    ("SELECT CURRENT_TIME AS t", "current-time", "CURRENT_TIME"),
    ("SELECT LOCALTIMESTAMP AS t", "localtimestamp", "LOCALTIMESTAMP"),
    (f"{CLICKS} FOR UPDATE", "for-update", "FOR UPDATE"),
    ("SELECT COUNT(*) AS c INTO copied FROM dsp_clicks", "into", "INTO"),
    (f"SELECT n {ONE_ROW}, LATERAL (SELECT 1 AS x) AS u", "lateral", "LATERAL"),
    ("SELECT campaign, COUNT(*) AS c FROM dsp_clicks PIVOT (SUM(clicks) FOR campaign IN ('a')) GROUP BY 1", "pivot",
     "PIVOT"),
    ("SELECT 1 AS a UNION ALL BY NAME SELECT 2 AS a", "by-name", "BY NAME"),
    ("SELECT DISTINCT ON (campaign) campaign FROM dsp_impressions", "distinct-on", "DISTINCT ON"),
    ("SELECT AS STRUCT 1 AS a", "select-as-struct", "STRUCT"),
    ("FROM dsp_clicks SELECT COUNT(*) AS c", "no-select", "SELECT"),
    ("SELECT CURRENT_USER AS a", "not-amc-sql", "CURRENT_USER"),
    ("SELECT GETDATE() AS a", "getdate", "GETDATE"),
    ("SELECT LEN('a') AS a", "unknown-function", "LEN"),
    ("SELECT IIF(TRUE, 1, 2) AS a", "unknown-function", "IIF"),
    ("SELECT TRY_CAST('1' AS INTEGER) AS a", "unknown-function", "TRY_CAST"),
    ("SELECT LISTAGG(campaign, ',') AS a FROM dsp_clicks", "unknown-function", "LISTAGG"),
    ("SELECT STRING_AGG(campaign, ',') AS a FROM dsp_clicks", "unknown-function", "STRING_AGG"),
    ("SELECT DATEDIFF('day', click_date, click_date) AS a, COUNT(*) AS c FROM dsp_clicks GROUP BY 1",
     "unknown-function", "DATEDIFF"),
    ("SELECT FIRST(campaign) AS a FROM dsp_clicks", "unknown-function", "FIRST"),
    ("SELECT ROW(1, 2) AS a", "unknown-function", "ROW"),
    ("SELECT CAST('1' AS UUID) AS a", "unknown-type", "UUID"),
    ("SELECT CAST('1' AS JSON) AS a", "unknown-type", "JSON"),
    ("SELECT CAST('1' AS TIMESTAMPTZ) AS a", "unknown-type", "TIMESTAMPTZ"),
    ("SELECT DATE '2026-02-30' AS a", "date-literal", "2026-02-30"),
]  # fmt: skip

# Characters that look like SQL's own: the statement, its first look-alike, and what the fix makes of it.
LOOK_ALIKES = [
    (f"\ufeff{BY_CAMPAIGN} GROUP BY 1", "U+FEFF", f"{BY_CAMPAIGN} GROUP BY 1"),
    (f"{BY_CAMPAIGN} WHERE campaign = \u2018Brand X\u2019 GROUP BY 1", "U+2018",
     f"{BY_CAMPAIGN} WHERE campaign = 'Brand X' GROUP BY 1"),
    (f"{BY_CAMPAIGN} WHERE campaign = \u2018a \u2013 b\u2019 GROUP BY 1", "U+2018",
     f"{BY_CAMPAIGN} WHERE campaign = 'a \u2013 b' GROUP BY 1"),
    ("SELECT SUM(impressions) AS \u201ci\u201d FROM dsp_impressions", "U+201C",
     'SELECT SUM(impressions) AS "i" FROM dsp_impressions'),
    ("SELECT SUM\uff08impressions\uff09 AS i FROM dsp_impressions", "U+FF08", f"SELECT {TOTAL}"),
    ("SELECT SUM(impressions) \u2013 1 AS i FROM dsp_impressions", "U+2013",
     "SELECT SUM(impressions) - 1 AS i FROM dsp_impressions"),
    (f"SELECT \u200bcampaign, {TOTAL} GROUP BY 1", "U+200B", f"{BY_CAMPAIGN} GROUP BY 1"),
    (f"SELECT camp\u00adaign, {TOTAL} GROUP BY 1", "U+00AD", f"{BY_CAMPAIGN} GROUP BY 1"),
    (f"{CLICKS} WHERE clicks \u2265 1 AND clicks \u2260 3", "U+2265", f"{CLICKS} WHERE clicks >= 1 AND clicks <> 3"),
    ("SELECT 2 \u00d7 3 AS a", "U+00D7", "SELECT 2 * 3 AS a"),
    ("SELECT 1 AS a\u3001 2 AS b", "U+3001", "SELECT 1 AS a, 2 AS b"),
    ("SELECT 1 AS a\uff0c 2 AS b", "U+FF0C", "SELECT 1 AS a, 2 AS b"),
]  # fmt: skip

# Blanks that AMC takes: published queries are full of them. The lint warns, and its fix makes spaces of them.
BLANKS = [
    f"SELECT\u00a0campaign, {TOTAL} GROUP BY 1",
    f"{BY_CAMPAIGN} GROUP BY 1".replace(" ", "\u00a0"),
    f"{BY_CAMPAIGN}\u3000GROUP\u2009BY 1",
]

REFUSED = [
    f"{BY_CAMPAIGN} GROUP BY 1,",
    f"SELECT campaign,, {TOTAL} GROUP BY 1",
    f"; {BY_CAMPAIGN} GROUP BY 1",
    f"{BY_CAMPAIGN} WHERE campaign IN ('a' GROUP BY 1",
    "SELECT SUM(impressions)) AS i FROM dsp_impressions",
    f"SELECT CASE WHEN clicks AS c, {TOTAL}",
    "SELECT MAX(user_id) AS u FROM dsp_clicks",
    "SELECT user_id, COUNT(*) AS c FROM dsp_clicks GROUP BY 1",
    "SELECT user_id, COUNT(*) AS c FROM dsp_clicks_for_audiences GROUP BY 1",
    "SELECT MAX(user_id) AS user_id FROM dsp_clicks_for_audiences",
    "SELECT CONCAT(user_id, '') AS user_id FROM dsp_clicks_for_audiences GROUP BY 1",
    "WITH a AS (SELECT CAST(user_id AS VARCHAR) AS u FROM dsp_clicks_for_audiences) "
    "SELECT u, COUNT(*) AS c FROM a GROUP BY 1",
    "SELECT COLLECT(user_id) AS u FROM dsp_clicks_for_audiences",
    f"{CLICKS} WHERE user_id = 'x'",
    f"{CLICKS} WHERE postal_code IN ('12345', '23456')",
    "SELECT SUM(COUNT(*)) AS c FROM dsp_clicks",
    f"{CLICKS} GROUP BY SUM(clicks)",
    f"{CLICKS} WHERE NOT site",
    f"{CLICKS} WHERE click_date = 20261001",
    f"{CLICKS} WHERE click_dt > 'soon'",
    "SELECT COLLECT(site, campaign) AS l FROM dsp_clicks",
    "SELECT CONTAINED_IN('a') AS x",
    "SELECT BUILT_IN_PARAMETER('NOW') AS x",
    "SELECT CUSTOM_PARAMETER(x) AS x",
    "SELECT FORMAT(1, 2) AS x",
    "SELECT 1 AS a UNION ALL SELECT ARRAY[1]",
    "WITH a (x, y) AS (VALUES (1)) SELECT x FROM a",
    "SELECT a FROM (VALUES (1), (SELECT 2)) AS t(a)",
    f"{CLICKS} FROM dsp_views",
    "SELECT COUNT(*) AS c FROM FROM dsp_views",
    "1 AS a UNION ALL SELECT 2",
    "SELECT CAST(1 AS INTEGER AS i, CAST(2 AS BIGINT) AS j",
    f"{BY_CAMPAIGN} WHERE i > 1 GROUP BY 1",
    "UPDATE dsp_clicks SET clicks = 1",
    "SELECT 'a\0b' AS a",
]  # fmt: skip
ACCEPTED = [
    "SELECT campaign, COUNT(DISTINCT user_id) AS users FROM dsp_clicks_for_audiences GROUP BY 1",
    "SELECT campaign, SUM(impressions) FILTER (WHERE iso_country_code = 'US') AS i FROM dsp_impressions GROUP BY 1",
    "SELECT COUNT(*) FILTER (WHERE impressions > 0) AS c FROM dsp_impressions",
    "SELECT campaign, COLLECT(site) FILTER (WHERE site IS NOT NULL) AS l FROM dsp_clicks GROUP BY 1",
    "SELECT k, SUM(n) FILTER (WHERE n > 1) OVER (PARTITION BY k) AS s FROM (VALUES ('a', 1)) AS t(k, n)",
    "SELECT campaign, COUNT(*) OVER (PARTITION BY campaign) AS n, SUM(clicks) AS c FROM dsp_clicks GROUP BY 1",
    f"{BY_CAMPAIGN} WHERE LOWER(campaign) LIKE 'a%' GROUP BY 1",
    f"{BY_CAMPAIGN} WHERE campaign SIMILAR TO '(?i)a.*' GROUP BY 1",
    f"{BY_CAMPAIGN} WHERE campaign IS NOT DISTINCT FROM 'x' GROUP BY 1",
    f"{BY_CAMPAIGN} WHERE campaign <> 'ILIKE || :: \u2018x\u2019' GROUP BY 1",
    f"{BY_CAMPAIGN} /* \u201cROLLUP\u201d \u00a0 ~ */ GROUP BY 1",
    'SELECT campaign AS "Kampagne \u2013 \u00e4", SUM(clicks) AS c FROM dsp_clicks GROUP BY 1',
    "SELECT campaign AS \u30ad\u30e3\u30f3\u30da\u30fc\u30f3, SUM(clicks) AS c FROM dsp_clicks GROUP BY 1",
    f"{CLICKS} WHERE (campaign, site) IN (SELECT campaign, site FROM dsp_views)",
    f"{CLICKS} a WHERE EXISTS (SELECT 1 FROM dsp_views b WHERE b.user_id = a.user_id)",
    f"{CLICKS} WHERE click_date >= CAST('today' AS DATE) - INTERVAL '3' DAY",
    f"{CLICKS} WHERE click_dt >= '2026-10-01' AND click_date < CURRENT_DATE",
    "SELECT CASE campaign WHEN 'a' THEN 1 ELSE 2 END AS k, COUNT(*) AS c FROM dsp_clicks GROUP BY 1",
    "SELECT campaign, SUM(clicks) AS clicks FROM dsp_clicks WHERE clicks > 0 GROUP BY 1",
    "SELECT IF(clicks > 0, 'yes', 'no') AS k, COUNT(*) AS c FROM dsp_clicks GROUP BY 1",
    "SELECT SUBSTR(campaign, 1) AS k, COUNT(*) AS c FROM dsp_clicks GROUP BY 1",
    "SELECT campaign, SUM(clicks) AS c FROM dsp_clicks GROUP BY campaign HAVING SUM(clicks) > 1 AND c < 9",
    "SELECT NAMED_ROW('a', 1, 'b', 'x') AS r",
    "SELECT EXTRACT(DOW FROM click_dt) AS d, DATE_TRUNC('week', click_dt) AS w, COUNT(*) AS c FROM dsp_clicks "
    "GROUP BY 1, 2",
    "SELECT PERCENTILE(clicks, 0.5) AS p, APPROX_PERCENTILE(clicks, 0.9) AS q FROM dsp_clicks",
    "SELECT 1 AS a UNION SELECT 2 UNION ALL SELECT 3",
    "SELECT 5 % 2 AS a, -1 AS b, NOT TRUE AS c, 1 IN (1, 2) AS d",
    "SELECT COUNT(*) AS c FROM TABLE(EXTEND_TIME_WINDOW('dsp_clicks', 'P1M2DT3H', 'P0D')) AS x",
]  # fmt: skip

NOTHING = "An empty editor is no mistake; saving and running refuse it by themselves."
ROW_LIMIT = "Published queries have it, so its rule warns and takes the clause out with a fix."
ORDER = "Such queries have run at AMC, whatever its documentation says, so its rule warns."
STAR = "Over a subquery AMC's documentation alone is against it, so its rule warns."
NO_AGGREGATE = "With aggregation controls off, as in AMC's sandbox, the same query runs, so its rule warns."
AUDIENCE = "A list of users is right where an audience is made, so its rule warns."
# Rules that warn of what the local AMC refuses, each with the reason; the empty one stands for no finding.
WARNINGS = {
    "": NOTHING,
    "row-limit": ROW_LIMIT,
    "order-by": ORDER,
    "select-star": STAR,
    "no-aggregate": NO_AGGREGATE,
    "audience-query": AUDIENCE,
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement; `warning` is the rule that only warns of what the local AMC refuses, None where none may."""

    sql: str
    warning: str | None = None


# The only statements for which the lint has no error though the local AMC refuses them, each with a rule of WARNINGS.
EXCEPTIONS = {
    "": "",
    " -- only a comment": "",
    f"SELECT {TOTAL} LIMIT 10": "row-limit",
    f"SELECT {TOTAL}\nLIMIT 10": "row-limit",
    f"SELECT {TOTAL} FETCH FIRST 5 ROWS ONLY": "row-limit",
    f"SELECT {TOTAL} OFFSET 3": "row-limit",
    f"{BY_CAMPAIGN} GROUP BY 1\nORDER BY campaign": "order-by",
    f"WITH a AS (SELECT {TOTAL}) SELECT * FROM a": "select-star",
    "SELECT 1 AS a UNION ALL SELECT * FROM (VALUES (2)) AS t(a)": "select-star",
    "SELECT campaign FROM dsp_impressions": "no-aggregate",
    "SELECT campaign FROM dsp_impressions UNION ALL SELECT campaign FROM dsp_clicks": "no-aggregate",
    "SELECT campaign, SUM(impressions) OVER () AS i FROM dsp_impressions": "no-aggregate",
    "SELECT user_id FROM dsp_clicks GROUP BY 1": "audience-query",
    "SELECT user_id FROM dsp_clicks_for_audiences": "audience-query",
    "SELECT campaign FROM dsp_clicks_for_audiences": "no-aggregate",
}


def own() -> list[Statement]:
    """Return the statements of the tests, each once."""
    texts = [
        *(sql for sql, *_ in CONSTRUCTS + LOOK_ALIKES),
        *(sql for sql, *_ in test_sql_rejections.REFUSED + test_sql_grammar.REFUSED),
        *(sql for sql, *_ in test_sql_grammar.ROWS),
        *(BLANKS + REFUSED + ACCEPTED + test_sql_rejections.ACCEPTED),
        *EXCEPTIONS,
    ]
    return [Statement(sql, EXCEPTIONS.get(sql)) for sql in dict.fromkeys(texts)]


def published() -> list[Statement]:
    """Return the published queries that have no blanks to fill in; none without AMC_CORPUS."""
    if "AMC_CORPUS" not in os.environ:
        return []
    return [Statement(query.sql) for query in corpus() if query.kind != "needs-values" and "{{" not in query.sql]
