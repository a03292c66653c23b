"""What stands between a template and a run, shown before it is started."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from amchelper.words import counted
from executions.errors import ErrorCode
from executions.models import Execution
from executions.services.queue import capacity
from executions.services.readiness import StartAction, StartVerdict, start_verdicts
from instances.models import AMCInstance
from planning.recurrence import Recurrence
from schedules.models import Schedule
from templates_app.models import InstanceTemplate


@dataclass(frozen=True)
class Check:
    """One question with its answer: `level` is ok, warning or error. What is an error, `start_execution` refuses."""

    label: str
    level: str
    message: str


@dataclass(frozen=True)
class Hindrance:
    """A reason that skips planned runs, and the page where it is mended."""

    message: str
    url: str
    way_out: str


def preflight(template: InstanceTemplate, *, is_planned: bool = False) -> list[Check]:
    """Return all answers, in the order a run would meet them, or the runs of a plan. Two statements."""
    instance = template.instance
    verdicts = {verdict.code: verdict for verdict in start_verdicts(instance, template, now=timezone.now())}
    skipped = _skipped_codes(template) if is_planned else set()
    codes = ErrorCode
    # Each question with what is said when nothing stands against it, and the reasons that answer it.
    questions = (
        ("Amazon login", f"{instance.account.connection.label} is connected.", (codes.RECONNECT_REQUIRED,)),
        ("Instance", f"{instance.name} can be used.", (codes.INSTANCE_DISABLED, codes.INSTANCE_PENDING)),
        (
            "Health",
            "The last check was fine." if instance.health_status else "Never checked.",
            (codes.INSTANCE_UNHEALTHY, codes.HEALTH_UNKNOWN),
        ),
        ("Template", f"Version {template.version}, complete.", (codes.TEMPLATE_ARCHIVED,)),
        ("Length", f"{counted(len(template.sql_query), 'character')} of SQL.", (codes.LONG_SQL,)),
    )
    answers = [
        _answer(label, otherwise, [verdicts[code] for code in reasons if code in verdicts], skipped)
        for label, otherwise, reasons in questions
    ]
    return [*answers, _queue(instance)]


def hindrances(schedule: Schedule) -> list[Hindrance]:
    """Return why the coming runs of a schedule would be skipped. It costs the instance's login."""
    template, instance = schedule.template, schedule.instance
    verdicts = start_verdicts(instance, template, now=timezone.now(), is_planned=True)
    ways_out = {
        ErrorCode.TEMPLATE_ARCHIVED: (template.get_absolute_url(), "Open the template"),
        ErrorCode.RECONNECT_REQUIRED: (instance.account.connection.get_absolute_url(), "Open the connection"),
    }
    otherwise = (instance.get_absolute_url(), "Open the instance")
    return [
        Hindrance(verdict.message, *ways_out.get(verdict.code, otherwise))
        for verdict in verdicts
        if verdict.is_blocking
    ]


def schedule_name(template: InstanceTemplate, recurrence: Recurrence) -> str:
    """Return the name a schedule gets when no other is given."""
    text = recurrence.describe_days()
    return f"{template.name[:200]}, {text[0].lower()}{text[1:]}"[:255]


def _skipped_codes(template: InstanceTemplate) -> set[ErrorCode]:
    verdicts = start_verdicts(template.instance, template, now=timezone.now(), is_planned=True)
    return {verdict.code for verdict in verdicts if verdict.action is StartAction.SKIP}


def _answer(label: str, otherwise: str, against: list[StartVerdict], skipped: set[ErrorCode]) -> Check:
    if not against:
        return Check(label, "ok", otherwise)
    message = " ".join(verdict.message for verdict in against)
    if against[0].is_blocking:
        return Check(label, "error", message)
    if any(verdict.code in skipped for verdict in against):
        message = f"{message} Planned runs are skipped while it is so."
    return Check(label, "warning", message)


def _queue(instance: AMCInstance) -> Check:
    free = capacity(instance).free
    if free > 0:
        return Check("Places at AMC", "ok", f"{free} free; the run starts at once.")
    waiting = Execution.objects.filter(instance=instance).open().count()
    taken = f"{counted(waiting, 'run is', 'runs are')} open on this instance"
    return Check("Places at AMC", "warning", f"All places are taken; {taken}. This one waits its turn.")
