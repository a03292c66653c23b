"""`python -m local_amc query`: one query from the shell."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine

from local_amc.query import main
from local_amc.server import LocalAmcServer
from tests.local_amc.api import NOON, SQL, Api
from tests.serving import PATIENCE
from tests.shared_data import DATA, STORE

ROOT = Path(__file__).resolve().parents[2]
BOUNDS = (
    "SELECT BUILT_IN_PARAMETER('TIME_WINDOW_START') AS a, BUILT_IN_PARAMETER('TIME_WINDOW_END') AS b "
    "FROM (VALUES (1)) AS t(x)"
)


@pytest.fixture(autouse=True)
def _fixed_clock() -> Iterator[None]:
    """Let the data of the usual window be the same for ever: which groups are small changes from day to day."""
    with time_machine.travel(NOON, tick=True):
        yield


def run(sql: str, *options: str, store: Path = STORE) -> tuple[int, str, str]:
    """Run the command in this process; returns exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    code = main([sql, "--store", str(store), *options], out, err)
    return code, out.getvalue(), err.getvalue()


def rows(sql: str, *options: str, store: Path = STORE) -> list[list[str]]:
    code, out, err = run(sql, "--format", "csv", *options, store=store)
    assert (code, err) == (0, "")
    return list(csv.reader(io.StringIO(out, newline="")))


def shell(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local_amc", "query", "--store", str(STORE), *arguments],
        cwd=ROOT, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False,
        env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip


class TestTable:
    def test_columns_of_one_width_numbers_to_the_right(self) -> None:
        sql = (
            "SELECT name, n, x > 1 AS flag, d FROM (VALUES ('a', 1000, 1, 0.5), ('long name', 7, 2, NULL)) "
            "AS t(name, n, x, d)"
        )
        assert run(sql) == (
            0,
            "name          n  flag     d\n"
            "---------  ----  -----  ---\n"
            "a          1000  false  0.5\n"
            "long name     7  true\n"
            "(2 rows)\n",
            "",
        )

    def test_no_row_and_one_row(self) -> None:
        sql = "SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x > "
        assert run(f"{sql} 2")[1] == "x\n-\n(0 rows)\n"
        assert run(f"{sql} 1")[1] == "x\n-\n2\n(1 row)\n"

    def test_long_and_odd_texts_stay_on_their_line(self) -> None:
        _, out, _ = run("SELECT x FROM (VALUES ('a\tb\r\nc\x1b[1m'), ('" + "y" * 70 + "')) AS t(x)")
        lines = out.splitlines()
        assert lines[2:] == ["a b  c [1m", "y" * 59 + "…", "(2 rows)"]


class TestCsv:
    def test_as_in_a_result_file(self) -> None:
        sql = "SELECT x, t AS Two FROM (VALUES (1, 'a,b'), (2, 'say \"hi\"'), (NULL, 'two\nlines')) AS v(x, t)"
        assert run(sql, "--format", "csv") == (
            0,
            'x,two\n1,"a,b"\n2,"say ""hi"""\n,"two\nlines"\n',
            "",
        )

    def test_the_same_as_over_http(self, server: LocalAmcServer) -> None:
        server.reset()
        start, end = rows(BOUNDS)[1]
        window = {
            "timeWindowType": "EXPLICIT",
            "timeWindowStart": start.removesuffix(".000Z"),
            "timeWindowEnd": end.removesuffix(".000Z"),
        }
        options = ("--from", window["timeWindowStart"], "--to", window["timeWindowEnd"])
        for instance in ("amclocalus1", "amclocalus2"):
            sql = "SELECT campaign, SUM(impressions) AS n FROM sponsored_ads_traffic GROUP BY 1"
            there = sorted(Api(server.url).rows(sql, instance=instance, **window))
            assert sorted(rows(sql, *options, "--instance", instance)[1:]) == there != []
            # The usual window is this one.
            assert sorted(rows(sql, "--instance", instance)[1:]) == there


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "start", "end"),
        [
            (("--from", "2026-09-01", "--to", "2026-10-01"), "2026-09-01T00:00:00.000Z", "2026-10-01T00:00:00.000Z"),
            (("--from", "2026-09-01T06:30:00", "--to", "2026-09-01T07:00:00"),
             "2026-09-01T06:30:00.000Z", "2026-09-01T07:00:00.000Z"),
            (("--from", "2026-11-01", "--to", "2026-11-02", "--zone", "America/New_York"),
             "2026-11-01T04:00:00.000Z", "2026-11-02T05:00:00.000Z"),
            (("--to", "2026-10-01"), "2026-09-01T00:00:00.000Z", "2026-10-01T00:00:00.000Z"),
        ],
    )  # fmt: skip
    def test_window(self, options: tuple[str, ...], start: str, end: str) -> None:
        assert rows(BOUNDS, *options) == [["a", "b"], [start, end]]

    def test_the_usual_window_is_30_whole_days(self) -> None:
        [start, end] = rows(BOUNDS)[1]
        assert start.endswith("T00:00:00.000Z")
        days = "SELECT SECONDS_BETWEEN(BUILT_IN_PARAMETER('TIME_WINDOW_START'), "
        days += "BUILT_IN_PARAMETER('TIME_WINDOW_END')) / 86400 AS d FROM (VALUES (1)) AS t(x)"
        assert float(rows(days)[1][0]) == 30
        assert end > start

    def test_parameters(self) -> None:
        sql = "SELECT CUSTOM_PARAMETER('n') AS n, CUSTOM_PARAMETER('t') AS t, CUSTOM_PARAMETER('ids') AS ids, " \
              "CUSTOM_PARAMETER('b') AS b FROM (VALUES (1)) AS one(x)"  # fmt: skip
        values = '{"n": 9007199254740993, "t": "it\'s", "ids": ["1", "2"], "b": true}'
        assert rows(sql, "--parameters", values)[1] == ["9007199254740993", "it's", "[1, 2]", "true"]

    def test_small_groups_blanked(self) -> None:
        sql = "SELECT customer_search_term, SUM(clicks) AS n FROM sponsored_ads_traffic GROUP BY 1"
        plain, blanked = rows(sql), rows(sql, "--show-filtered")
        assert blanked[0] == [*plain[0], "filtered"]
        assert [row[0] for row in blanked if row[-1] == "true"] == [""]

    def test_order_by_is_taken(self) -> None:
        sql = "SELECT x FROM (VALUES (2), (3), (1)) AS t(x) ORDER BY x"
        assert rows(sql) == [["x"], ["1"], ["2"], ["3"]]

    def test_uploaded_tables_of_the_store(self, tmp_path: Path) -> None:
        (tmp_path / "data").symlink_to(DATA)
        with LocalAmcServer(store=str(tmp_path), data=DATA) as amc:
            amc.control("POST", "tables", {"instance": "amclocalus1", "name": "crm", "columns": ["tier"]})
            # Beside a server that runs, and after it.
            first = rows("SELECT COUNT(*) AS n FROM crm", store=tmp_path)
        assert first == rows("SELECT COUNT(*) AS n FROM crm", store=tmp_path)
        assert int(first[1][0]) > 0


class TestMistakes:
    @pytest.mark.parametrize(
        ("sql", "words"),
        [
            ("SELECT a\nFROM t\nLIMIT 5", 'Encountered "LIMIT" at line 3, column 1'),
            ("SELECT campain\nFROM dsp_clicks GROUP BY 1",
             "From line 1, column 8 to line 1, column 14: Column 'campain'"),
            ("SELECT SUM(x) AS n\nFROM  nowhere",
             "From line 2, column 7 to line 2, column 13: Object 'nowhere' not found"),
            ("SELECT user_id, COUNT(*) AS n FROM dsp_clicks GROUP BY 1",
             "From line 1, column 8 to line 1, column 14: "),
            ("SELECT 'open", "Lexical error"), ("", "The query is empty."), ("DROP TABLE x", 'Encountered "DROP"'),
            ("SELECT CUSTOM_PARAMETER('p') AS v FROM (VALUES (1)) AS t(x)", "undeclared parameter 'p'"),
            ("SELECT (((" * 200 + "1", "nested deeper than 300"), ("SELECT x\0", "NUL"),
        ],
    )  # fmt: skip
    def test_a_refused_query_says_where(self, sql: str, words: str) -> None:
        code, out, err = run(sql)
        assert (code, out) == (1, "")
        assert words in err
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--instance", "nowhere"), "There is no instance nowhere"),
            (("--instance", "amclocalnew"), "There is no instance amclocalnew with data"),
            (("--zone", "Mars"), "Mars is not an IANA time zone"), (("--zone", "Europe"), "Europe is not an IANA"),
            (("--zone", "../UTC"), "is not an IANA"), (("--from", "yesterday"), "yesterday is not a date"),
            (("--from", "2026-02-30"), "2026-02-30 is not a date"),
            (("--from", "2026-10-02", "--to", "2026-10-02"), "--from must be before --to"),
            (("--from", "0001-01-01", "--zone", "Asia/Tokyo"), "0001-01-01 is outside the calendar"),
            (("--to", "9999-12-31T23:00:00", "--zone", "America/New_York"), "outside the calendar"),
            (("--to", "0001-01-02"), "outside the calendar"),
            (("--parameters", "{"), "--parameters wants a JSON object"), (("--parameters", "[]"), "not an object"),
            (("--parameters", '[["p", 1]]'), "not an object"), (("--parameters", '{"p": {"a": 1}}'), "JSON object"),
            (("--parameters", '{"p": NaN}'), "JSON object"),
            (("--parameters", '{"p": [1, "x"]}'), "'x' is not a LONG"),
            (("--parameters", '{"a b": 1}'), "name of letters"), (("--parameters", "[" * 100_000), "JSON object"),
        ],
    )  # fmt: skip
    def test_a_wrong_argument_is_named(self, options: tuple[str, ...], words: str) -> None:
        code, out, err = run(BOUNDS, *options)
        assert (code, out) == (2, "")
        assert words in err

    @pytest.mark.parametrize("store", ["/dev/null/x", __file__])
    def test_a_store_that_is_none(self, store: str) -> None:
        code, _, err = run(BOUNDS, store=Path(store))
        assert (code, f"Cannot use {store} as --store" in err) == (2, True)


class TestShell:
    def test_query_as_argument_and_from_standard_input(self) -> None:
        sql = "SELECT x -- a comment\nFROM (VALUES (1)) AS t(x)"
        for done in (shell(sql, "--format", "csv"), shell("-", "--format", "csv", text=sql)):
            assert (done.returncode, done.stdout, done.stderr) == (0, "x\n1\n", "")

    def test_a_refused_query_is_no_crash(self) -> None:
        for done in (shell("SELECT x\nFROM nowhere"), shell("-", text="SELECT x\nFROM nowhere")):
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == "From line 2, column 6 to line 2, column 12: Object 'nowhere' not found\n"

    def test_without_a_query_the_usage_is_shown(self) -> None:
        done = shell()
        assert (done.returncode, "usage: local_amc query" in done.stderr) == (2, True)

    def test_a_reader_that_leaves_is_no_crash(self) -> None:
        command = (
            f'"{sys.executable}" -m local_amc query --store "{STORE}" "{SQL}" | true; echo ${{PIPESTATUS[0]}}'
        )
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert (done.stdout, done.stderr) == ("0\n", "")
