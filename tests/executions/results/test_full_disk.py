"""A disk that takes no more ends the work with the disk's own words, and nothing is left half written."""

from __future__ import annotations

import errno
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from executions.results import spill
from executions.results.conversion import convert
from executions.results.spreadsheets import export_xlsx
from tests.executions.results.conftest import MakeResult
from tests.full_disks import largest_file, small_disk

ROWS = "a,b\n" + "".join(f"{number * 7919},{number}\n" for number in range(60_000))


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Keep temporary folders in one of the test."""
    before = spill._parent
    folder = tmp_path / "scratch"
    spill.use_folder(folder)
    yield folder
    spill._parent = before


def test_conversion_says_what_the_disk_said(tmp_path: Path) -> None:
    source, target = tmp_path / "r.csv", tmp_path / "r.parquet"
    source.write_text(ROWS)
    with largest_file(10_000), pytest.raises(OSError) as refused:  # noqa: PT011  the number tells
        convert(source, target, columns=None)
    assert refused.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == [source]


def test_conversion_on_a_disk_that_is_full(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    source.write_text(ROWS)
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, 64):
        with pytest.raises(OSError) as refused:  # noqa: PT011  the number tells
            convert(source, disk / "r.parquet", columns=None)
        assert refused.value.errno == errno.ENOSPC
        assert list(disk.iterdir()) == []


def test_rows_of_a_spreadsheet(tmp_path: Path, make_result: MakeResult, scratch: Path) -> None:
    path, _ = make_result(ROWS)
    with (tmp_path / "r.xlsx").open("wb") as file, largest_file(500_000), pytest.raises(OSError) as refused:  # noqa: PT011
        export_xlsx(path, file)
    assert refused.value.errno == errno.EFBIG
    assert list(scratch.iterdir()) == []


def test_packing_of_a_spreadsheet(tmp_path: Path, make_result: MakeResult, scratch: Path) -> None:
    path, _ = make_result(ROWS)
    disk = tmp_path / "disk"
    disk.mkdir()
    written: list[int] = []
    with small_disk(disk, 64):
        with pytest.raises(OSError) as refused, (disk / "r.xlsx").open("wb") as file:  # noqa: PT011
            export_xlsx(path, file, progress=written.append)
        assert refused.value.errno == errno.ENOSPC
    assert written[-1] == 60_000
    assert list(scratch.iterdir()) == []
    # What was given up writes nothing more, and complains of nothing, when it is collected.
    gc.collect()


def test_work_that_is_given_up_leaves_nothing(tmp_path: Path, make_result: MakeResult, scratch: Path) -> None:
    path, _ = make_result(ROWS)
    for last in (2_048, 60_000):
        heard: list[int] = []

        def stop(rows: int, last: int = last, heard: list[int] = heard) -> None:
            heard.append(rows)
            if rows == last:
                raise KeyboardInterrupt

        with (tmp_path / "r.xlsx").open("wb") as file, pytest.raises(KeyboardInterrupt):
            export_xlsx(path, file, progress=stop)
        # It was not packed to the end after that.
        assert heard.count(last) < 3
        assert list(scratch.iterdir()) == []
        gc.collect()
