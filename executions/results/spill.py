"""Folders for what a DuckDB cannot keep in memory: one per connection, gone with it, swept when its process died."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "duckdb-"
# Held as long as the folder is in use; the kernel lets go of it however the process ends.
_LOCK = "lock"
# A younger folder may not have its lock yet.
_YOUNG_SECONDS = 60.0

_parent: Path | None = None


def use_folder(parent: Path) -> None:
    """Make the folders of this process below `parent`; before this call they are in the system's folder."""
    global _parent
    _parent = parent


@contextmanager
def spill_folder() -> Iterator[Path]:
    """Lend a folder that nobody else uses."""
    if _parent is not None:
        _parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=_parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def remove_abandoned(*, older_than_seconds: float = _YOUNG_SECONDS) -> int:
    """Remove the folders of processes that died, never one in use; returns how many there were."""
    if _parent is None:
        return 0
    newest = time.time() - older_than_seconds
    return sum(_remove(folder) for folder in _parent.glob(f"{_PREFIX}*") if _changed_at(folder) <= newest)


def _remove(folder: Path) -> bool:
    """Remove a folder unless a process holds its lock; returns whether it was removed."""
    try:
        with (folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
    except OSError:
        # In use, or removed by somebody else meanwhile.
        return False
    return True


def _changed_at(folder: Path) -> float:
    with suppress(OSError):
        return folder.stat().st_mtime
    return time.time()
