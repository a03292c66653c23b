"""Judge a campaign: what AMC saw, what is stored, what is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.files.storage import storages

from templates_app.models import Execution, InstanceTemplate, State
from templates_app.results.columns import read_facts
from tests.campaign.processes import LocalAmc


def violations(amc: LocalAmc, templates: list[InstanceTemplate], most_open: dict[str, int]) -> list[str]:
    """Give everything that must not be."""
    runs = list(Execution.objects.select_related("instance"))
    at_amc = amc.control("GET", "executions")["executions"]
    return [
        *_unfinished(runs),
        *_created_not_once(runs, at_amc),
        *_changed(amc, runs),
        *_miscounted(runs, templates),
        *(
            f"{instance} had {count} runs open at once"
            for instance, count in most_open.items()
            if count > settings.EXECUTIONS_PER_INSTANCE
        ),
    ]


def _unfinished(runs: list[Execution]) -> Iterator[str]:
    for run in runs:
        if run.state != State.SUCCEEDED:
            yield f"{run.pk} is {run.state}: {run.error or run.waiting_for} (attempts {run.step_attempts})"
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
            yield f"{run.pk} took somebody else's execution {run.amc_execution_id}"
    for workflow_id in created:
        yield f"AMC has an execution of nobody: {workflow_id}"


def _changed(amc: LocalAmc, runs: list[Execution]) -> Iterator[str]:
    storage = storages["results"]
    for run in runs:
        if run.state != State.SUCCEEDED:
            continue
        with storage.open(run.csv_file) as file:
            stored = file.read()
        if stored != amc.result(run.amc_execution_id):
            yield f"{run.pk}: the stored CSV differs from AMC's"
        facts = read_facts(Path(storage.path(run.parquet_file)))
        if (facts.rows, facts.bytes) != (run.row_count, run.byte_count) or run.byte_count != len(stored):
            yield f"{run.pk}: rows or bytes are wrong"


def _miscounted(runs: list[Execution], templates: list[InstanceTemplate]) -> Iterator[str]:
    by_template = Counter(run.template_id for run in runs)
    for template in templates:
        template.refresh_from_db()
        if template.usage_count != by_template[template.pk]:
            yield f"{template.name} was used {by_template[template.pk]} times and counts {template.usage_count}"
