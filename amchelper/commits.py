"""What is done once a transaction is committed, and can no longer take back what was saved."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import transaction

from amchelper.busy import is_busy

logger = logging.getLogger(__name__)


def after_commit(act: Callable[[], object], *, what: str) -> None:
    """Do `act` once everything is committed, at once outside of a transaction; `what` names it in the log.

    It may fail: that is logged, and whoever saved is answered as saved. So it may only be what a tick makes up for,
    or what may be left undone. Django's own `robust=True` asks what failed for its `__qualname__`, which not every
    callable has, and logs a busy database as a fault.
    """

    def act_safely() -> None:
        try:
            act()
        # Whatever it was: the rows are written, and an error would say that they are not.
        except Exception as error:
            if is_busy(error):
                logger.warning("database busy after commit what=%s error=%s", what, error)
            else:
                logger.exception("not done after commit what=%s", what)

    transaction.on_commit(act_safely)
