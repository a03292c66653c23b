"""Charts, against groups computed here in plain Python."""

from __future__ import annotations

import datetime as dt
import random
import statistics
from collections import defaultdict

import pytest

from executions.results.charts import NO_VALUE, OTHERS, ChartData, ChartSuggestion, chart_series, suggest_chart
from executions.results.errors import ResultError
from tests.executions.results.conftest import MakeResult


def points(chart: ChartData, series: int = 0) -> dict[str, float | None]:
    return dict(zip(chart.labels, chart.series[series].values, strict=True))


def test_bars_are_the_highest_groups_and_one_for_all_others(make_result: MakeResult) -> None:
    random.seed(5)
    rows = [(f"brand {random.randrange(30)}", random.randrange(1000), random.random()) for _ in range(3000)]
    path, _ = make_result("brand,clicks,ctr\n" + "".join(f"{b},{c},{r:.6f}\n" for b, c, r in rows))
    clicks, ctr = defaultdict(list), defaultdict(list)
    for brand, count, rate in rows:
        clicks[brand].append(count)
        ctr[brand].append(rate)
    ranked = sorted(clicks, key=lambda brand: (-sum(clicks[brand]), brand))

    chart = chart_series(path, x="brand", ys=["clicks"], kind="bar", limit=10)
    assert chart.labels == (*ranked[:10], OTHERS)
    assert points(chart)[OTHERS] == sum(sum(clicks[brand]) for brand in ranked[10:])
    assert [points(chart)[brand] for brand in ranked[:10]] == [sum(clicks[brand]) for brand in ranked[:10]]
    assert (chart.groups, chart.has_others) == (30, True)
    assert "10 highest of 30" in chart.note

    means = chart_series(path, x="brand", ys=["ctr", "clicks"], kind="bar", aggregate="avg", limit=29)
    left_out = set(clicks) - set(means.labels)
    assert len(left_out) == 1
    # The mean of the rows, not of the groups' means.
    assert points(means)[OTHERS] == pytest.approx(statistics.fmean(ctr[left_out.pop()]), abs=1e-6)

    everything = chart_series(path, x="brand", ys=["clicks"], kind="bar", limit=30)
    assert (everything.has_others, everything.note, len(everything.labels)) == (False, "", 30)


def test_others_include_rows_without_a_value_unless_they_are_drawn(make_result: MakeResult) -> None:
    path, _ = make_result("brand,clicks\na,10\n,4\nb,3\nc,2\n")
    small = chart_series(path, x="brand", ys=["clicks"], kind="bar", limit=1)
    assert points(small) == {"a": 10.0, OTHERS: 9.0}
    larger = chart_series(path, x="brand", ys=["clicks"], kind="bar", limit=2)
    assert points(larger) == {"a": 10.0, NO_VALUE: 4.0, OTHERS: 5.0}
    only_null = make_result("brand,clicks\n,10\nb,3\nc,2\n")[0]
    assert points(chart_series(only_null, x="brand", ys=["clicks"], kind="bar", limit=1)) == {
        NO_VALUE: 10.0,
        OTHERS: 5.0,
    }


def test_a_line_follows_the_days(make_result: MakeResult) -> None:
    first = dt.date(2026, 1, 1)
    days = [first + dt.timedelta(days=number) for number in range(90)]
    lines = [f"{day},{number}.25\n" for number, day in enumerate(days)]
    random.Random(1).shuffle(lines)
    path, _ = make_result("day,spend\n" + "".join(lines) + ",7.00\n")
    chart = chart_series(path, x="day", ys=["spend"], limit=90)
    assert chart.labels == tuple(str(day) for day in days)
    assert chart.series[0].values == tuple(number + 0.25 for number in range(90))
    assert chart.bucket == ""
    assert "1 rows without a value" in chart.note


@pytest.mark.parametrize(
    ("limit", "bucket"), [(89, "week"), (14, "week"), (12, "month"), (2, "quarter"), (1, "year")]
)
def test_too_many_days_are_gathered_into_longer_times(make_result: MakeResult, limit: int, bucket: str) -> None:
    first = dt.date(2026, 1, 1)
    days = [first + dt.timedelta(days=number) for number in range(100)]
    path, _ = make_result("day,clicks\n" + "".join(f"{day},{number}\n" for number, day in enumerate(days)))
    chart = chart_series(path, x="day", ys=["clicks"], limit=limit)
    if bucket == "week" and limit == 14:
        # 100 days touch 15 weeks, one more than fits.
        bucket = "month"
    assert chart.bucket == bucket
    assert len(chart.labels) <= limit
    assert sum(value or 0 for value in chart.series[0].values) == sum(range(100))
    if bucket == "month":
        assert points(chart)["2026-02-01"] == sum(range(31, 59))
        assert f"One point per {bucket}" in chart.note


def test_hours_keep_their_time_in_the_label(make_result: MakeResult) -> None:
    path, _ = make_result("t,v\n" + "".join(f"2026-10-01T{n // 6:02}:{n % 6}0:00.000Z,1\n" for n in range(24)))
    chart = chart_series(path, x="t", ys=["v"], limit=5)
    assert (chart.bucket, chart.labels[0], chart.series[0].values) == ("hour", "2026-10-01 00:00:00", (6.0,) * 4)


def test_a_line_of_other_values_is_cut_and_says_so(make_result: MakeResult) -> None:
    path, _ = make_result("frequency,users\n" + "".join(f"{n},{n * 10}\n" for n in range(20, 0, -1)))
    chart = chart_series(path, x="frequency", ys=["users"], limit=5)
    assert points(chart) == {"1": 10.0, "2": 20.0, "3": 30.0, "4": 40.0, "5": 50.0}
    assert (chart.groups, chart.has_others) == (20, False)
    assert "first 5 of 20" in chart.note


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("sum", 6.0), ("avg", 3.0), ("min", 2.0), ("max", 4.0), ("count", 2.0)]
)
def test_every_summary_is_what_its_name_says(make_result: MakeResult, aggregate: str, expected: float) -> None:
    path, _ = make_result("b,v\nx,2\nx,4\nx,\ny,\n")
    chart = chart_series(path, x="b", ys=["v"], kind="bar", aggregate=aggregate)
    assert points(chart) == {"x": expected, "y": 0.0 if aggregate == "count" else None}


@pytest.mark.parametrize(("aggregate", "expected"), [("sum", 2e23), ("avg", 1e21)])
def test_the_longest_decimals_are_drawn_too(make_result: MakeResult, aggregate: str, expected: float) -> None:
    path, _ = make_result("b,v\n" + f"x,{'9' * 21}.{'9' * 17}\n" * 200, {"b": "STRING", "v": "DECIMAL"})
    chart = chart_series(path, x="b", ys=["v"], kind="bar", aggregate=aggregate)
    assert points(chart)["x"] == pytest.approx(expected)


def test_texts_can_be_counted_but_not_added(make_result: MakeResult) -> None:
    path, _ = make_result("brand,asin\na,B01\na,B02\nb,\n")
    assert points(chart_series(path, x="brand", ys=["asin"], kind="bar", aggregate="count")) == {
        "a": 2.0,
        "b": 0.0,
    }
    with pytest.raises(ResultError, match="no numbers"):
        chart_series(path, x="brand", ys=["asin"])


def test_nan_is_a_gap_and_never_a_number(make_result: MakeResult) -> None:
    path, _ = make_result("b,v\nx,NaN\nx,1.5\ny,Infinity\n", {"b": "STRING", "v": "DOUBLE"})
    assert points(chart_series(path, x="b", ys=["v"], kind="bar")) == {"x": 1.5, "y": None}


def test_long_identifiers_stay_apart_as_labels(make_result: MakeResult) -> None:
    path, _ = make_result("campaign_id,v\n1234567890123456789,1\n1234567890123456788,2\n")
    chart = chart_series(path, x="campaign_id", ys=["v"], kind="bar")
    assert chart.labels == ("1234567890123456788", "1234567890123456789")


@pytest.mark.parametrize(
    "choice",
    [
        {"x": 'b" FROM x --', "ys": ["v"]},
        {"x": "b", "ys": ["v) FROM x --"]},
        {"x": "b", "ys": []},
        {"x": "b", "ys": ["v"] * 9},
        {"x": "b", "ys": ["v"], "kind": "pie"},
        {"x": "b", "ys": ["v"], "aggregate": "sum(v); --"},
    ],
)
def test_choices_that_make_no_chart_are_refused(make_result: MakeResult, choice: dict[str, object]) -> None:
    path, _ = make_result("b,v\nx,1\n")
    with pytest.raises(ResultError):
        chart_series(path, **choice)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="points"):
        chart_series(path, x="b", ys=["v"], limit=0)


def test_a_result_without_rows_draws_nothing(make_result: MakeResult) -> None:
    path, facts = make_result("day,v\n", {"day": "DATE", "v": "LONG"})
    chart = chart_series(path, x="day", ys=["v"])
    assert (chart.labels, chart.series[0].values, chart.groups) == ((), (), 0)
    assert suggest_chart(facts) is None


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("day,campaign,clicks,ctr", "2026-10-01,a,5,0.5", ("line", "day", ("clicks",), "sum")),
        ("campaign_id,brand,spend,clicks", "123,a,1.5,2", ("bar", "brand", ("spend",), "sum")),
        ("campaign_id,clicks", "123,2", ("bar", "campaign_id", ("clicks",), "sum")),
        ("brand,avg_price,ctr", "a,2.5,0.1", ("bar", "brand", ("avg_price",), "avg")),
        ("brand,asin", "a,B01", None),
        ("clicks,spend", "1,2", None),
        ("is_new,users", "true,5", ("bar", "is_new", ("users",), "sum")),
    ],
)
def test_a_first_chart_is_suggested_by_the_types(
    make_result: MakeResult, header: str, row: str, expected: tuple[str, str, tuple[str, ...], str] | None
) -> None:
    path, facts = make_result(f"{header}\n{row}\n")
    suggestion = suggest_chart(facts)
    if expected is None:
        assert suggestion is None
        return
    assert isinstance(suggestion, ChartSuggestion)
    assert (suggestion.kind, suggestion.x, suggestion.ys, suggestion.aggregate) == expected
    chart = chart_series(
        path,
        x=suggestion.x,
        ys=suggestion.ys,
        kind=suggestion.kind,
        aggregate=suggestion.aggregate,
        limit=suggestion.limit,
    )
    assert len(chart.labels) == 1
