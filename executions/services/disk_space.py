"""Too little space: found before a disk is full, made where it can be, told to those who can make more."""

from __future__ import annotations

import errno
import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.cache import caches
from django.core.mail import send_mail
from django.template.defaultfilters import filesizeformat

from amchelper.disk import MEGABYTE, free_bytes, missing_bytes
from amchelper.models import User
from amchelper.queue import send_task
from executions.errors import DiskFullError

logger = logging.getLogger(__name__)

# Looking through all results takes long on a large installation, and what was removed is free at once.
PRUNE_EVERY = timedelta(minutes=10)
TELL_EVERY = timedelta(days=1)
_PRUNE = "executions.tasks.prune_results"


def ensure_space(needed: int = 0) -> None:
    """Raise DiskFullError unless `needed` more bytes fit above the reserve (MIN_FREE_DISK_MB). Cheap to call often."""
    if missing_bytes(needed):
        report_shortage(needed)
        raise DiskFullError


def is_full(error: OSError) -> bool:
    """Return whether a disk refused because it, or our share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def report_shortage(needed: int = 0) -> None:
    """Log that space is short, have old results removed now, and tell the administrators; each once in a while."""
    if _is_first("pruned", PRUNE_EVERY):
        logger.error(
            "disk space short free=%s needed=%s reserve=%s",
            free_bytes(), needed, settings.MIN_FREE_DISK_MB * MEGABYTE,
        )  # fmt: skip
        send_task(_PRUNE)
    if _is_first("told", TELL_EVERY):
        _tell_administrators()


def _is_first(what: str, period: timedelta) -> bool:
    """Return whether nobody has done this for a period, in any process: this cache is shared in every deployment."""
    return bool(caches["generations"].add(f"disk-shortage:{what}", "done", int(period.total_seconds())))


def _tell_administrators() -> None:
    """Write to the staff; every page says it to them too, so a mail that cannot be sent loses nothing."""
    staff = User.objects.filter(is_staff=True, is_active=True).exclude(email="")
    addresses = list(staff.order_by("email").values_list("email", flat=True))
    text = (
        f"{settings.SITE_URL} has only {filesizeformat(free_bytes())} left where results are kept; "
        f"{filesizeformat(settings.MIN_FREE_DISK_MB * MEGABYTE)} stay free. Results wait at AMC, which keeps them for "
        "some days, and are fetched as soon as there is space.\n\n"
        "Make room on that disk, or keep less: RESULT_RETENTION_DAYS and RESULT_STORAGE_BYTES decide. "
        "`manage.py prune_results --dry-run` says what would go.\n\n"
        "This mail comes once a day at the most while space is short.\n"
    )
    try:
        send_mail("AMC Helper: the disk is nearly full", text, None, addresses)
    except (SMTPException, OSError):
        logger.exception("mail not sent about=disk")
