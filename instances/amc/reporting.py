"""Reporting: executions created, found again, read, listed, cancelled and downloaded."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO
from urllib.parse import quote

from amc_facts.limits import VISIBLE_AFTER_SECONDS
from instances.amc.calls import MAX_LIST_SECONDS, PAGE_SIZE, Calls, Pages, Request
from instances.amc.catalogue import DataSource, Workflow, parse_data_source, parse_workflow
from instances.amc.errors import (
    AmcError,
    AmcMalformedError,
    AmcNotFoundError,
    AmcNotVisibleError,
    AmcOutcomeUnknownError,
    AmcRejectedError,
)
from instances.amc.executions import AmcExecution, ExecutionRequest, format_time, parse_execution
from instances.amc.fields import unwrap
from instances.amc.rejections import execution_rejection
from instances.amc.responses import unexpected
from instances.amc.results import MAX_RESULT_BYTES, DownloadedResult, Progress, ResultDownload, read_urls
from instances.amc.time_limits import time_limit
from instances.amc.types import CallInfo, InstanceRef

logger = logging.getLogger(__name__)

# AMC may take VISIBLE_AFTER_SECONDS to show a new execution; the rest is how long our own attempt may have lasted:
# until the POST went out, and from there until AMC acted on it, at the latest when we stopped to wait for its answer.
VISIBILITY = timedelta(minutes=2)
SEND_WITHIN = timedelta(seconds=30)
# A run is looked for from this long before the attempt on: clocks differ.
_LOOKBACK = timedelta(minutes=5)
_MAX_EXECUTION_PAGES = 200
_MAX_CATALOGUE_PAGES = 50
_MAX_URL_PAGES = 100


class ReportingCalls(Calls):
    """The calls under `/amc/reporting`."""

    def check_reporting(self, instance: InstanceRef) -> CallInfo:
        """Prove reporting rights, which administration rights do not imply."""
        path = _path(instance, "workflows")
        payload, call = self._call(Request("GET", path, instance.account, {"limit": "1"}))
        if not isinstance(payload, dict) or not isinstance(payload.get("workflows", ""), list | None):
            raise unexpected("a list of workflows", payload, call)
        return call

    def create_execution(
        self,
        instance: InstanceRef,
        request: ExecutionRequest,
        *,
        send_before: datetime | None = None,
        exclude_ids: Collection[str] = (),
    ) -> AmcExecution:
        """Create the execution and return it; where the answer got lost, return the one that AMC shows.

        It posts: call it only when no earlier attempt may have created the run (`find_execution` tells).
        After `send_before` nothing is sent. `exclude_ids` are execution IDs that belong to other runs. Raises
        AmcOutcomeUnknownError when the run may exist although AMC does not show it; every other AmcError says that
        nothing was created.
        """
        if request.dry_run:
            raise ValueError("A dry run is not a run: use validate().")
        began = datetime.now(UTC)
        try:
            return self._post_execution(instance, request, send_before)
        except AmcError as error:
            if not error.outcome_unknown:
                raise
            hidden = error
        logger.warning("amc execution answer lost workflow_id=%s reason=%s", request.workflow_id, hidden.reason)
        try:
            found = self.find_execution(instance, request, attempted_at=began, exclude_ids=exclude_ids)
        except AmcError as error:
            raise _unknown(error.call) from error
        if found is None:
            raise _unknown(hidden.call) from hidden
        logger.info(
            "amc execution adopted workflow_id=%s execution_id=%s", request.workflow_id, found.execution_id
        )
        return found

    def find_execution(
        self,
        instance: InstanceRef,
        request: ExecutionRequest,
        *,
        attempted_at: datetime,
        exclude_ids: Collection[str] = (),
    ) -> AmcExecution | None:
        """Return the execution that an attempt at that time created, None when AMC shows none; raises AmcError.

        It is found by our own workflow ID, and where AMC put one of its own in its place by SQL, values and window.
        """
        with time_limit(MAX_LIST_SECONDS):
            return self._find(instance, request, attempted_at - _LOOKBACK, exclude_ids)

    def _find(
        self, instance: InstanceRef, request: ExecutionRequest, since: datetime, exclude_ids: Collection[str]
    ) -> AmcExecution | None:
        try:
            exact = list(self._list(instance, since, request.workflow_id, include_workflow=False))
        except AmcNotFoundError:
            # Where AMC gave the run an ID of its own, it may not know ours.
            exact = []
        matches = [found for found in exact if found.workflow_id == request.workflow_id]
        if not matches:
            recent = self._list(instance, since, "", include_workflow=True)
            matches = [found for found in recent if found.has_invented_id and found.is_run_of(request)]
        matches = [found for found in matches if found.execution_id not in exclude_ids]
        if len(matches) > 1:
            logger.warning(
                "amc execution exists several times workflow_id=%s executions=%s",
                request.workflow_id, ",".join(found.execution_id for found in matches),
            )  # fmt: skip
        unknown_age = datetime.max.replace(tzinfo=UTC)
        return min(matches, key=lambda found: found.created_at or unknown_age, default=None)

    def validate(self, instance: InstanceRef, request: ExecutionRequest) -> AmcExecution:
        """Let AMC check a request without running it: a dry run, which has no result.

        Returns it as AMC accepted it; read it until it is final. Raises AmcRejectedError, with the place in the
        SQL, when AMC refuses at once.
        """
        checked = self._post_execution(instance, request.for_validation())
        if checked.status == "REJECTED":
            raise execution_rejection(checked.status_reason)
        return checked

    def get_execution(
        self,
        instance: InstanceRef,
        execution_id: str,
        *,
        created_at: datetime | None = None,
        include_workflow: bool = False,
    ) -> AmcExecution:
        """Return one execution; raises AmcNotVisibleError instead of not found right after `created_at`."""
        query = {"includeWorkflow": "true"} if include_workflow else {}
        path = _path(instance, "workflowExecutions", execution_id)
        try:
            payload, call = self._call(Request("GET", path, instance.account, query))
        except AmcNotFoundError as error:
            age = datetime.now(UTC) - created_at if created_at is not None else VISIBILITY
            if age >= VISIBILITY:
                raise
            raise AmcNotVisibleError(
                "AMC does not show this execution yet. Try again in a minute.",
                retry_after=VISIBLE_AFTER_SECONDS,
                call=error.call,
            ) from error
        found = _read_execution(payload, call)
        if found.execution_id != execution_id:
            raise unexpected("the execution that was asked for", payload, call)
        return found

    def list_executions(
        self,
        instance: InstanceRef,
        *,
        created_since: datetime,
        workflow_id: str | None = None,
        include_cancelled: bool = True,
        include_workflow: bool = False,
        whole: bool = True,
    ) -> Iterator[AmcExecution]:
        """Return the executions created since then, newest first, each once; pages are read as they are needed.

        A list that may lack some ends with an AmcError, unless it need not be `whole`.
        """
        return self._list(
            instance,
            created_since,
            workflow_id or "",
            include_cancelled=include_cancelled,
            include_workflow=include_workflow,
            whole=whole,
        )

    def cancel_execution(self, instance: InstanceRef, execution_id: str) -> AmcExecution:
        """Ask AMC to cancel and give the execution as it is then.

        It may still be open, because cancelling takes time, or have ended otherwise, because it was finished.
        """
        path = _path(instance, "workflowExecutions", execution_id)
        request = Request("PUT", path, instance.account, body={"status": "CANCELLED"})
        try:
            payload, call = self._call(request)
        except AmcRejectedError:
            execution = self.get_execution(instance, execution_id)
            if execution.is_final:
                return execution
            raise
        raw = unwrap(payload, "workflowExecution")
        if raw and raw.get("workflowExecutionId"):
            return parse_execution(raw, call)
        return self.get_execution(instance, execution_id)

    def list_workflows(self, instance: InstanceRef) -> list[Workflow]:
        """Return all workflows saved at AMC; raises AmcError when the list does not come whole."""
        return [parse_workflow(raw) for raw in self._catalogue(instance, "workflows", "workflowId")]

    def list_data_sources(self, instance: InstanceRef) -> list[DataSource]:
        """Return all tables of the instance with their columns; a big answer, worth keeping for a day.

        Raises AmcError when the list does not come whole.
        """
        return [parse_data_source(raw) for raw in self._catalogue(instance, "dataSources", "dataSourceId")]

    def get_data_source(self, instance: InstanceRef, data_source_id: str) -> DataSource:
        """Return one table with its columns."""
        payload, call = self._call(
            Request("GET", _path(instance, "dataSources", data_source_id), instance.account)
        )
        raw = unwrap(payload, "dataSource")
        if not raw or not raw.get("dataSourceId"):
            raise unexpected("a description of the data source", payload, call)
        return parse_data_source(raw)

    def download_result(
        self,
        instance: InstanceRef,
        execution_id: str,
        file: BinaryIO,
        *,
        max_bytes: int = MAX_RESULT_BYTES,
        progress: Progress | None = None,
        announce: Progress | None = None,
    ) -> DownloadedResult:
        """Stream a result to `file`, all its parts under one header row, and verify that nothing is missing.

        On any failure the file is as it was before. `progress` hears the bytes written so far, `announce` the bytes
        of each part before they come, where the storage tells; what either raises ends the download. Raises
        AmcNotReadyError while AMC has no result to give, AmcTooLargeError beyond `max_bytes`.
        """
        return ResultDownload(
            lambda: self._download_urls(instance, execution_id),
            file,
            local_url=self._local_url,
            policy=self._policy,
            max_bytes=max_bytes,
            progress=progress,
            announce=announce,
        ).run()

    def _post_execution(
        self, instance: InstanceRef, request: ExecutionRequest, send_before: datetime | None = None
    ) -> AmcExecution:
        path = _path(instance, "workflowExecutions")
        payload, call = self._call(
            Request("POST", path, instance.account, body=request.to_json(), send_before=send_before)
        )
        try:
            return _read_execution(payload, call)
        except AmcMalformedError as error:
            # Accepted, but as what?
            error.outcome_unknown = True
            raise

    def _list(
        self,
        instance: InstanceRef,
        created_since: datetime,
        workflow_id: str,
        *,
        include_workflow: bool,
        include_cancelled: bool = True,
        whole: bool = True,
    ) -> Iterator[AmcExecution]:
        query = {"minCreationTime": format_time(created_since), "limit": str(PAGE_SIZE)}
        if workflow_id:
            query["workflowId"] = workflow_id
        if include_cancelled:
            query["includeCancelled"] = "true"
        if include_workflow:
            query["includeWorkflow"] = "true"
        pages = Pages(
            _path(instance, "workflowExecutions"),
            "executions",
            ("workflowExecutionId",),
            instance.account,
            _MAX_EXECUTION_PAGES,
            query,
        )
        return (parse_execution(raw, call) for raw, call in self._rows(pages, whole=whole))

    def _catalogue(self, instance: InstanceRef, key: str, id_field: str) -> list[Any]:
        query = {"limit": str(PAGE_SIZE)}
        pages = Pages(_path(instance, key), key, (id_field,), instance.account, _MAX_CATALOGUE_PAGES, query)
        return [raw for raw, _ in self._rows(pages)]

    def _download_urls(self, instance: InstanceRef, execution_id: str) -> list[str]:
        path = _path(instance, "workflowExecutions", execution_id, "downloadUrls")
        return read_urls(self._page_answers(Pages(path, "downloadUrls", (), instance.account, _MAX_URL_PAGES)))


def _path(instance: InstanceRef, *segments: str) -> str:
    # Dots alone would be taken for a step up in the path.
    if not all(segment.strip(". ") for segment in segments):
        raise ValueError("An ID is empty.")
    parts = (quote(part, safe="") for part in (instance.instance_id, *segments))
    return f"/amc/reporting/{'/'.join(parts)}"


def _read_execution(payload: Any, call: CallInfo) -> AmcExecution:
    raw = unwrap(payload, "workflowExecution")
    if not raw or not raw.get("workflowExecutionId"):
        raise unexpected("an execution", payload, call)
    return parse_execution(raw, call)


def _unknown(call: CallInfo | None) -> AmcOutcomeUnknownError:
    return AmcOutcomeUnknownError(
        "Amazon did not confirm the run, and it is not known yet whether it exists. It is looked for again shortly; "
        "it is not started twice.",
        retry_after=VISIBLE_AFTER_SECONDS,
        call=call,
    )
