"""Start, repeat and cancel runs; what happens to them then is in the steps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone

from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from executions.errors import NotRunnableError
from executions.models import AT_AMC, Execution, ExecutionStatus, Trigger
from executions.services.fetching import NOT_FETCHED
from executions.services.messages import send_admission, send_steps
from executions.services.readiness import ensure_startable
from planning.naming import MAX_LENGTH, execution_name
from planning.windows import Window
from templates_app.models import InstanceTemplate
from templates_app.services.templates import count_usage

logger = logging.getLogger(__name__)

_ON_THE_WAY = "AMC has finished this run already; its result is on the way."
_ENDED = "This run has ended already, so there is nothing to cancel."

__all__ = [
    "cancel",
    "fetch_again",
    "get_execution",
    "make_execution",
    "queue_executions",
    "run_again",
    "run_name",
    "start_execution",
]


def get_execution(user: User, pk: UUID) -> Execution:
    """Return an execution of the user from the database; raises Http404."""
    found = Execution.objects.visible_to(user).with_relations().filter(pk=pk).first()
    if found is None:
        raise Http404("There is no such execution.")
    return found


def start_execution(
    *,
    user: User,
    template: InstanceTemplate,
    window: Window,
    name: str = "",
    trigger: str = Trigger.MANUAL,
    submission_key: UUID | None = None,
    schedule_id: UUID | None = None,
) -> Execution:
    """Record a run of the template as it is saved now, and have it begun once that is committed.

    The same `submission_key` again gives the first execution. Raises Http404 for a template the user may not see,
    NotRunnableError saying what to change.
    """
    if (first := _submitted(user, submission_key)) is not None:
        return first
    saved = _saved(user, template)
    execution = make_execution(
        user=user, template=saved, window=window, name=name, trigger=trigger, schedule_id=schedule_id
    )
    return _queue(execution, submission_key)


def make_execution(
    *,
    user: User,
    template: InstanceTemplate,
    window: Window,
    name: str = "",
    trigger: str = Trigger.MANUAL,
    schedule_id: UUID | None = None,
) -> Execution:
    """Return a run of the template as it was just read, not written yet; raises NotRunnableError.

    The caller knows that the user may see the template. It costs no query when the template's instance, account,
    login and brands were brought along.
    """
    ensure_startable(template.instance, template, window, now=timezone.now())
    return Execution(
        user=user,
        instance=template.instance,
        template=template,
        template_name=template.name,
        template_version=template.version,
        schedule_id=schedule_id,
        name=name or run_name(template, window),
        trigger=trigger,
        source_sql=template.source_sql,
        parameter_values=template.parameter_values,
        sql_query=template.sql_query,
        requires_synthetic_data=template.instance.has_synthetic_data,
        **_window_fields(window),
    )


def queue_executions(executions: Sequence[Execution]) -> None:
    """Write new runs and count them, and tell the workers once that is committed; call it in a transaction.

    A few statements, however many there are. Raises IntegrityError for a submission key that exists.
    """
    for execution in executions:
        execution.name = execution.name[:MAX_LENGTH]
        execution.complete()
    Execution.objects.bulk_create(executions)
    count_usage(execution.template for execution in executions if execution.template is not None)
    transaction.on_commit(lambda: _tell_workers(executions), robust=True)
    for execution in executions:
        logger.info("execution queued id=%s trigger=%s", execution.pk, execution.trigger)


def run_name(template: InstanceTemplate, window: Window) -> str:
    """Return the name a run gets when nobody types one: the first brand's, else the instance's, and the dates."""
    instance = template.instance
    # In the order of the model, so that brands that were brought along cost no query.
    brand = next(iter(instance.brands.all()), None)
    return execution_name(
        brand=brand.name if brand else None,
        instance_name=instance.name,
        template_name=template.name,
        start=window.start,
        end=window.end,
    )


def run_again(execution: Execution, *, user: User, as_is: bool, submission_key: UUID | None = None) -> Execution:
    """Run the same SQL over the same window again, or with `as_is` false the template as it is saved now.

    Raises what `start_execution` raises.
    """
    old = get_execution(user, execution.pk)
    if not as_is:
        if old.template is None:
            raise NotRunnableError("The template was deleted. Run the same SQL again instead.")
        return start_execution(
            user=user,
            template=old.template,
            window=old.window,
            trigger=Trigger.RERUN,
            submission_key=submission_key,
        )
    if (first := _submitted(user, submission_key)) is not None:
        return first
    ensure_startable(old.instance, None, old.window, now=timezone.now())
    copied = ("template_name", "template_version", "name", "source_sql", "parameter_values", "sql_query")
    again = Execution(
        user=user,
        instance=old.instance,
        template=old.template,
        trigger=Trigger.RERUN,
        requires_synthetic_data=old.instance.has_synthetic_data,
        **{field: getattr(old, field) for field in copied},
        **_window_fields(old.window),
    )
    return _queue(again, submission_key)


def cancel(execution: Execution, user: User) -> Execution:
    """End a run that waits; ask AMC to end one that is there, which may still succeed.

    Returns the execution as it is then. Raises Http404, InvalidStateError when there is nothing left to cancel.
    """
    get_execution(user, execution.pk)
    now = timezone.now()
    rows = Execution.objects.filter(pk=execution.pk)
    wanted = rows.filter(status__in=[ExecutionStatus.QUEUED, *AT_AMC], cancel_requested_at__isnull=True)
    if wanted.update(cancel_requested_at=now, next_step_at=now):
        logger.info("execution cancel requested id=%s", execution.pk)
        transaction.on_commit(lambda: send_steps([execution.pk]), robust=True)
    rows.filter(status=ExecutionStatus.QUEUED, cancel_requested_at__isnull=False).update(
        status=ExecutionStatus.CANCELLED, finished_at=now, waiting_for=""
    )
    current = get_execution(user, execution.pk)
    if current.status not in (ExecutionStatus.CANCELLED, *AT_AMC):
        raise InvalidStateError(_ON_THE_WAY if current.status == ExecutionStatus.FETCHING else _ENDED)
    return current


def fetch_again(execution: Execution, user: User) -> Execution:
    """Fetch the result of a run that ended well at AMC but failed here; raises Http404, InvalidStateError."""
    current = get_execution(user, execution.pk)
    now = timezone.now()
    is_begun = Execution.objects.filter(pk=current.pk, status=ExecutionStatus.FAILED, error_code=NOT_FETCHED).update(
        status=ExecutionStatus.FETCHING, finished_at=None, error="", error_code="", step_attempts=0, polls=0,
        next_step_at=now, sent_at=now,
    )  # fmt: skip
    if not is_begun:
        raise InvalidStateError("There is no result at AMC to fetch. Run it again instead.")
    transaction.on_commit(lambda: send_steps([current.pk]), robust=True)
    return get_execution(user, current.pk)


def _submitted(user: User, key: UUID | None) -> Execution | None:
    """Return what was submitted under this key; somebody else's key is none."""
    if key is None:
        return None
    found = Execution.objects.filter(submission_key=key).first()
    if found is not None and found.user_id != user.pk:
        raise InvalidStateError("This was submitted by somebody else. Reload the page and try again.")
    return found


def _saved(user: User, template: InstanceTemplate) -> InstanceTemplate:
    visible = InstanceTemplate.objects.visible_to(user).select_related("instance__account__connection")
    saved = visible.filter(pk=template.pk).first()
    if saved is None:
        raise Http404("There is no such template.")
    return saved


def _queue(execution: Execution, submission_key: UUID | None) -> Execution:
    """Write one new run; the same submission a moment earlier counts instead."""
    execution.submission_key = submission_key or uuid4()
    try:
        with transaction.atomic():
            queue_executions([execution])
    except IntegrityError:
        first = _submitted(execution.user, submission_key)
        if first is None:
            raise
        return first
    return execution


def _tell_workers(executions: Sequence[Execution]) -> None:
    """Send a message per run, or for many one per account: only so many can begin."""
    if len(executions) == 1:
        send_steps([executions[0].pk])
        return
    for account in dict.fromkeys(execution.instance.account.ref for execution in executions):
        send_admission(account)


def _window_fields(window: Window) -> dict[str, Any]:
    return {"window_start": window.start, "window_end": window.end, "window_zone": window.zone}
