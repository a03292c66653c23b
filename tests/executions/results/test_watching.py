"""Work on a result that is watched: it ends when the one who waits for it says so."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest

from executions.results.connection import open_files
from executions.results.conversion import convert
from executions.results.source import check_csv
from executions.results.watching import Stop, StoppedError, run_watched

# Without an end it would count for days.
ENDLESS = "SELECT count(*) FROM range(10000000000) a, range(1000) b"


class GiveUpError(Exception):
    """What a pulse raises here."""


def give_up() -> None:
    raise GiveUpError


def test_what_the_work_returns_is_returned_and_what_it_raises_is_raised() -> None:
    assert run_watched(lambda stop: 5, give_up) == 5
    with pytest.raises(ZeroDivisionError):
        run_watched(lambda stop: 1 // 0, give_up)


def test_pulse_is_heard_while_the_work_goes_on() -> None:
    enough = threading.Event()
    beats: list[int] = []

    def pulse() -> None:
        beats.append(1)
        if len(beats) == 3:
            enough.set()

    assert run_watched(lambda stop: enough.wait(), pulse, every=0.01)
    assert len(beats) >= 3


def test_statement_is_interrupted_and_its_connection_closed(tmp_path: Path) -> None:
    began, ended = threading.Event(), list[type[BaseException]]()

    def work(stop: Stop) -> None:
        try:
            with open_files(tmp_path / "x", stop=stop) as connection:
                began.set()
                connection.execute(ENDLESS)
        except BaseException as error:
            ended.append(type(error))
            raise

    def pulse() -> None:
        if began.is_set():
            give_up()

    with pytest.raises(GiveUpError):
        run_watched(work, pulse, every=0.05)
    # It had ended when the caller went on.
    assert ended == [duckdb.InterruptException]


def test_nothing_is_begun_after_a_stop(tmp_path: Path) -> None:
    stop = Stop()
    stop.request()
    with pytest.raises(StoppedError), open_files(tmp_path / "x", stop=stop):
        raise AssertionError("it was opened")


def test_reading_of_every_field_stops(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    source.write_text("a,b\n" + "1,2\n" * 100_000)
    with pytest.raises(GiveUpError):
        check_csv(source, give_up)


def test_conversion_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    source.write_text("a,b\n" + "".join(f"{number},{number / 7}\n" for number in range(300_000)))
    with pytest.raises(GiveUpError):
        run_watched(
            lambda stop: convert(source, tmp_path / "r.parquet", columns=None, stop=stop), give_up, every=0.05
        )
    assert list(tmp_path.iterdir()) == [source]
