"""Templates and their versions, executions, schedules and their slots."""

from __future__ import annotations

from templates_app.models.execution import Execution, ExecutionQuerySet, State, Trigger
from templates_app.models.schedule import MissedPolicy, Schedule, ScheduleRun, ScheduleState, SlotState, WindowKind
from templates_app.models.template import InstanceTemplate, TemplateQuerySet, TemplateVersion

__all__ = [
    "Execution",
    "ExecutionQuerySet",
    "InstanceTemplate",
    "MissedPolicy",
    "Schedule",
    "ScheduleRun",
    "ScheduleState",
    "SlotState",
    "State",
    "TemplateQuerySet",
    "TemplateVersion",
    "Trigger",
    "WindowKind",
]
