"""The connection reaches the named files and nothing else, and ends in time."""

# ruff: noqa: S608 - the tests' own paths.

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from executions.results import connection as connections
from executions.results.columns import open_result, read_facts
from executions.results.connection import open_files, open_kept
from executions.results.conversion import convert
from executions.results.errors import ResultError, ResultMemoryError, ResultTimeoutError
from executions.results.paging import page
from executions.results.watching import Stop
from tests.executions.results.conftest import MakeResult
from tests.serving import PATIENCE


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{other}')",
        "SELECT * FROM '{other}'",
        "SELECT * FROM read_text('{folder}/*')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{folder}/new.csv'",
        "ATTACH '{folder}/new.duckdb'",
        "SELECT * FROM read_csv('https://127.0.0.1:1/x.csv')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{other}']",
        "SET memory_limit = '10GB'",
        "SELECT getenv('HOME')",
    ],
)
def test_nothing_but_the_named_file_is_reached(tmp_path: Path, statement: str) -> None:
    named, other = tmp_path / "named.csv", tmp_path / "other.csv"
    named.write_text("a\n1\n")
    other.write_text("secret\n2\n")
    with open_files(named) as connection:
        assert connection.execute("SELECT a FROM read_csv(?)", [str(named)]).fetchall() == [(1,)]
        with pytest.raises(duckdb.Error):
            connection.execute(statement.format(folder=tmp_path, other=other)).fetchall()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named.csv", "other.csv"]


def test_variables_of_the_program_are_not_read_as_tables(tmp_path: Path) -> None:
    frame = duckdb.values([1])
    with open_files(tmp_path / "x") as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM frame")
    assert frame.fetchall() == [(1,)]


@pytest.mark.parametrize("name", ["it's.parquet", "a[1]*?.parquet", "日本 #1%.parquet"])
def test_any_file_name_is_taken_literally(tmp_path: Path, make_result: MakeResult, name: str) -> None:
    path, facts = make_result("a\n1\n")
    odd = path.rename(tmp_path / name)
    assert read_facts(odd) == facts


def test_a_question_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    # Without the interruption it would count for days.
    with (
        pytest.raises(ResultTimeoutError, match=r"longer than 0.2 seconds"),
        open_files(tmp_path / "x", timeout_seconds=0.2) as connection,
    ):
        connection.execute("SELECT count(*) FROM range(10000000000) a, range(1000) b").fetchall()


def test_a_question_that_needs_too_much_memory_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(ResultMemoryError, match="more memory"),
        open_files(tmp_path / "x", memory_limit="20MB") as connection,
    ):
        connection.execute("SELECT list(i) FROM range(20000000) t(i)").fetchall()


@pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2\n", b"PAR1 not really PAR1"])
def test_a_file_that_is_no_result_is_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "r.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResultError, match="Run the query again"):
        read_facts(path)


def test_a_parquet_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    duckdb.values([1]).write_parquet(str(path))
    with pytest.raises(ResultError, match="cannot be read"), open_result(path):
        pass


def test_the_kept_one_reaches_its_folder_only(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other.csv"
    folder.mkdir()
    other.write_text("secret\n2\n")
    with open_kept(folder, stop=Stop()) as connection:
        connection.execute(f"COPY (SELECT 1 AS a) TO '{folder}/new.csv'")
        for statement in (
            f"SELECT * FROM read_csv('{other}')",
            f"COPY (SELECT 1) TO '{tmp_path}/new.csv'",
            "SET enable_external_access = true",
            f"SET allowed_directories = ['{tmp_path}']",
            "INSTALL httpfs",
            "SET memory_limit = '10GB'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement).fetchall()
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == ["new.csv", "other.csv"]


def test_it_is_kept_for_the_folder_and_begun_anew_for_another(tmp_path: Path) -> None:
    kept = connections._kept_instance(tmp_path)
    assert connections._kept_instance(tmp_path) is kept
    assert connections._kept_instance(tmp_path / "other") is not kept


_FORKS = """
import os, sys
from pathlib import Path
from executions.results.conversion import convert

def work(name):
    source = Path(sys.argv[1], name)
    source.write_text("v\\n5\\n")
    return convert(source, source.with_suffix(".parquet"), columns=None).rows

assert work("before.csv") == 1
child = os.fork()
if child == 0:
    sys.exit(work("child.csv") - 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert work("after.csv") == 1
"""


def test_a_forked_process_has_its_own_and_ends(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _FORKS, str(tmp_path)], timeout=PATIENCE, check=False)
    assert done.returncode == 0
    assert len(list(tmp_path.glob("*.parquet"))) == 3


def test_one_that_broke_is_not_used_again(tmp_path: Path) -> None:
    kept = connections._kept_instance(tmp_path)
    with pytest.raises(duckdb.FatalException), open_kept(tmp_path, stop=Stop()):
        raise duckdb.FatalException("the database has been invalidated")
    assert connections._kept_instance(tmp_path) is not kept
    with pytest.raises(duckdb.CatalogException), open_kept(tmp_path, stop=Stop()) as connection:
        connection.execute("SELECT * FROM nothing")
    assert connections._kept_instance(tmp_path) is connections._kept_instance(tmp_path)


def test_many_small_results_at_once(tmp_path: Path) -> None:
    def work(number: int) -> tuple[str, int]:
        source = tmp_path / f"{number}.csv"
        source.write_text("v,t\n" + f"{number},x\n" * 20)
        facts = convert(source, source.with_suffix(".parquet"), columns=None)
        return facts.columns[0].kind, facts.rows

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(100))) == {("integer", 20)}
    for number in (0, 99):
        assert page(tmp_path / f"{number}.parquet", size=1).rows == ((str(number), "x"),)
