"""How much space is left where results and temporary files are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

MEGABYTE = 1024 * 1024


def temporary_root() -> Path:
    """Return the folder of what is only needed while something is made; what lies in it for long is swept."""
    return Path(settings.VAR_DIR) / "tmp"


def free_bytes() -> int:
    """Return how many bytes are free where results are kept or made, whichever disk has less."""
    return min(_free(Path(folder)) for folder in (settings.RESULTS_DIR, settings.VAR_DIR))


def missing_bytes(needed: int = 0) -> int:
    """Return how many bytes must be freed before `needed` more fit above the reserve; 0 when they fit."""
    reserve: int = settings.MIN_FREE_DISK_MB * MEGABYTE
    return max(0, needed + reserve - free_bytes())


def _free(folder: Path) -> int:
    """Return the free bytes of the disk a folder is on, or will be on once it is made."""
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free
