"""Statistics, against values computed here in plain Python."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from executions.results.statistics import ColumnStatistics, column_statistics
from tests.executions.results.conftest import MakeResult
from tests.large_results import write_wide


def by_name(found: tuple[ColumnStatistics, ...]) -> dict[str, ColumnStatistics]:
    return {figures.column.name: figures for figures in found}


def test_figures_agree_with_an_independent_computation(make_result: MakeResult) -> None:
    random.seed(3)
    rows = [
        (
            random.choice(["a", "b", "c", "d", "e", "f", ""]),
            random.choice([None, random.randrange(-(10**12), 10**12)]),
            Decimal(random.randrange(-(10**9), 10**9)).scaleb(-4),
            random.random(),
        )
        for _ in range(5000)
    ]
    text = "name,clicks,spend,ctr\n" + "".join(
        f"{name},{'' if clicks is None else clicks},{spend:.4f},{ctr!r}\n" for name, clicks, spend, ctr in rows
    )
    found = by_name(column_statistics(make_result(text, {"ctr": "DOUBLE"})[0]))

    clicks = [row[1] for row in rows if row[1] is not None]
    figures = found["clicks"]
    assert (figures.values, figures.nulls) == (len(clicks), 5000 - len(clicks))
    assert (figures.minimum, figures.maximum, figures.total) == (
        str(min(clicks)),
        str(max(clicks)),
        str(sum(clicks)),
    )
    assert figures.mean == pytest.approx(statistics.fmean(clicks))
    assert figures.distinct == pytest.approx(len(set(clicks)), rel=0.15)
    assert figures.top == ()

    spend = [row[2] for row in rows]
    assert Decimal(found["spend"].total or "") == sum(spend)
    assert Decimal(found["spend"].minimum or "") == min(spend)
    assert found["spend"].mean == pytest.approx(float(sum(spend) / 5000))
    assert float(found["ctr"].total or "") == pytest.approx(sum(row[3] for row in rows))

    names = Counter(row[0] for row in rows if row[0])
    ranked = sorted(names.items(), key=lambda item: (-item[1], item[0]))
    assert found["name"].top == tuple(ranked[:5])
    assert (found["name"].values, found["name"].distinct) == (sum(names.values()), 6)
    assert (found["name"].minimum, found["name"].maximum, found["name"].total) == ("a", "f", None)


def test_identifiers_are_not_added_up(make_result: MakeResult) -> None:
    path, _ = make_result("campaign_id,adId,paid\n1234567890123456789,5,1\n1234567890123456788,6,2\n")
    found = by_name(column_statistics(path))
    assert (found["campaign_id"].total, found["campaign_id"].mean) == (None, None)
    assert found["campaign_id"].maximum == "1234567890123456789"
    assert found["adId"].total is None
    assert found["paid"].total == "3"


def test_nan_and_infinity_do_not_swallow_the_figures(make_result: MakeResult) -> None:
    path, _ = make_result("v\n1.5\nNaN\nInfinity\n2.5\n", {"v": "DOUBLE"})
    figures = column_statistics(path)[0]
    assert (figures.values, figures.minimum, figures.maximum, figures.total) == (4, "1.5", "2.5", "4")
    assert figures.mean == 2.0


def test_sums_beyond_the_longest_decimal_are_still_given(make_result: MakeResult) -> None:
    value = "9" * 21 + "." + "9" * 17
    path, _ = make_result("v\n" + f"{value}\n" * 200, {"v": "DECIMAL"})
    assert float(column_statistics(path)[0].total or "") == pytest.approx(2e23)


def test_sums_of_64_bit_numbers_do_not_overflow(make_result: MakeResult) -> None:
    path, _ = make_result("v\n" + "9223372036854775807\n" * 3)
    assert column_statistics(path)[0].total == str(9223372036854775807 * 3)


def test_a_result_without_rows_has_empty_figures(make_result: MakeResult) -> None:
    path, _ = make_result("a,b\n", {"a": "STRING", "b": "DOUBLE"})
    for figures in column_statistics(path):
        assert (figures.values, figures.nulls, figures.distinct, figures.minimum, figures.top) == (
            0,
            0,
            0,
            None,
            (),
        )


def test_truths_and_days_have_figures_too(make_result: MakeResult) -> None:
    path, _ = make_result("t,d\ntrue,2026-10-02\nfalse,2026-10-01\ntrue,\n")
    found = by_name(column_statistics(path))
    assert found["t"].top == (("true", 2), ("false", 1))
    assert (found["d"].minimum, found["d"].maximum, found["d"].nulls) == ("2026-10-01", "2026-10-02", 1)


def test_figures_of_some_columns_are_those_of_these_columns(tmp_path: Path) -> None:
    path = write_wide(tmp_path / "r.parquet", 7, 130)
    everything = column_statistics(path)
    assert len(everything) == 130
    for first, number in ((0, 50), (50, 50), (99, 2), (129, 50)):
        assert column_statistics(path, first=first, number=number) == everything[first : first + number]
    assert column_statistics(path, first=130, number=50) == ()


def test_many_columns_are_summed_up_in_order(make_result: MakeResult) -> None:
    path, facts = make_result(
        ",".join(f"c{n}" for n in range(45)) + "\n" + ",".join(str(n) for n in range(45)) + "\n"
    )
    assert [figures.total for figures in column_statistics(path)] == [str(n) for n in range(45)]
    assert [figures.column for figures in column_statistics(path)] == list(facts.columns)
