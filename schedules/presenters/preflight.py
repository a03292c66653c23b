"""What stands between a template and a run, shown before it is started."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from amchelper.words import counted
from executions.errors import ErrorCode
from executions.models import Execution
from executions.services.queue import capacity
from executions.services.readiness import StartVerdict, start_verdicts
from instances.models import AMCInstance
from planning.recurrence import Recurrence
from templates_app.models import InstanceTemplate


@dataclass(frozen=True)
class Check:
    """One question with its answer: `level` is ok, warning or error. What is an error, `start_execution` refuses."""

    label: str
    level: str
    message: str


def preflight(template: InstanceTemplate) -> list[Check]:
    """Return all answers, in the order a run would meet them. Two statements."""
    instance = template.instance
    verdicts = {verdict.code: verdict for verdict in start_verdicts(instance, template, now=timezone.now())}
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
        _answer(label, otherwise, [verdicts[code] for code in reasons if code in verdicts])
        for label, otherwise, reasons in questions
    ]
    return [*answers, _queue(instance)]


def schedule_name(template: InstanceTemplate, recurrence: Recurrence) -> str:
    """Return the name a schedule gets when no other is given."""
    text = recurrence.describe().split(" at ")[0]
    return f"{template.name[:200]}, {text[0].lower()}{text[1:]}"[:255]


def _answer(label: str, otherwise: str, against: list[StartVerdict]) -> Check:
    if not against:
        return Check(label, "ok", otherwise)
    return Check(label, "error" if against[0].is_blocking else "warning", against[0].message)


def _queue(instance: AMCInstance) -> Check:
    free = capacity(instance).free
    if free > 0:
        return Check("Places at AMC", "ok", f"{free} free; the run starts at once.")
    waiting = Execution.objects.filter(instance=instance).open().count()
    taken = f"{counted(waiting, 'run is', 'runs are')} open on this instance"
    return Check("Places at AMC", "warning", f"All places are taken; {taken}. This one waits its turn.")
