"""What stands between a template and a run, asked before anybody waits for Amazon."""

from __future__ import annotations

from dataclasses import dataclass

from amchelper.models import User
from instances.models import AmazonConnection, AMCInstance
from instances.models.lifecycle import Health, Status
from templates_app.models import Execution, InstanceTemplate
from templates_app.planning.naming import execution_name
from templates_app.planning.recurrence import Recurrence
from templates_app.planning.windows import Window
from templates_app.services.execution_queue import headroom


@dataclass(frozen=True)
class Check:
    """One question with its answer: `level` is ok, warning or error; errors stop a run."""

    label: str
    level: str
    message: str


def preflight(template: InstanceTemplate, user: User) -> list[Check]:
    """Give all answers, in the order a run would meet them."""
    instance = template.instance
    return [_connection(instance), _instance(instance), _health(instance), _template(template), _queue(instance)]


def is_blocked(checks: list[Check]) -> bool:
    """Tell whether a run cannot start."""
    return any(check.level == "error" for check in checks)


def run_name(template: InstanceTemplate, window: Window) -> str:
    """Give the name a run gets when nobody types one."""
    brand = template.instance.brands.order_by("name").values_list("name", flat=True).first()
    return execution_name(
        brand=brand,
        instance_name=template.instance.name,
        template_name=template.name,
        start=window.start,
        end=window.end,
    )


def schedule_name(template: InstanceTemplate, recurrence: Recurrence) -> str:
    """Give the name a schedule gets when nobody types one."""
    text = recurrence.describe().split(" at ")[0]
    return f"{template.name[:200]}, {text[0].lower()}{text[1:]}"[:255]


def _connection(instance: AMCInstance) -> Check:
    login = instance.account.connection
    if login.state == AmazonConnection.State.CONNECTED:
        return Check("Amazon login", "ok", f"{login.label} is connected.")
    return Check("Amazon login", "error", f"{login.label} is not connected. Reconnect it under Connections.")


def _instance(instance: AMCInstance) -> Check:
    if not instance.is_active:
        return Check("Instance", "error", "This instance is disabled. Enable it first.")
    if instance.status == Status.PENDING:
        return Check("Instance", "error", "AMC has not accepted this instance yet. Check its connection first.")
    return Check("Instance", "ok", f"{instance.name} can be used.")


def _health(instance: AMCInstance) -> Check:
    if instance.health_status == Health.UNHEALTHY:
        return Check(
            "Health", "warning", f"The last check failed: {instance.health_error or 'see the instance page'}."
        )
    if instance.health_status == Health.ERROR:
        return Check("Health", "warning", "The last check could not find out; the run is tried all the same.")
    return Check("Health", "ok", "The last check was fine." if instance.health_status else "Never checked.")


def _template(template: InstanceTemplate) -> Check:
    if template.is_archived:
        return Check("Template", "error", "This template is archived. Bring it back first.")
    return Check("Template", "ok", f"Version {template.version}, complete.")


def _queue(instance: AMCInstance) -> Check:
    free = headroom(instance)
    waiting = Execution.objects.filter(instance=instance).open().count()
    if free > 0:
        return Check("Places at AMC", "ok", f"{free} free; the run starts at once.")
    return Check(
        "Places at AMC", "warning", f"All places are taken; {waiting} runs are open. This one waits its turn."
    )
