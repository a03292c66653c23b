"""Folders for what DuckDB and the spreadsheet writer put on the disk while they work; each is gone afterwards.

What a process that was killed leaves behind lies where the application says, so that it can be swept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "amc-result-"


class _Root:
    """Where the folders are made: the system's folder for temporary files, until the application names another."""

    find: Callable[[], Path] | None = None


def keep_temporary_folders_in(find: Callable[[], Path]) -> None:
    """Make folders below what `find` returns from now on, in every thread of the process."""
    _Root.find = find


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Lend an empty folder, which is removed with all it holds, whatever happens meanwhile."""
    root = _Root.find() if _Root.find is not None else None
    if root is not None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=root) as name:
        yield Path(name)
