"""Why something cannot run now, one rule each; empty when nothing stands against it."""

from __future__ import annotations

from instances.models import AmazonConnection, AMCInstance, Status
from templates_app.models import InstanceTemplate


def login_refusal(instance: AMCInstance) -> str:
    """Return why AMC would not accept the instance's login; empty when it would."""
    login = instance.account.connection
    if login.status == AmazonConnection.Status.CONNECTED:
        return ""
    return f"{login.label} is not connected. Reconnect it under Connections."


def instance_refusal(instance: AMCInstance) -> str:
    """Return why nothing may run on the instance (disabled, or never confirmed by AMC); else empty."""
    if not instance.is_active:
        return "The instance is disabled. Enable it before you run something there."
    if instance.status == Status.PENDING:
        return "AMC has not accepted this instance yet. Check its connection, then run this."
    return ""


def template_refusal(template: InstanceTemplate) -> str:
    """Return why the template may not run (archived); else empty."""
    return "The template is archived. Bring it back before you run it." if template.is_archived else ""
