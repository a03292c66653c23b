"""Start runs, and start them again; what happens to them then is in the steps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from amchelper.access import MissingRowError, get_to_run, pk_of
from amchelper.commits import after_commit
from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from executions.errors import ErrorCode, NotRunnableError
from executions.models import Execution, Trigger
from executions.services.executions import get_execution_to_run
from executions.services.queue import send_admission
from executions.services.readiness import INSTANCE_PUT_AWAY, ensure_startable, gone_error, hold_for_start
from instances.models import AMCInstance
from planning.naming import MAX_LENGTH, execution_name
from planning.windows import Window
from templates_app.models import InstanceTemplate
from templates_app.services.templates import count_usage, hold_templates

logger = logging.getLogger(__name__)

_TEMPLATE_DELETED = "The template was deleted. Run the same SQL again instead."


def start_execution(
    *,
    actor: User,
    template: InstanceTemplate,
    window: Window,
    name: str = "",
    trigger: str = Trigger.MANUAL,
    submission_key: UUID | None = None,
    schedule_id: UUID | None = None,
) -> Execution:
    """Record a run of the template as it is saved now, and have it begun once that is committed.

    The same `submission_key` again gives the first execution. Raises NotRunnableError saying what to change, Http404
    for a template the actor may not see, PermissionDenied for one the actor may only see.
    """
    if (first := _submitted(actor, submission_key)) is not None:
        return first
    rows = InstanceTemplate.objects.select_related("instance__account__connection")
    saved = get_to_run(rows, actor, "template", pk=template.pk)
    execution = make_execution(
        created_by=actor, template=saved, window=window, name=name, trigger=trigger, schedule_id=schedule_id
    )
    return _queue(execution, submission_key, actor)


def make_execution(
    *,
    created_by: User,
    template: InstanceTemplate,
    window: Window,
    name: str = "",
    trigger: str = Trigger.MANUAL,
    schedule_id: UUID | None = None,
) -> Execution:
    """Return a run of the template as it was just read, not written yet; raises NotRunnableError.

    The caller knows that `created_by` may run the template. It costs no query when the template's instance, account,
    login and brands were brought along.
    """
    ensure_startable(template.instance, template, window, now=timezone.now())
    return Execution(
        created_by=created_by,
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


def queue_executions(executions: Sequence[Execution], *, actor: User | None) -> None:
    """Write new runs and count them, and tell the workers once that is committed; call it in a transaction.

    A few statements, however many there are. Raises NotRunnableError for a template that was deleted or archived since
    it was read, IntegrityError for a submission key that exists.
    """
    templates = [execution.template for execution in executions if execution.template is not None]
    if templates:
        hold_for_start(executions[0], templates)
    _write(executions, templates, actor)


def _write(executions: Sequence[Execution], templates: Sequence[InstanceTemplate], actor: User | None) -> None:
    """Write new runs of templates that are held."""
    for execution in executions:
        execution.name = execution.name[:MAX_LENGTH]
        execution.complete()
    Execution.objects.bulk_create(executions)
    count_usage(templates)
    # One message for all that wait for an account: only so many of them can begin.
    for account in dict.fromkeys(execution.instance.account.ref for execution in executions):
        after_commit(partial(send_admission, account), what="send admission")
    # The database's lock is not held for the log.
    after_commit(lambda: _log_queued(executions, actor), what="log runs")


def run_name(template: InstanceTemplate, window: Window) -> str:
    """Return the name a run gets when no other is given: the first brand's, else the instance's, and the dates."""
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


def run_again(execution: Execution, *, actor: User, as_is: bool, submission_key: UUID | None = None) -> Execution:
    """Run the same SQL over the same window again, or with `as_is` false the template as it is saved now.

    Raises what `start_execution` and `get_execution_to_run` raise.
    """
    old = get_execution_to_run(actor, execution.pk)
    if not as_is:
        return _run_template_again(old, actor, submission_key)
    if (first := _submitted(actor, submission_key)) is not None:
        return first
    ensure_startable(old.instance, None, old.window, now=timezone.now())
    copied = ("template_name", "template_version", "name", "source_sql", "parameter_values", "sql_query")
    again = Execution(
        created_by=actor,
        instance=old.instance,
        template=old.template,
        trigger=Trigger.RERUN,
        requires_synthetic_data=old.instance.has_synthetic_data,
        **{field: getattr(old, field) for field in copied},
        **_window_fields(old.window),
    )
    return _queue(again, submission_key, actor, as_is=True)


def _run_template_again(old: Execution, actor: User, submission_key: UUID | None) -> Execution:
    if old.template is None:
        raise NotRunnableError(_TEMPLATE_DELETED)
    try:
        return start_execution(
            actor=actor,
            template=old.template,
            window=old.window,
            trigger=Trigger.RERUN,
            submission_key=submission_key,
        )
    except MissingRowError:
        raise NotRunnableError(_TEMPLATE_DELETED) from None


def _submitted(actor: User, key: UUID | None) -> Execution | None:
    """Return what the actor submitted under this key; raises InvalidStateError for another user's key."""
    if key is None:
        return None
    found = Execution.objects.filter(submission_key=key).first()
    if found is not None and found.created_by_id != actor.pk:
        raise InvalidStateError("This was submitted by another user. Reload the page and try again.")
    return found


def _queue(execution: Execution, submission_key: UUID | None, actor: User, *, as_is: bool = False) -> Execution:
    """Write one new run; the same submission a moment earlier counts instead.

    Raises NotRunnableError where what it needs was deleted or put away since it was read.
    """
    execution.submission_key = submission_key or uuid4()
    try:
        with transaction.atomic():
            if as_is:
                _queue_as_is(execution, actor)
            else:
                queue_executions([execution], actor=actor)
    except (IntegrityError, NotRunnableError) as error:
        if (first := _submitted(actor, submission_key)) is not None:
            return first
        if isinstance(error, IntegrityError) and (gone := gone_error(execution)):
            raise gone from None
        raise
    return execution


def _queue_as_is(execution: Execution, actor: User) -> None:
    """Write a run of SQL that was copied: its template may be archived or gone, its instance not."""
    template = execution.template
    if template is not None and not hold_templates([template.pk]):
        execution.template = template = None
    if not AMCInstance.objects.filter(pk=execution.instance_id, is_active=True).exists():
        raise gone_error(execution) or NotRunnableError(INSTANCE_PUT_AWAY, reason=ErrorCode.INSTANCE_DISABLED)
    _write([execution], [template] if template is not None else [], actor)


def _log_queued(executions: Sequence[Execution], actor: User | None) -> None:
    for execution in executions:
        logger.info("execution queued id=%s trigger=%s actor=%s", execution.pk, execution.trigger, pk_of(actor))


def _window_fields(window: Window) -> dict[str, Any]:
    return {"window_start": window.start, "window_end": window.end, "window_zone": window.zone}
