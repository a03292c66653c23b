"""What the published introduction to AMC SQL prints for queries that read no table."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import pytest

from tests.local_amc.outcomes import Shell

GROUPS = "WITH c (team, name) AS (VALUES ('2', 'F'), ('1', 'B'), ('2', 'D'), ('1', 'A'), ('2', 'E'), ('1', 'C')) "
NUMBERS = "FROM (VALUES (20), (45), (30), (66), (50), (60), (85), (70)) AS sample(x)"


def first_row(shell: Shell, sql: str) -> list[str]:
    state, reason, rows = shell.run(sql)
    assert state == "SUCCEEDED", reason
    return rows[1]


def test_a_list_of_values_is_read_distinct(shell: Shell) -> None:
    sql = "WITH ids (Campaign_ID) AS (VALUES (11), (22), (33), (22)) SELECT DISTINCT Campaign_ID FROM ids"
    state, _, rows = shell.run(sql)
    assert (state, rows[0], sorted(rows[1:])) == ("SUCCEEDED", ["campaign_id"], [["11"], ["22"], ["33"]])


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("REGEXP_SPLIT('Testing_Campaign_1', '_')", "[Testing, Campaign, 1]"),
        ("ARRAY_TO_STRING(REGEXP_SPLIT('Testing_Campaign_1', '_'), '&')", "Testing&Campaign&1"),
        ("ROUND(5.5)", "6"), ("ROUND(5.5, 0)", "6"), ("ROUND(5.55555, 1)", "5.6"), ("ROUND(5.55555, 2)", "5.56"),
        ("ROUND(5.5 + .2)", "6"),
        ("EPOCH_TO_UTC_TIMESTAMP('1666735860')", "2022-10-25T22:11:00.000Z"),
    ],
)  # fmt: skip
def test_a_call_without_a_table(shell: Shell, expression: str, text: str) -> None:
    assert first_row(shell, f"SELECT {expression} AS result") == [text]


def test_deviation_and_variance_of_a_sample(shell: Shell) -> None:
    deviation, variance = first_row(shell, f"SELECT STDDEV(x) AS d, VARIANCE(x) AS v {NUMBERS}")
    assert (round(float(deviation), 5), round(float(variance), 5)) == (21.45261, 460.21429)


def test_rows_are_numbered_by_two_columns(shell: Shell) -> None:
    sql = f"{GROUPS} SELECT ROW_NUMBER() OVER (ORDER BY team, name) AS Row_ID, team, name FROM c"
    _, _, rows = shell.run(sql)
    assert rows[0] == ["row_id", "team", "name"]
    assert sorted(rows[1:]) == [[str(n), str(1 + (n > 3)), name] for n, name in enumerate("ABCDEF", start=1)]


def test_today_and_now_are_the_servers(shell: Shell) -> None:
    shell.amc.control("POST", "clock", {"set": f"{shell.amc.app.state.clock.now():%Y-%m}-03T10:20:30Z"})
    shell = Shell(shell.amc)
    date, moment = first_row(shell, "SELECT CAST('today' AS DATE) AS d, CAST('now' AS TIMESTAMP) AS n")
    assert date.endswith("-03")
    assert moment[:17].endswith("-03T10:20:")


def test_random_numbers_differ(shell: Shell) -> None:
    numbers = {first_row(shell, "SELECT RANDOM() AS r")[0] for _ in range(3)}
    assert len(numbers) == 3
    assert all(0 <= float(number) < 1 for number in numbers)
