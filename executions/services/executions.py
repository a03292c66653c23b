"""One execution: how a page finds it, and what a person does to it while it runs or after it failed."""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from amchelper.access import get_to_edit, get_to_run, get_visible, pk_of
from amchelper.commits import after_commit
from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from executions.models import AT_AMC, Execution, ExecutionQuerySet, ExecutionStatus
from executions.services.queue import send_steps
from instances.models import AMCInstance

logger = logging.getLogger(__name__)

_NOUN = "run"
_ON_THE_WAY = "AMC has finished this run already; its result is on the way."
_ENDED = "This run has ended already, so there is nothing to cancel."
_NOTHING_TO_FETCH = "There is no result at AMC to fetch. Run it again instead."


def get_execution(user: User, pk: UUID) -> Execution:
    """Return an execution to show, with its relations; it knows the user's rights. Raises Http404."""
    return get_visible(_rows().with_rights(user), user, _NOUN, pk=pk)


def get_execution_to_edit(user: User, pk: UUID) -> Execution:
    """Return an execution to cancel or to fetch again; raises Http404, PermissionDenied."""
    return get_to_edit(_rows(), user, _NOUN, pk=pk)


def get_execution_to_run(user: User, pk: UUID) -> Execution:
    """Return an execution to run again; raises Http404, PermissionDenied."""
    return get_to_run(_rows(), user, _NOUN, pk=pk)


def cancel(execution: Execution, *, actor: User | None) -> Execution:
    """End a run that waits; ask AMC to end one that is there, which may still succeed.

    Returns the execution as it is then. Raises InvalidStateError when there is nothing left to cancel, and what
    `get_execution_to_edit` raises.
    """
    _read_again(execution.pk, actor)
    now = timezone.now()
    rows = Execution.objects.filter(pk=execution.pk)
    is_asked = _ask_to_end(rows, now)
    if is_asked:
        logger.info("execution cancel requested id=%s actor=%s", execution.pk, pk_of(actor))
    current = _read_again(execution.pk, actor)
    if is_asked and current.status in AT_AMC:
        after_commit(lambda: send_steps([current.pk]), what="send steps")
    if current.status not in (ExecutionStatus.CANCELLED, *AT_AMC):
        raise InvalidStateError(_ON_THE_WAY if current.status == ExecutionStatus.FETCHING else _ENDED)
    return current


def cancel_open(instance: AMCInstance, *, actor: User | None) -> int:
    """End all runs of an instance that wait, and ask AMC to end those that are there; returns how many that were."""
    now = timezone.now()
    rows = Execution.objects.filter(instance=instance)
    if actor is not None:
        rows = rows.editable_by(actor)
    pks = list(rows.cancellable().values_list("pk", flat=True))
    _ask_to_end(Execution.objects.filter(pk__in=pks), now)
    logger.info("executions cancel requested instance=%s count=%s actor=%s", instance.pk, len(pks), pk_of(actor))
    after_commit(lambda: send_steps(pks), what="send steps")
    return len(pks)


def fetch_again(execution: Execution, *, actor: User | None) -> Execution:
    """Fetch the result of a run that ended well at AMC but failed here, and return the run.

    Raises InvalidStateError when AMC has no result to give, and what `get_execution_to_edit` raises.
    """
    current = _read_again(execution.pk, actor)
    now = timezone.now()
    is_begun = Execution.objects.filter(pk=current.pk).fetchable_again().update(
        status=ExecutionStatus.FETCHING, finished_at=None, error="", error_code="", step_attempts=0,
        fetch_failures=0, next_step_at=now, sent_at=now,
    )  # fmt: skip
    if not is_begun:
        raise InvalidStateError(_NOTHING_TO_FETCH)
    logger.info("execution fetched again id=%s actor=%s", current.pk, pk_of(actor))
    after_commit(lambda: send_steps([current.pk]), what="send steps")
    return _read_again(current.pk, actor)


def _ask_to_end(rows: ExecutionQuerySet, now: datetime) -> int:
    """Note on runs that they are to end, and end those in our queue; returns how many were not asked before."""
    asked = rows.cancellable().update(cancel_requested_at=now, next_step_at=now, sent_at=now)
    rows.filter(status=ExecutionStatus.QUEUED, cancel_requested_at__isnull=False).update(
        status=ExecutionStatus.CANCELLED, finished_at=now, waiting_for=""
    )
    return asked


def _rows() -> ExecutionQuerySet:
    return Execution.objects.with_relations()


def _read_again(pk: UUID, actor: User | None) -> Execution:
    return _rows().get(pk=pk) if actor is None else get_execution_to_edit(actor, pk)
