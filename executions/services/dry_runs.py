"""Let AMC check the SQL without running it. A dry run has no row, no result and no position in a queue."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from amchelper.models import User
from executions.services.failures import Failure, explain
from executions.services.start import make_execution
from executions.services.submission import request_of
from instances.amc.errors import AmcNotVisibleError, AmcRejectedError
from instances.amc.executions import AmcExecution
from instances.amc.time_limits import PAGE_SECONDS, time_limit
from instances.models import AMCInstance
from instances.services.amazon import amc_client
from planning.windows import Window
from templates_app.models import InstanceTemplate

PENDING, ACCEPTED, REFUSED, FAILED = "pending", "accepted", "refused", "failed"


@dataclass(frozen=True)
class DryRun:
    """How a dry run stands: `words` are AMC's when it refused, ours when it could not be asked.

    It holds for one version of a template over one window (`fingerprint`), and is kept as JSON.
    """

    status: str
    fingerprint: str
    words: str = ""
    execution_id: str = ""
    created_at: str = ""

    @property
    def is_open(self) -> bool:
        """Return whether AMC still has to answer."""
        return self.status == PENDING

    @property
    def is_accepted(self) -> bool:
        """Return whether AMC would run it."""
        return self.status == ACCEPTED

    @property
    def is_refused(self) -> bool:
        """Return whether AMC said what is wrong with it."""
        return self.status == REFUSED

    def to_json(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return asdict(self)

    def failure(self, template: InstanceTemplate) -> Failure | None:
        """Return what a refusal means, with its place in the SQL as the user typed it; None for other statuses."""
        if self.status != REFUSED:
            return None
        return explain(self.words, template.source_sql, template.parameter_values)


def fingerprint_of(template: InstanceTemplate, window: Window) -> str:
    """Name what a dry run is about: a later version or another window needs a new one."""
    return f"{template.pk}/{template.version}/{window.start}/{window.end}/{window.zone}"


def dry_run(*, actor: User, template: InstanceTemplate, window: Window, earlier: DryRun | None = None) -> DryRun:
    """Start a dry run, or ask how an open `earlier` one about the same stands; never raises what AMC answers."""
    fingerprint = fingerprint_of(template, window)
    with time_limit(PAGE_SECONDS):
        if earlier is not None and earlier.is_open and earlier.fingerprint == fingerprint:
            return _ask(template.instance, earlier)
        return _begin(actor, template, window, fingerprint)


def _begin(actor: User, template: InstanceTemplate, window: Window, fingerprint: str) -> DryRun:
    try:
        execution = make_execution(created_by=actor, template=template, window=window)
        execution.complete()
        instance = template.instance
        with amc_client(instance.account.connection, instance.account.region) as client:
            answer = client.validate(instance.ref, request_of(execution))
    except AmcRejectedError as error:
        return DryRun(REFUSED, fingerprint, error.message)
    except AmcHelperError as error:
        return DryRun(FAILED, fingerprint, error.message)
    begun = DryRun(PENDING, fingerprint, "", answer.execution_id, timezone.now().isoformat())
    return _read(begun, answer) if answer.is_final else _ask(instance, begun)


def _ask(instance: AMCInstance, begun: DryRun) -> DryRun:
    """Ask AMC once how a dry run stands; what cannot be asked now is asked again later."""
    created_at = dt.datetime.fromisoformat(begun.created_at)
    try:
        with amc_client(instance.account.connection, instance.account.region) as client:
            answer = client.get_execution(instance.ref, begun.execution_id, created_at=created_at)
    except AmcNotVisibleError:
        return begun
    except AmcHelperError as error:
        return DryRun(FAILED, begun.fingerprint, error.message)
    return _read(begun, answer)


def _read(begun: DryRun, answer: AmcExecution) -> DryRun:
    if not answer.is_final:
        return begun
    if answer.status == "SUCCEEDED":
        return DryRun(ACCEPTED, begun.fingerprint)
    words = answer.status_reason or "AMC refused it without a reason."
    return DryRun(REFUSED, begun.fingerprint, words)
