"""Judge a campaign: what AMC saw, what is stored, what is counted, what was planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.files.storage import storages
from django.db import connection
from django.utils import timezone

from executions.models import Execution, ExecutionStatus, Trigger
from executions.results.columns import read_facts
from executions.services.retention import remove_old_results
from schedules.models import ScheduleSlot, SlotStatus
from templates_app.models import InstanceTemplate
from tests.campaign.processes import LocalAmc


def violations(
    amc: LocalAmc, *, started: int, planned: Mapping[UUID, set[datetime]], most_open: Mapping[str, int]
) -> list[str]:
    """Return everything that must not be. Leftovers of workers that died are removed, as the daily pruning does."""
    runs = list(Execution.objects.select_related("instance"))
    at_amc = amc.control("GET", "executions")["executions"]
    by_trigger = Counter(run.trigger for run in runs)
    wanted = {Trigger.API: started, Trigger.SCHEDULE: sum(map(len, planned.values()))}
    return [
        *(
            f"{by_trigger[trigger]} runs by {trigger} instead of {count}"
            for trigger, count in wanted.items()
            if by_trigger[trigger] != count
        ),
        *_unfinished(runs),
        *_created_not_once(runs, at_amc),
        *_changed(amc, runs, {row["workflowExecutionId"] for row in at_amc}),
        *_misplaced(runs),
        *_miscounted(runs),
        *_misplanned(planned),
        *_damaged(),
        *(
            f"{instance} had {count} runs open at once"
            for instance, count in most_open.items()
            if count > settings.EXECUTIONS_PER_INSTANCE
        ),
    ]


def _unfinished(runs: list[Execution]) -> Iterator[str]:
    for run in runs:
        if run.status != ExecutionStatus.SUCCEEDED:
            yield f"{run.pk} is {run.status}: {run.error or run.waiting_for} (attempts {run.step_attempts})"
        elif run.lease_until is not None:
            yield f"{run.pk} has ended and is still held by {run.leased_by}"


def _created_not_once(runs: list[Execution], at_amc: list[dict[str, str]]) -> Iterator[str]:
    created = Counter(row["workflowId"] for row in at_amc)
    by_id = {row["workflowExecutionId"]: row for row in at_amc}
    for run in runs:
        count = created.pop(run.workflow_id, 0)
        if count != 1:
            yield f"{run.pk} was created {count} times at AMC"
        row = by_id.get(run.amc_execution_id)
        if row is None or row["workflowId"] != run.workflow_id or row["instanceId"] != run.instance.instance_id:
            yield f"{run.pk} took another run's execution {run.amc_execution_id}"
    for workflow_id in created:
        yield f"AMC has an execution of nobody: {workflow_id}"


def _changed(amc: LocalAmc, runs: list[Execution], known: set[str]) -> Iterator[str]:
    storage = storages["results"]
    for run in runs:
        if run.status != ExecutionStatus.SUCCEEDED or run.amc_execution_id not in known:
            continue
        with storage.open(run.csv_file) as file:
            stored = file.read()
        if stored != amc.result(run.amc_execution_id):
            yield f"{run.pk}: the stored CSV differs from AMC's"
        facts = read_facts(Path(storage.path(run.parquet_file)))
        if (facts.rows, facts.bytes) != (run.row_count, run.byte_count) or run.byte_count != len(stored):
            yield f"{run.pk}: rows or bytes are wrong"


def _misplaced(runs: list[Execution]) -> Iterator[str]:
    """Compare the files that are there with those that runs name, before and after leftovers are removed."""
    named = Counter(name for run in runs for name in (run.csv_file, run.parquet_file) if name)
    yield from (f"{count} runs share the file {name}" for name, count in named.items() if count > 1)
    found = _stored_files()
    leftovers = {name for name in found if name.startswith("incoming/")}
    yield from (f"no run names the file {name}" for name in found - leftovers - named.keys())
    removal = remove_old_results(timezone.now() + timedelta(days=2))
    if removal.results or removal.orphaned:
        yield f"pruning removed {removal.results} results and {removal.orphaned} other files"
    yield from (f"a leftover stays: {name}" for name in _stored_files() - named.keys())
    yield from (f"a file is gone: {name}" for name in named.keys() - _stored_files())


def _stored_files() -> set[str]:
    folder = Path(settings.RESULTS_DIR)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _miscounted(runs: list[Execution]) -> Iterator[str]:
    by_template = Counter(run.template_id for run in runs)
    for template in InstanceTemplate.objects.all():
        if template.usage_count != by_template[template.pk]:
            yield f"{template.name} was used {by_template[template.pk]} times and counts {template.usage_count}"


def _misplanned(planned: Mapping[UUID, set[datetime]]) -> Iterator[str]:
    """Compare slots with the plan: each is there once, and succeeded with a run of its own."""
    slots = list(ScheduleSlot.objects.select_related("execution"))
    for schedule, moments in planned.items():
        found = {slot.scheduled_for for slot in slots if slot.schedule_id == schedule}
        yield from (f"schedule {schedule} has no slot at {moment}" for moment in moments - found)
        yield from (f"schedule {schedule} has an unplanned slot at {moment}" for moment in found - moments)
    for slot in slots:
        run = slot.execution
        if slot.status != SlotStatus.SUCCEEDED or run is None or run.schedule_id != slot.schedule_id:
            yield f"slot {slot.pk} is {slot.status}: {slot.reason}"
        if slot.lease_until is not None or slot.leased_by:
            yield f"slot {slot.pk} is still held by {slot.leased_by}"


def _damaged() -> Iterator[str]:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for check in ("integrity_check", "foreign_key_check"):
                cursor.execute(f"PRAGMA {check}")
                yield from (f"{check}: {row}" for row in cursor.fetchall() if row != ("ok",))
