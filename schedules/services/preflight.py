"""What stands between a template and a run, asked before anybody waits for Amazon."""

from __future__ import annotations

from dataclasses import dataclass

from executions.models import Execution
from executions.services.queue import headroom
from executions.services.refusals import instance_refusal, login_refusal, template_refusal
from instances.models import AMCInstance
from instances.models.lifecycle import Health
from planning.recurrence import Recurrence
from templates_app.models import InstanceTemplate


@dataclass(frozen=True)
class Check:
    """One question with its answer: `level` is ok, warning or error. What is an error, `start_execution` refuses."""

    label: str
    level: str
    message: str


def preflight(template: InstanceTemplate) -> list[Check]:
    """Return all answers, in the order a run would meet them."""
    instance = template.instance
    return [_connection(instance), _instance(instance), _health(instance), _template(template), _queue(instance)]


def schedule_name(template: InstanceTemplate, recurrence: Recurrence) -> str:
    """Return the name a schedule gets when nobody types one."""
    text = recurrence.describe().split(" at ")[0]
    return f"{template.name[:200]}, {text[0].lower()}{text[1:]}"[:255]


def _connection(instance: AMCInstance) -> Check:
    return _answer("Amazon login", login_refusal(instance), f"{instance.account.connection.label} is connected.")


def _instance(instance: AMCInstance) -> Check:
    return _answer("Instance", instance_refusal(instance), f"{instance.name} can be used.")


def _health(instance: AMCInstance) -> Check:
    if instance.health_status == Health.UNHEALTHY:
        return Check(
            "Health", "warning", f"The last check failed: {instance.health_error or 'see the instance page'}."
        )
    if instance.health_status == Health.ERROR:
        return Check("Health", "warning", "The last check could not find out; the run is tried all the same.")
    return Check("Health", "ok", "The last check was fine." if instance.health_status else "Never checked.")


def _template(template: InstanceTemplate) -> Check:
    return _answer("Template", template_refusal(template), f"Version {template.version}, complete.")


def _answer(label: str, refusal: str, otherwise: str) -> Check:
    return Check(label, "error", refusal) if refusal else Check(label, "ok", otherwise)


def _queue(instance: AMCInstance) -> Check:
    free = headroom(instance)
    if free > 0:
        return Check("Places at AMC", "ok", f"{free} free; the run starts at once.")
    waiting = Execution.objects.filter(instance=instance).open().count()
    taken = f"{waiting} run{' is' if waiting == 1 else 's are'} open on this instance"
    return Check("Places at AMC", "warning", f"All places are taken; {taken}. This one waits its turn.")
