"""Why a run cannot start now: every reason with its verdict, for runs by hand and runs by plan alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db.models import Model

from amchelper.access import missing_reference
from executions.errors import ErrorCode, NotRunnableError
from instances.models import AmazonConnection, AMCInstance, Health, Status
from planning.windows import Window, check_window
from templates_app.models import InstanceTemplate
from templates_app.services.drafts import remarks_on_length
from templates_app.services.templates import hold_templates
from templates_app.sql.fillings import byte_length


class StartAction(Enum):
    """What a reason means for a start."""

    # It needs a person: a run by hand is refused, a slot fails.
    REFUSE = "refuse"
    # It is as a user decided, or known to be broken: a slot is skipped, which is no failure of the schedule.
    SKIP = "skip"
    # It may go well: the run starts, the reason is shown as a warning.
    TRY = "try"


@dataclass(frozen=True)
class StartVerdict:
    """One reason against a start; `message` says what to do about it."""

    action: StartAction
    code: ErrorCode
    message: str

    @property
    def is_blocking(self) -> bool:
        """Return whether nothing may start because of it."""
        return self.action != StartAction.TRY


_GONE = (
    "The {noun} was deleted at this moment, so nothing was started or saved. Reload the page to see what is there."
)
_PUT_AWAY = (
    "The template was archived or is being deleted at this moment, so nothing was started or saved. Reload the page "
    "to see which."
)
INSTANCE_PUT_AWAY = (
    "The instance was disabled or is being deleted at this moment, so nothing was started. Reload its page to see "
    "which."
)
# By hand, and by plan. A reason stands here once; where the two columns differ, docs/decisions.md says why.
_ACTIONS: dict[ErrorCode, tuple[StartAction, StartAction]] = {
    ErrorCode.TEMPLATE_ARCHIVED: (StartAction.REFUSE, StartAction.SKIP),
    ErrorCode.INSTANCE_DISABLED: (StartAction.REFUSE, StartAction.SKIP),
    ErrorCode.RECONNECT_REQUIRED: (StartAction.REFUSE, StartAction.SKIP),
    ErrorCode.INSTANCE_UNHEALTHY: (StartAction.TRY, StartAction.SKIP),
    ErrorCode.INSTANCE_PENDING: (StartAction.REFUSE, StartAction.SKIP),
    ErrorCode.HEALTH_UNKNOWN: (StartAction.TRY, StartAction.TRY),
    ErrorCode.WINDOW_REFUSED: (StartAction.REFUSE, StartAction.REFUSE),
    ErrorCode.LONG_SQL: (StartAction.TRY, StartAction.TRY),
}


def start_verdicts(
    instance: AMCInstance,
    template: InstanceTemplate | None,
    window: Window | None = None,
    *,
    now: datetime,
    is_planned: bool = False,
) -> list[StartVerdict]:
    """Return every reason against a run that would start now, in the order in which they count.

    `is_planned` tells a slot of a schedule from a run by hand. Without `template` (the same SQL again) or `window`
    nothing is said about them. It costs no query when the instance's account and login were brought along.
    """
    column = int(is_planned)
    reasons = _reasons(instance, template, window, now)
    return [StartVerdict(_ACTIONS[code][column], code, message) for code, message in reasons]


def blocking_verdict(
    instance: AMCInstance,
    template: InstanceTemplate | None,
    window: Window | None = None,
    *,
    now: datetime,
    is_planned: bool = False,
) -> StartVerdict | None:
    """Return the first reason that keeps a run from starting (REFUSE or SKIP); None when it may start."""
    verdicts = start_verdicts(instance, template, window, now=now, is_planned=is_planned)
    return next((verdict for verdict in verdicts if verdict.is_blocking), None)


def ensure_startable(
    instance: AMCInstance,
    template: InstanceTemplate | None,
    window: Window | None = None,
    *,
    now: datetime,
    also: NotRunnableError | None = None,
) -> None:
    """Raise NotRunnableError with all that keeps a run by hand from starting, and what the caller found (`also`).

    Its reason is that of the first.
    """
    verdicts = start_verdicts(instance, template, window, now=now)
    errors = [NotRunnableError(one.message, reason=one.code) for one in verdicts if one.is_blocking]
    if also is not None:
        errors.append(also)
    if errors:
        raise NotRunnableError(" ".join(error.message for error in errors), reason=errors[0].reason)


def hold_for_start(row: Model, templates: Iterable[InstanceTemplate]) -> None:
    """Keep the templates that `row`, not written yet, is about until this transaction ends.

    Raises NotRunnableError for one that was deleted or put away since it was read. Whatever deletes an instance puts
    its templates away first.
    """
    wanted = {template.pk for template in templates}
    held = hold_templates(wanted)
    if wanted - held.keys():
        raise gone_error(row) or NotRunnableError(_GONE.format(noun="template"))
    if any(held.values()):
        raise NotRunnableError(_PUT_AWAY, reason=ErrorCode.TEMPLATE_ARCHIVED)


def gone_error(row: Model) -> NotRunnableError | None:
    """Return the error for a row that cannot be written because what it refers to was deleted; None for none."""
    noun = missing_reference(row)
    return NotRunnableError(_GONE.format(noun=noun)) if noun else None


def _reasons(
    instance: AMCInstance, template: InstanceTemplate | None, window: Window | None, now: datetime
) -> Iterator[tuple[ErrorCode, str]]:
    if template is not None and template.is_archived:
        yield ErrorCode.TEMPLATE_ARCHIVED, "The template is archived. Bring it back before you run it."
    if not instance.is_active:
        yield ErrorCode.INSTANCE_DISABLED, "The instance is disabled. Enable it before you run something there."
    login = instance.account.connection
    if login.status != AmazonConnection.Status.CONNECTED:
        yield ErrorCode.RECONNECT_REQUIRED, f"{login.label} is not connected. Reconnect it under Connections."
    if instance.health_status == Health.UNHEALTHY:
        problem = instance.health_error or "its last check failed."
        yield ErrorCode.INSTANCE_UNHEALTHY, f"The instance is unhealthy: {problem}"
    if instance.is_active and instance.status == Status.PENDING:
        yield (
            ErrorCode.INSTANCE_PENDING,
            "AMC has not accepted this instance yet. Check its connection, then run this.",
        )
    if instance.health_status == Health.ERROR:
        yield ErrorCode.HEALTH_UNKNOWN, "The last check could not find out; the run is tried all the same."
    if template is not None:
        remarks = remarks_on_length(byte_length(template.sql_query), template.parameter_values)
        if remarks:
            yield ErrorCode.LONG_SQL, " ".join(remarks)
    verdict = check_window(window, now) if window is not None else None
    if verdict is not None and not verdict.is_ok:
        yield ErrorCode.WINDOW_REFUSED, " ".join(finding.message for finding in verdict.errors)
