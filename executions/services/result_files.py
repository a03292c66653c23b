"""Where results are kept: the storage named `results`, whose files appear complete or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.utils import timezone

from executions.results import spill

# On the same disk as the results of the default storage, so that a file is moved, not copied.
_INCOMING = "incoming"
# A file that has not been written to for this long belongs to a worker that died.
_ABANDONED_AFTER = timedelta(days=1)


def result_storage() -> Storage:
    """Return the storage of results."""
    return storages["results"]


def result_name(execution_pk: UUID, extension: str) -> str:
    """Return a file's name; fetching a result again writes to the same name."""
    return f"{execution_pk.hex[:2]}/{execution_pk}.{extension}"


def export_name(execution_pk: UUID, extension: str) -> str:
    """Return a name that no other file has: of two workers that make the same, each may remove its own."""
    return result_name(execution_pk, f"{secrets.token_hex(4)}.{extension}")


@contextmanager
def incoming_files(execution_pk: UUID, *extensions: str) -> Iterator[tuple[Path, ...]]:
    """Lend a path for each extension, which no page reads and which is gone afterwards."""
    folder = _incoming()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stem = f"{execution_pk}-{secrets.token_hex(4)}"
    paths = tuple(folder / f"{stem}.{extension}" for extension in extensions)
    try:
        yield paths
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def publish(path: Path, name: str) -> None:
    """Make a complete file a result, in place of an earlier one of that name."""
    with path.open("rb+") as file:
        # On the disk before the row tells that it is there.
        os.fsync(file.fileno())
    storage = result_storage()
    target = _local_path(storage, name)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o600)
        path.replace(target)
        return
    storage.delete(name)
    with path.open("rb") as file:
        storage.save(name, File(file))


def remove_files(*names: str) -> int:
    """Remove files that are there; returns their bytes."""
    storage, removed = result_storage(), 0
    for name in filter(None, names):
        removed += size_of(name)
        storage.delete(name)
    return removed


def size_of(name: str) -> int:
    """Return a file's bytes, 0 when it is not there."""
    try:
        return result_storage().size(name) if name else 0
    except OSError:
        return 0


def stored_files() -> Iterator[tuple[str, UUID]]:
    """Return the name of every result file and the execution it belongs to."""
    storage = result_storage()
    try:
        folders, _ = storage.listdir("")
    except FileNotFoundError:
        return
    for folder in folders:
        if folder == _INCOMING:
            continue
        for file in storage.listdir(folder)[1]:
            try:
                yield f"{folder}/{file}", UUID(file.partition(".")[0])
            except ValueError:
                continue  # not one of ours


def is_old(name: str, now: datetime) -> bool:
    """Return whether a file has been there for so long that the row it belongs to must have been written."""
    try:
        return result_storage().get_modified_time(name) < now - _ABANDONED_AFTER
    except OSError:
        return False


def remove_abandoned(now: datetime | None = None) -> int:
    """Remove what processes that died had begun to download or to make; returns the number of files and folders."""
    cutoff = ((now or timezone.now()) - _ABANDONED_AFTER).timestamp()
    removed = spill.remove_abandoned()
    for path in _incoming().glob("*"):
        if path.stat().st_mtime < cutoff:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _incoming() -> Path:
    return Path(settings.RESULTS_DIR) / _INCOMING


def _local_path(storage: Storage, name: str) -> Path | None:
    try:
        return Path(storage.path(name))
    except NotImplementedError:
        return None  # a storage elsewhere
